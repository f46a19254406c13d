"""A convolutional VAE: annealed KL, a Laplace likelihood with its best-fitting scales, and, if asked for, a
discriminator (VAE-GAN, Larsen et al. 2016, arXiv:1512.09300)."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from imgsynth.architectures.conv_vae import CONV_VAE, ConvVAE
from imgsynth.architectures.dcgan import widths_for
from imgsynth.architectures.registry import Hyperparameters
from imgsynth.errors import TrainingFailed
from imgsynth.training.augment import augment
from imgsynth.training.data import load
from imgsynth.training.discriminators import DCGANDiscriminator
from imgsynth.training.losses import LOSSES
from imgsynth.training.microbatch import Terms
from imgsynth.training.options import VAEOptions, options_of
from imgsynth.training.recipe import Export, Recipe, Settings, sheet_of
from imgsynth.training.reconstruction import (
    RECONSTRUCTIONS,
    compared_at,
    feature_matching,
    kl_divergence,
    laplace_likelihood,
)

GAME = LOSSES["non-saturating"]
# One group of all channels: the fewer means are taken away, the more is left of a flat background's colour.
HINTS = {"norm_num_groups": 1}


class VAERecipe(Recipe):
    """Encodes, decodes and samples: `python -m imgsynth train vae`."""

    name = "vae"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.options = options_of(VAEOptions, settings)
        self.size, self.width = settings.size or 64, settings.width or 64
        self.batch = settings.batch or 32
        if self.size not in (32, 64, 128, 256):
            raise TrainingFailed(
                f"A VAE is trained at 32, 64, 128 or 256 pixels, not {self.size}; choose one of them."
            )
        if self.width % 32:
            raise TrainingFailed(f"The width of a VAE must be a multiple of 32, not {self.width}.")
        self.images = load(settings.data, self.size, True, settings.holdout)
        self.latents = self.options.latents
        self.hyperparameters = vae_sizes(self.size, self.width, self.latents)
        vae = ConvVAE(**self.hyperparameters)
        start_near_the_mean(vae)
        if settings.init:
            vae.load_state_dict(settings.init[0])
        self.vae = self.add("vae", vae, ema=0.998)
        # A game is played without the momentum that errors alone are best brought down with.
        betas = (0.5, 0.99) if self.options.adversarial else (0.9, 0.99)
        self.adam("vae", self.vae, rate=self.options.rate, betas=betas)
        if self.options.adversarial:
            widths = widths_for(self.size, self.width)[::-1]
            self.judge = self.add("judge", DCGANDiscriminator(widths))
            self.adam("judge", self.judge, rate=self.options.discriminator_rate, betas=betas)

    def step(self, step: int, progress: float) -> dict[str, float]:
        rng = self.rng(step)
        fall = min(1.0, 0.02 + (1 - progress) * 2)
        self.set_rate(self.options.rate * fall, "vae")
        x = (self.images.batch(rng, self.batch, self.size) * 0.5 + 0.5).to(
            self.device, memory_format=self.memory_format
        )
        noise, beta = self.normal(rng, self.latents), self.beta(progress)
        if not self.options.adversarial:
            figures = self.update("vae", lambda part: self.terms(x[part], noise[part], beta)[0], clip=1.0)
        else:
            self.set_rate(self.options.discriminator_rate * fall, "judge")
            figures = self.step_with_judge(x, noise, self.normal(rng, self.latents), beta)
        self.update_averages(step)
        return figures

    def beta(self, progress: float) -> float:
        """Weight of the KL divergence: it rises evenly, so that latents first learn to tell something."""
        warm_up = self.options.warm_up
        return self.options.beta * (min(1.0, progress / warm_up) if warm_up else 1.0)

    def terms(self, x: Tensor, noise: Tensor, beta: float) -> tuple[Terms, Tensor, Tensor]:
        """The negative ELBO a value, with its figures; the reconstruction in [0, 1], and the latents drawn.

        Args:
            x: N×3×S×S in [0, 1].
            noise: N×latents.
        """
        with self.autocast():
            mean, log_variance = (t.float() for t in self.vae.encode(x))
            z = mean + noise * (log_variance / 2).exp()
            prediction = torch.sigmoid(self.vae.decode(z).float())
        kl = kl_divergence(mean, log_variance, self.options.free_bits)
        shown, target = compared_at(self.options.reconstruction_size, prediction, x)
        likelihood = laplace_likelihood(shown, target, RECONSTRUCTIONS[self.options.reconstruction])
        # Nats per image are large numbers; per value they suit the usual learning rates.
        loss = (likelihood + beta * kl) / target[0].numel()
        figures = {"L1": (shown - target).abs().mean(), "KL": kl_divergence(mean, log_variance)}
        return (loss, figures), prediction, z

    def step_with_judge(self, x: Tensor, noise: Tensor, prior: Tensor, beta: float) -> dict[str, float]:
        """As published, the decoder alone is to fool the discriminator, with pictures of posterior and prior;
        both halves come nearer to the original in what the discriminator sees in it."""
        drawn = torch.empty(2, *x.shape, device=self.device)

        def loss_of(part: slice) -> Terms:
            (loss, figures), prediction, z = self.terms(x[part], noise[part], beta)
            with self.autocast():
                fake = torch.sigmoid(self.vae.decode(torch.cat([z.detach(), prior[part]])).float())
                drawn[:, part] = fake.detach().view(2, *prediction.shape)
                features = [self.judge.stages(to_signed(images)) for images in (x[part], prediction)]
                fooled = GAME.generator(self.score(to_signed(fake)))
                adversarial = fooled + self.options.matching * feature_matching(*features)
            return loss + self.options.adversarial * adversarial, {**figures, "G": adversarial}

        def judged(part: slice) -> Terms:
            with self.autocast():
                real, (rebuilt, sampled) = to_signed(x[part]), to_signed(drawn[:, part])
                losses = [GAME.discriminator_loss(self.score, real, fake) for fake in (rebuilt, sampled)]
            loss = torch.stack(losses).mean()
            return loss, {"D": loss}

        self.judge.requires_grad_(False)
        figures = self.update("vae", loss_of, clip=1.0)
        self.judge.requires_grad_(True)
        return figures | self.update("judge", judged)

    def score(self, images: Tensor) -> Tensor:
        o = self.options
        return self.judge(augment(images, o.augment, o.augment_chance)).float()

    @torch.no_grad()
    def sheet(self) -> Image.Image:
        """Four rows of samples, then two rows of originals with their reconstructions below."""
        vae: Any = self.averages["vae"].network
        rng = torch.Generator().manual_seed(0)
        samples = torch.sigmoid(vae.decode(torch.randn(32, self.latents, generator=rng).to(self.device)))
        originals = (self.images.batch(rng, 8, self.size, flip=False) * 0.5 + 0.5).to(self.device)
        rebuilt: Tensor = torch.sigmoid(vae(originals))
        return sheet_of(torch.cat([samples, originals, rebuilt]), 8)

    def exports(self) -> list[Export]:
        weights = self.averages["vae"].network.state_dict()
        return [Export(self.settings.out, CONV_VAE, self.hyperparameters, weights, HINTS)]

    def describe(self) -> dict[str, str]:
        o = self.options
        judged = {"edges": "values and edges", "pyramid": "the bands of a Laplacian pyramid"}[
            o.reconstruction
        ]
        changes = f"; differentiable {o.augment}, each for {o.augment_chance:.0%} of the pictures"
        changes = changes if o.adversarial and o.augment else ""
        return {
            "size": f"{self.size} px",
            "base width": str(self.width),
            "latent": str(self.latents),
            "batch": str(self.batch),
            "loss": f"Laplace likelihood of {judged}, KL weight rising to {o.beta:g} over the first "
            f"{o.warm_up:.0%} of the run, {o.free_bits:g} free nats a latent"
            + (f", compared at {o.reconstruction_size} px" if o.reconstruction_size else "")
            + (f", discriminator {o.adversarial:g}, its features {o.matching:g}" if o.adversarial else ""),
            "augmentation": "horizontal flips" + changes,
            "optimiser": f"Adam {o.rate:g}"
            + (f" (discriminator {o.discriminator_rate:g})" if o.adversarial else "")
            + ", rate falling over the second half, gradients clipped at norm 1",
            "average": "EMA 0.998",
        }


def to_signed(images: Tensor) -> Tensor:
    return images * 2 - 1


@torch.no_grad()
def start_near_the_mean(vae: ConvVAE) -> None:
    """Lets the bias of the decoder's first layer outweigh its latent at the start.

    Group norms make the decoder blind to scale: if the latent dominates from the start, the average
    picture is tied to a direction in latent space, and latents on the other side of it draw rubbish.
    """
    vae.fc.weight.mul_(0.25)
    torch.nn.init.normal_(vae.fc.bias, 0.0, 0.5)


def vae_sizes(size: int, width: int, latents: int) -> Hyperparameters:
    """Hyper-parameters of a VAE for `size`×`size` pictures with a 4×4 inner map."""
    stages = (size // 4).bit_length() - 1
    encoder = [width * min(4, 2**i) for i in range(stages)]
    decoder = [width * min(4, 2 ** max(0, i - 1)) for i in reversed(range(stages))]
    return {
        "latent_dim": latents,
        "encoder_widths": encoder,
        "decoder_widths": decoder,
        "decoder_input": encoder[-1],
        "groups": HINTS["norm_num_groups"],
    }
