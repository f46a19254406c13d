"""A small LaMa (Suvorov et al. 2022): L1 inside and outside the hole, then an adversarial and a
feature-matching term; masks are free-form strokes (Yu et al. 2019) and boxes."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from imgsynth.architectures.lama import LAMA, LaMaGenerator, assemble
from imgsynth.architectures.registry import Hyperparameters
from imgsynth.imaging.masks import random_boxes, random_strokes
from imgsynth.training import losses
from imgsynth.training.data import load
from imgsynth.training.discriminators import PatchDiscriminator
from imgsynth.training.identity import start_as_identity
from imgsynth.training.recipe import Export, Recipe, Settings, sheet_of

# Small steps: larger ones wash the start away before it has been of use.
RATE, JUDGE_RATE = 2e-4, 2e-4
BLOCKS = 4
# Wider holes than these pixels are better filled from further away (see `Inpainter.scale_for`).
HINTS = {"hole_reach": 36}
HOLE, KNOWN = 10.0, 6.0
ADVERSARIAL, MATCHING = 0.1, 2.0
# L1 alone first: only a generator that continues its surroundings gives the discriminator work to do.
ADVERSARIAL_FROM = 0.7
R1_EVERY, R1_WEIGHT = 16, 1.0


class InpaintRecipe(Recipe):
    """Fills holes in photos: `python -m imgsynth train inpaint`."""

    name = "inpaint"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.size, self.width = settings.size or 128, settings.width or 32
        self.batch = settings.batch or 4
        self.images = load(settings.data, self.size * 3 // 2, False, settings.holdout)
        self.hyperparameters: Hyperparameters = {
            "width": self.width,
            "blocks": BLOCKS,
            "global_channels": self.width * 6,
        }
        generator = LaMaGenerator(**self.hyperparameters)
        start_as_identity(generator)
        if settings.init:
            generator.load_state_dict(settings.init[0])
        self.generator = self.add("generator", generator, ema=0.999)
        self.judge = self.add("judge", PatchDiscriminator(self.width, normalise=False))
        self.generator_step = self.adam("generator", self.generator, rate=RATE, betas=(0.9, 0.99))
        self.judge_step = self.adam("judge", self.judge, rate=JUDGE_RATE, betas=(0.5, 0.99))

    def masks(self, step: int, count: int) -> Tensor:
        """count×1×size×size, 1 = hole: two thirds strokes, one third boxes."""
        rng = np.random.RandomState((self.settings.seed * 7_919 + step) % 2**32)
        draw = [random_boxes if rng.rand() < 1 / 3 else random_strokes for _ in range(count)]
        masks = np.stack([d(self.size, self.size, rng, low=0.05, high=0.3) for d in draw])
        return torch.from_numpy(masks[:, None]).float().to(self.device)

    def rates(self, progress: float) -> None:
        fall = min(1.0, 0.02 + (1 - progress) * 1.6)
        self.set_rate(RATE * fall, "generator")
        self.set_rate(JUDGE_RATE * fall, "judge")

    def step(self, step: int, progress: float) -> dict[str, float]:
        rng = self.rng(step)
        self.rates(progress)
        image = self.images.batch(rng, self.batch, self.size, zoom=(0.8, 1.4)) * 0.5 + 0.5
        image = image.to(self.device, memory_format=self.memory_format)
        mask = self.masks(step, self.batch)
        with self.autocast():
            predicted = self.generator(assemble(image, mask)).float()
            difference = (predicted - image).abs()
            hole = (difference * mask).sum() / (mask.sum() * 3)
            known = (difference * (1 - mask)).sum() / ((1 - mask).sum() * 3)
            loss = HOLE * hole + KNOWN * known
            filled = predicted * mask + image * (1 - mask)
            judged = progress >= ADVERSARIAL_FROM
            if judged:
                loss = loss + self.fool(filled, image)
        self.generator_step.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.generator.parameters(), 10.0)
        self.generator_step.step()
        d_loss = self.train_judge(filled.detach(), image, mask, step) if judged else 0.0
        self.update_averages(step)
        return {"hole L1": hole.item(), "known L1": known.item(), "D": d_loss}

    def fool(self, filled: Tensor, image: Tensor) -> Tensor:
        """Non-saturating loss (Goodfellow et al. 2014) and feature matching."""
        self.judge.requires_grad_(False)
        score, fake = self.judge(filled * 2 - 1)
        with torch.no_grad():
            real = self.judge(image * 2 - 1)[1]
        self.judge.requires_grad_(True)
        return ADVERSARIAL * F.softplus(-score).mean() + MATCHING * losses.feature_matching(real, fake)

    def train_judge(self, filled: Tensor, image: Tensor, mask: Tensor, step: int) -> float:
        """Patches that touch the hole are fake, all others real (LaMa, section 2.2)."""
        with self.autocast():
            fake, real = self.judge(filled * 2 - 1)[0], self.judge(image * 2 - 1)[0]
            holes = F.adaptive_max_pool2d(mask, fake.shape[-2:])
            loss = (
                F.softplus(-real).mean() + (F.softplus(fake) * holes + F.softplus(-fake) * (1 - holes)).mean()
            )
        self.judge_step.zero_grad(set_to_none=True)
        loss.backward()
        self.judge_step.step()
        if step % R1_EVERY == 0:
            self.penalise(image)
        return loss.item()

    def penalise(self, image: Tensor) -> None:
        x = (image * 2 - 1).requires_grad_(True)
        penalty = losses.gradient_penalty_r1(self.judge(x)[0].mean((1, 2, 3)), x)
        self.judge_step.zero_grad(set_to_none=True)
        (penalty * (R1_WEIGHT / 2 * R1_EVERY)).backward()
        self.judge_step.step()

    @torch.no_grad()
    def sheet(self) -> Image.Image:
        """Rows: the photo with its hole grey, the filled photo, the photo."""
        rng = torch.Generator().manual_seed(0)
        image = self.images.batch(rng, 8, self.size, flip=False).to(self.device) * 0.5 + 0.5
        mask = self.masks(0, 8)
        predicted = self.averages["generator"].network(assemble(image, mask))
        filled = predicted * mask + image * (1 - mask)
        return sheet_of(torch.cat([image * (1 - mask) + 0.5 * mask, filled, image]), 8)

    def exports(self) -> list[Export]:
        weights = self.averages["generator"].network.state_dict()
        return [Export(self.settings.out, LAMA, self.hyperparameters, weights, HINTS)]

    def describe(self) -> dict[str, str]:
        return {
            "crops": f"{self.size} px, zoomed 0.8 to 1.4",
            "generator": f"width {self.width}, {BLOCKS} FFC blocks, three quarters of the channels global",
            "batch": str(self.batch),
            "masks": "strokes and boxes over 5 to 30 % of the crop",
            "loss": f"L1 {HOLE} in the hole and {KNOWN} outside; from {ADVERSARIAL_FROM:.0%} of the run on, "
            f"non-saturating {ADVERSARIAL} and feature matching {MATCHING}",
            "optimiser": f"Adam {RATE} (discriminator {JUDGE_RATE}), rates falling over the last 60 %",
            "average": "EMA 0.999",
        }
