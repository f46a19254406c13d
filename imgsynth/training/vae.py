"""A convolutional VAE: annealed KL, Laplace likelihood of values and edges with its best-fitting scale."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from imgsynth.architectures.conv_vae import CONV_VAE, ConvVAE
from imgsynth.architectures.registry import Hyperparameters
from imgsynth.errors import TrainingFailed
from imgsynth.training import losses
from imgsynth.training.data import load
from imgsynth.training.recipe import Export, Recipe, Settings, sheet_of

LATENT = 64
RATE = 1e-3
BETA = 4.0
WARM_UP = 0.4
# Fewer, larger groups than the usual 32 let a flat background keep its own colour through the norms.
HINTS = {"norm_num_groups": 8}


class VAERecipe(Recipe):
    """Encodes, decodes and samples: `python -m imgsynth train vae`."""

    name = "vae"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.size, self.width = settings.size or 64, settings.width or 64
        self.batch = settings.batch or 32
        if self.size not in (32, 64, 128, 256):
            raise TrainingFailed(
                f"A VAE is trained at 32, 64, 128 or 256 pixels, not {self.size}; choose one of them."
            )
        if self.width % 32:
            raise TrainingFailed(f"The width of a VAE must be a multiple of 32, not {self.width}.")
        self.images = load(settings.data, self.size, True, settings.holdout)
        self.hyperparameters = vae_sizes(self.size, self.width)
        vae = ConvVAE(**self.hyperparameters)
        start_near_the_mean(vae)
        if settings.init:
            vae.load_state_dict(settings.init[0])
        self.vae = self.add("vae", vae, ema=0.998)
        self.optimiser = self.adam("vae", self.vae, rate=RATE, betas=(0.9, 0.99))

    def step(self, step: int, progress: float) -> dict[str, float]:
        rng = self.rng(step)
        self.set_rate(RATE * min(1.0, 0.02 + (1 - progress) * 2))
        x = (self.images.batch(rng, self.batch, self.size) * 0.5 + 0.5).to(
            self.device, memory_format=self.memory_format
        )
        with self.autocast():
            mean, log_variance = (t.float() for t in self.vae.encode(x))
            z = mean + torch.randn(mean.shape, generator=rng).to(self.device) * (log_variance / 2).exp()
            prediction = torch.sigmoid(self.vae.decode(z).float())
        kl = losses.kl_divergence(mean, log_variance)
        beta = BETA * min(1.0, progress / WARM_UP)
        loss = losses.laplace_likelihood(prediction, x) + beta * kl
        self.optimiser.zero_grad(set_to_none=True)
        # Nats per image are large numbers; per value they suit the usual learning rates.
        (loss / x[0].numel()).backward()
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.optimiser.step()
        self.update_averages(step)
        return {"L1": (prediction - x).abs().mean().item(), "KL": kl.item()}

    @torch.no_grad()
    def sheet(self) -> Image.Image:
        """Four rows of samples, then two rows of originals with their reconstructions below."""
        vae: Any = self.averages["vae"].network
        rng = torch.Generator().manual_seed(0)
        samples = torch.sigmoid(vae.decode(torch.randn(32, LATENT, generator=rng).to(self.device)))
        originals = (self.images.batch(rng, 8, self.size, flip=False) * 0.5 + 0.5).to(self.device)
        rebuilt: Tensor = torch.sigmoid(vae(originals))
        return sheet_of(torch.cat([samples, originals, rebuilt]), 8)

    def exports(self) -> list[Export]:
        weights = self.averages["vae"].network.state_dict()
        return [Export(self.settings.out, CONV_VAE, self.hyperparameters, weights, HINTS)]

    def describe(self) -> dict[str, str]:
        return {
            "size": f"{self.size} px",
            "base width": str(self.width),
            "latent": str(LATENT),
            "batch": str(self.batch),
            "loss": f"Laplace likelihood of values and edges, KL weight rising to {BETA} over the first "
            f"{WARM_UP:.0%} of the run",
            "augmentation": "horizontal flips",
            "optimiser": f"Adam {RATE}, rate falling over the second half, gradients clipped at norm 1",
            "average": "EMA 0.998",
        }


@torch.no_grad()
def start_near_the_mean(vae: ConvVAE) -> None:
    """Lets the bias of the decoder's first layer outweigh its latent at the start.

    Group norms make the decoder blind to scale: if the latent dominates from the start, the average
    picture is tied to a direction in latent space, and latents on the other side of it draw rubbish.
    """
    vae.fc.weight.mul_(0.25)
    torch.nn.init.normal_(vae.fc.bias, 0.0, 0.5)


def vae_sizes(size: int, width: int) -> Hyperparameters:
    """Hyper-parameters of a VAE for `size`×`size` pictures with a 4×4 inner map."""
    stages = (size // 4).bit_length() - 1
    encoder = [width * min(4, 2**i) for i in range(stages)]
    decoder = [width * min(4, 2 ** max(0, i - 1)) for i in reversed(range(stages))]
    return {
        "latent_dim": LATENT,
        "encoder_widths": encoder,
        "decoder_widths": decoder,
        "decoder_input": encoder[-1],
        "groups": HINTS["norm_num_groups"],
    }
