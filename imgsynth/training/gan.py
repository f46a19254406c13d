"""A DCGAN with today's care: hinge loss, spectral norm, differentiable augmentation, EMA."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from imgsynth.architectures.dcgan import DCGAN, DCGANGenerator, init_weights, widths_for
from imgsynth.architectures.registry import Hyperparameters
from imgsynth.errors import TrainingFailed
from imgsynth.training import losses
from imgsynth.training.augment import augment
from imgsynth.training.data import load
from imgsynth.training.discriminators import DCGANDiscriminator
from imgsynth.training.recipe import Export, Recipe, Settings, sheet_of

LATENT = 128
# Two time scales (Heusel et al. 2017): spectral normalisation slows the discriminator down.
RATE, DISCRIMINATOR_RATE = 2e-4, 4e-4
POLICY = "color,translation"


class GANRecipe(Recipe):
    """Samples from noise: `python -m imgsynth train gan`."""

    name = "gan"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.size, self.width = settings.size or 64, settings.width or 48
        self.batch = settings.batch or 32
        if self.size not in (32, 64, 128):
            raise TrainingFailed(
                f"A DCGAN is trained at 32, 64 or 128 pixels, not {self.size}; choose one of them."
            )
        self.images = load(settings.data, self.size, True, settings.holdout)
        widths = widths_for(self.size, self.width)
        self.hyperparameters: Hyperparameters = {"latent_dim": LATENT, "widths": widths, "channels": 3}
        generator = DCGANGenerator(**self.hyperparameters)
        generator.apply(init_weights)
        if settings.init:
            generator.load_state_dict(settings.init[0])
        self.generator = self.add("generator", generator, ema=0.998)
        self.discriminator = self.add("discriminator", DCGANDiscriminator(widths[::-1]))
        betas = (0.5, 0.99)
        self.generator_step = self.adam("generator", self.generator, rate=RATE, betas=betas)
        self.discriminator_step = self.adam(
            "discriminator", self.discriminator, rate=DISCRIMINATOR_RATE, betas=betas
        )

    def latents(self, rng: torch.Generator) -> Tensor:
        return torch.randn(self.batch, LATENT, generator=rng).to(self.device)

    def step(self, step: int, progress: float) -> dict[str, float]:
        rng = self.rng(step)
        # The last third anneals the rate: the average settles and small details come out.
        fall = min(1.0, 0.05 + (1 - progress) * 3)
        self.set_rate(RATE * fall, "generator")
        self.set_rate(DISCRIMINATOR_RATE * fall, "discriminator")
        real = self.images.batch(rng, self.batch, self.size).to(self.device, memory_format=self.memory_format)
        d_loss = self.train_discriminator(real, rng)
        g_loss = self.train_generator(rng)
        self.update_averages(step)
        return {"D": d_loss, "G": g_loss}

    def train_discriminator(self, real: Tensor, rng: torch.Generator) -> float:
        with self.autocast():
            with torch.no_grad():
                fake = self.generator(self.latents(rng))
            scores = [self.discriminator(augment(x, POLICY)) for x in (real, fake.to(real.dtype))]
            loss = losses.hinge_discriminator(scores[0].float(), scores[1].float())
        return self.descend(self.discriminator_step, loss)

    def train_generator(self, rng: torch.Generator) -> float:
        self.discriminator.requires_grad_(False)
        with self.autocast():
            fake = self.generator(self.latents(rng))
            loss = losses.hinge_generator(self.discriminator(augment(fake, POLICY)).float())
        value = self.descend(self.generator_step, loss)
        self.discriminator.requires_grad_(True)
        return value

    @staticmethod
    def descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> float:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return loss.item()

    @torch.no_grad()
    def sheet(self) -> Image.Image:
        z = torch.randn(64, LATENT, generator=torch.Generator().manual_seed(0)).to(self.device)
        return sheet_of(self.averages["generator"].network(z) * 0.5 + 0.5, 8)

    def exports(self) -> list[Export]:
        weights = self.averages["generator"].network.state_dict()
        return [Export(self.settings.out, DCGAN, self.hyperparameters, weights)]

    def describe(self) -> dict[str, str]:
        return {
            "size": f"{self.size} px",
            "base width": str(self.width),
            "batch": str(self.batch),
            "loss": "hinge, spectral normalisation",
            "augmentation": f"horizontal flips; differentiable {POLICY}",
            "optimiser": f"Adam {RATE} (discriminator {DISCRIMINATOR_RATE}), betas 0.5 and 0.99, "
            "rates falling over the last third",
            "average": "EMA 0.998",
        }
