"""CycleGAN (Zhu et al. 2017, arXiv:1703.10593): two generators that undo each other, two discriminators."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from imgsynth.architectures.cyclegan_resnet import CYCLEGAN_RESNET, ResnetGenerator
from imgsynth.architectures.registry import Hyperparameters
from imgsynth.errors import TrainingFailed
from imgsynth.training import losses
from imgsynth.training.data import load
from imgsynth.training.discriminators import PatchDiscriminator
from imgsynth.training.recipe import Export, Recipe, Settings, sheet_of

RATE = 2e-4
CYCLE, IDENTITY = 8.0, 2.0
POOL = 50
BLOCKS = 6
# Reflection everywhere: zero padding learns bright bands along the borders.
HINTS = {"padding": "reflect"}


class ImagePool:
    """Up to 50 earlier fakes; the discriminator sees one half of the time (Shrivastava et al. 2017)."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []

    def exchange(self, fake: Tensor, rng: torch.Generator) -> Tensor:
        fake = fake.detach()
        if len(self.images) < POOL:
            self.images.append(fake)
            return fake
        if torch.rand((), generator=rng) < 0.5:
            return fake
        i = int(torch.randint(POOL, (), generator=rng))
        old, self.images[i] = self.images[i], fake
        return old


class CycleGANRecipe(Recipe):
    """Unpaired translation both ways: `python -m imgsynth train cyclegan`."""

    name = "cyclegan"
    # Batches of one or two with reflection padding: a quarter faster on a CPU than channels last.
    memory_format = torch.contiguous_format

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        if not settings.data_b or settings.out_back is None:
            raise TrainingFailed(
                "CycleGAN learns two domains; give --data-b for the second and --out-back for B to A."
            )
        self.size, self.width = settings.size or 128, settings.width or 32
        self.batch = settings.batch or 1
        load_side = self.size * 2
        self.images = [load(d, load_side, False, settings.holdout) for d in (settings.data, settings.data_b)]
        self.hyperparameters: Hyperparameters = {
            "width": self.width,
            "blocks": BLOCKS,
            "upsampling": "nearest",
            **HINTS,
        }
        self.to_b, self.to_a = (self.make_generator(name, i) for i, name in enumerate(("to_b", "to_a")))
        self.judge_a, self.judge_b = (
            self.add(n, PatchDiscriminator(self.width)) for n in ("judge_a", "judge_b")
        )
        betas = (0.5, 0.999)
        self.generator_step = self.adam("generators", self.to_b, self.to_a, rate=RATE, betas=betas)
        self.judge_step = self.adam("discriminators", self.judge_a, self.judge_b, rate=RATE, betas=betas)
        self.pools = {"a": ImagePool(), "b": ImagePool()}

    def make_generator(self, name: str, index: int) -> ResnetGenerator:
        generator = ResnetGenerator(**self.hyperparameters)
        for module in generator.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.normal_(module.weight, 0.0, 0.02)
        if index < len(self.settings.init):
            generator.load_state_dict(self.settings.init[index])
        return self.add(name, generator, ema=0.999)

    def step(self, step: int, progress: float) -> dict[str, float]:
        rng = self.rng(step)
        self.set_rate(RATE * min(1.0, 2 * (1 - progress)))
        a, b = (
            images.batch(rng, self.batch, self.size, zoom=(0.9, 1.7)).to(
                self.device, memory_format=self.memory_format
            )
            for images in self.images
        )
        self.judges_learn(False)
        with self.autocast():
            # Translation and identity in one pass; instance norms keep the two apart.
            fake_b, same_b = self.to_b(torch.cat([a, b])).chunk(2)
            fake_a, same_a = self.to_a(torch.cat([b, a])).chunk(2)
            adversarial = losses.least_squares(self.judge_b(fake_b)[0], 1) + losses.least_squares(
                self.judge_a(fake_a)[0], 1
            )
            cycle = F.l1_loss(self.to_a(fake_b), a) + F.l1_loss(self.to_b(fake_a), b)
            identity = F.l1_loss(same_b, b) + F.l1_loss(same_a, a)
            loss = adversarial + CYCLE * cycle + IDENTITY * identity
        self.generator_step.zero_grad(set_to_none=True)
        loss.backward()
        self.generator_step.step()
        self.judges_learn(True)
        judged = self.train_judges(a, b, fake_a, fake_b, rng)
        self.update_averages(step)
        return {"G": adversarial.item(), "cycle": cycle.item(), "D": judged}

    def judges_learn(self, on: bool) -> None:
        self.judge_a.requires_grad_(on)
        self.judge_b.requires_grad_(on)

    def train_judges(
        self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor, rng: torch.Generator
    ) -> float:
        old_a, old_b = self.pools["a"].exchange(fake_a, rng), self.pools["b"].exchange(fake_b, rng)
        with self.autocast():
            pairs = ((self.judge_a, a, old_a), (self.judge_b, b, old_b))
            loss = torch.stack(
                [
                    0.5 * (losses.least_squares(judge(real)[0], 1) + losses.least_squares(judge(fake)[0], 0))
                    for judge, real, fake in pairs
                ]
            ).sum()
        self.judge_step.zero_grad(set_to_none=True)
        loss.backward()
        self.judge_step.step()
        return loss.item()

    @torch.no_grad()
    def sheet(self) -> Image.Image:
        """Rows: A, A→B, A→B→A, then B, B→A, B→A→B. For looking at while training; A may be private photos."""
        rng = torch.Generator().manual_seed(0)
        there, back = self.averages["to_b"].network, self.averages["to_a"].network
        rows = []
        for images, first, second in ((self.images[0], there, back), (self.images[1], back, there)):
            x = images.batch(rng, 4, self.size * 2, flip=False).to(self.device)
            y = first(x)
            rows += [x, y, second(y)]
        return sheet_of(torch.cat(rows) * 0.5 + 0.5, 4)

    def exports(self) -> list[Export]:
        assert self.settings.out_back is not None
        outs = {"to_b": self.settings.out, "to_a": self.settings.out_back}
        return [
            Export(
                out, CYCLEGAN_RESNET, self.hyperparameters, self.averages[name].network.state_dict(), HINTS
            )
            for name, out in outs.items()
        ]

    def extra_state(self) -> dict[str, Any]:
        return {name: pool.images for name, pool in self.pools.items()}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        for name, pool in self.pools.items():
            pool.images = list(state[name])

    def describe(self) -> dict[str, str]:
        return {
            "crops": f"{self.size} px from images of {self.size * 2} px, zoomed 0.9 to 1.7",
            "generators": f"width {self.width}, {BLOCKS} blocks, nearest upsampling, reflection padding",
            "batch": str(self.batch),
            "loss": f"least squares, cycle {CYCLE}, identity {IDENTITY}, pool of {POOL}",
            "optimiser": f"Adam {RATE}, betas 0.5 and 0.999, rate falling to zero over the second half",
            "average": "EMA 0.999",
        }
