"""A small LaMa (Suvorov et al. 2022, arXiv:2109.07161), with the terms of its paper.

They are L1 where the picture is known, an adversarial term with R1, the distance of the discriminator's
features, and a perceptual loss of a high receptive field. In place of the last, which needs another network,
stands the L1 over a Laplacian pyramid. A small network in a short run also needs the L1 inside the hole,
and the discriminator only at the end; `InpaintOptions` holds the weights of all. Where holes start harmonic,
the network keeps what is known as it is, and the first term falls away.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from imgsynth.architectures.lama import LAMA, LaMaGenerator, assemble
from imgsynth.errors import TrainingFailed
from imgsynth.training import parallel
from imgsynth.training.data import load
from imgsynth.training.discriminators import PatchDiscriminator, check_crops
from imgsynth.training.fixed_norms import calibrate, fix_norms
from imgsynth.training.holes import HOLES
from imgsynth.training.identity import start_as_identity
from imgsynth.training.inpaint_choices import chosen_sizes, hints_of
from imgsynth.training.losses import LAZY, LOSSES, patch_score, zero_centred_penalty
from imgsynth.training.microbatch import Terms
from imgsynth.training.options import InpaintOptions, options_of
from imgsynth.training.recipe import Export, Recipe, Settings, sheet_of
from imgsynth.training.reconstruction import feature_matching, multi_scale_l1

# Weight of the error around holes that start blank.
KNOWN_L1 = 6.0
# Crops from which fixed norms take their means and variances.
SURVEYED = 16
# Steps over which learning rates rise.
RISE = 200
# Wider holes than these pixels are better filled from further away (see `Inpainter.scale_for`).
HINTS = {"hole_reach": 50}
GAME = LOSSES["non-saturating"]


class InpaintRecipe(Recipe):
    """Fills holes in photos: `python -m imgsynth train inpaint`."""

    name = "inpaint"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.options = options_of(InpaintOptions, settings)
        check_shares(self.options)
        self.size, self.width = settings.size or 128, settings.width or 32
        self.batch = settings.batch or 4
        self.hyperparameters = chosen_sizes(self.options.start, self.width, settings)
        check_crops("This LaMa", self.size, LAMA.multiple(self.hyperparameters))
        self.harmonic = bool(self.hyperparameters.get("harmonic", False))
        usual = 0.0 if self.harmonic else KNOWN_L1
        self.known_l1 = usual if self.options.known_l1 is None else self.options.known_l1
        self.images = load(settings.data, self.size * 3 // 2, False, settings.holdout)
        self.generator = self.add("generator", self.beginning(), ema=0.999)
        self.judge = self.add("judge", PatchDiscriminator(self.width, norm="none"))
        self.adam("generator", self.generator, rate=self.options.rate, betas=(0.9, 0.99))
        self.adam("judge", self.judge, rate=self.options.discriminator_rate, betas=(0.5, 0.99))

    def beginning(self) -> LaMaGenerator:
        """The generator as the run finds it."""
        generator = LaMaGenerator(**self.hyperparameters)
        fixed = self.options.norm == "fixed"
        if fixed:
            fix_norms(generator)
        if self.settings.init:
            generator.load_state_dict(self.settings.init[0])
            return generator
        kept = start_as_identity(generator)
        if fixed:
            calibrate(generator, self.survey(), kept)
        return generator

    def survey(self) -> Tensor:
        """What the generator sees of some crops, the same in every process."""
        rng = torch.Generator().manual_seed(self.settings.seed)
        crops = [self.crops(rng, self.batch) for _ in range(-(-SURVEYED // self.batch))]
        images = torch.cat(parallel.gather(torch.cat(crops)))
        return assemble(images, self.draw_masks(0, len(images)))

    def crops(self, rng: torch.Generator, count: int) -> Tensor:
        """count×3×size×size in [0, 1]."""
        return self.images.batch(rng, count, self.size, zoom=(0.8, 1.4)) * 0.5 + 0.5

    def masks(self, step: int, count: int) -> Tensor:
        """count×1×size×size, 1 = hole, on the device."""
        return self.draw_masks(step, count).to(self.device)

    def draw_masks(self, step: int, count: int) -> Tensor:
        rng = np.random.RandomState((self.settings.seed * 7_919 + step) % 2**32)
        kinds, share = self.options.masks.split(","), (self.options.hole_low, self.options.hole_high)
        draw = [HOLES[kinds[rng.randint(len(kinds))]] for _ in range(count)]
        drawn = [d(self.size, self.size, rng, *share) for d in draw]
        return torch.from_numpy(np.stack(drawn)[:, None]).float()

    def rates(self, step: int, progress: float) -> None:
        # Adam's first steps are as large as its rate in every weight, which would wash the start away.
        fall = min(1.0, 0.02 + (1 - progress) * 1.6, (step + 1) / RISE)
        self.set_rate(self.options.rate * fall, "generator")
        self.set_rate(self.options.discriminator_rate * fall, "judge")

    def step(self, step: int, progress: float) -> dict[str, float]:
        rng = self.rng(step)
        self.rates(step, progress)
        image = self.crops(rng, self.batch).to(self.device, memory_format=self.memory_format)
        mask = self.masks(step, self.batch * parallel.world_size())[parallel.own(self.batch)]
        # L1 alone first: only a generator that continues its surroundings gives the discriminator work to do.
        judged = progress >= self.options.adversarial_from
        filled = torch.empty_like(image)

        def loss_of(part: slice) -> Terms:
            loss, figures, filled[part] = self.generator_loss(image[part], mask[part], judged)
            return loss, figures

        self.judge.requires_grad_(False)
        figures = self.update("generator", loss_of, clip=10.0)
        self.judge.requires_grad_(True)
        figures |= self.train_judge(filled, image, mask, step) if judged else {"D": 0.0}
        self.update_averages(step)
        return figures

    def generator_loss(
        self, image: Tensor, mask: Tensor, judged: bool
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """The loss, figures, and the filled pictures."""
        o = self.options
        with self.autocast():
            predicted = self.generator(assemble(image, mask)).float()
            difference = (predicted - image).abs()
            hole = (difference * mask).sum() / (mask.sum() * 3)
            loss, figures = o.hole_l1 * hole, {"hole L1": hole}
            if not self.harmonic:
                known = (difference * (1 - mask)).sum() / ((1 - mask).sum() * 3)
                loss, figures["known L1"] = loss + self.known_l1 * known, known
            filled = predicted * mask + image * (1 - mask)
            if o.multi_scale:
                loss = loss + o.multi_scale * multi_scale_l1(filled, image)
            if judged:
                loss = loss + self.fool(filled, image)
        return loss, figures, filled.detach()

    def fool(self, filled: Tensor, image: Tensor) -> Tensor:
        """The discriminator's verdict, and the distance of its features."""
        score, fake = self.judge(filled * 2 - 1)
        with torch.no_grad():
            real = self.judge(image * 2 - 1)[1]
        verdict = GAME.generator(score)
        return self.options.adversarial * verdict + self.options.matching * feature_matching(real, fake)

    def train_judge(self, filled: Tensor, image: Tensor, mask: Tensor, step: int) -> dict[str, float]:
        """Patches that touch the hole are fake, all others real (LaMa, section 2.2)."""

        def loss_of(part: slice) -> Terms:
            with self.autocast():
                fake, real = self.judge(filled[part] * 2 - 1)[0], self.judge(image[part] * 2 - 1)[0]
                holes = F.adaptive_max_pool2d(mask[part], fake.shape[-2:])
                verdicts = F.softplus(fake) * holes + F.softplus(-fake) * (1 - holes)
                loss = F.softplus(-real).mean() + verdicts.mean()
            total = loss
            if self.options.r1 and step % LAZY == 0:
                penalty = zero_centred_penalty(self.score, image[part] * 2 - 1)
                total = loss + penalty * (self.options.r1 / 2 * LAZY)
            return total, {"D": loss}

        return self.update("judge", loss_of)

    def score(self, images: Tensor) -> Tensor:
        """Scores of pictures in [-1, 1], N, each as steep as that of a patch."""
        return patch_score(self.judge(images)[0])

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
        hints = {**HINTS, **hints_of(self.hyperparameters)}
        return [Export(self.settings.out, LAMA, self.hyperparameters, weights, hints)]

    def describe(self) -> dict[str, str]:
        o, sizes = self.options, self.hyperparameters
        outside = "" if self.harmonic else f" and {self.known_l1:g} outside"
        judged = (
            f"; from {o.adversarial_from:.0%} of the run on, non-saturating {o.adversarial:g}, "
            f"feature matching {o.matching:g}, R1 {o.r1:g} of a patch's score"
        )
        return {
            "crops": f"{self.size} px, zoomed 0.8 to 1.4",
            "generator": f"width {sizes['width']}, {sizes['blocks']} FFC blocks, {sizes['global_channels']} "
            f"of their channels global; holes start {'harmonic' if self.harmonic else 'blank'}, "
            f"batch norms {'as they begin' if o.norm == 'fixed' else 'of each batch'}",
            "batch": str(self.batch),
            "masks": f"{o.masks} over {o.hole_low:.0%} to {o.hole_high:.0%} of the crop",
            "loss": f"L1 {o.hole_l1:g} in the hole{outside}, multi-scale {o.multi_scale:g}"
            + (judged if o.adversarial_from < 1 else ""),
            "optimiser": f"Adam {o.rate:g} (discriminator {o.discriminator_rate:g}), rates rising for {RISE} "
            "steps and falling over the last 60 %",
            "average": "EMA 0.999",
        }


def check_shares(options: InpaintOptions) -> None:
    """
    Raises:
        TrainingFailed: the smallest hole would be larger than the largest.
    """
    if options.hole_low > options.hole_high:
        raise TrainingFailed(
            f"Holes cannot cover between {options.hole_low:g} and {options.hole_high:g} of a picture; "
            "let --hole-low be the smaller."
        )
