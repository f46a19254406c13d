"""CycleGAN (Zhu et al. 2017, arXiv:1703.10593): two generators that undo each other, two discriminators."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from imgsynth.architectures.cyclegan_resnet import CYCLEGAN_RESNET, ResnetGenerator
from imgsynth.architectures.pix2pix_unet import PIX2PIX_UNET
from imgsynth.architectures.registry import Architecture, StateDict
from imgsynth.training.augment import augment, described
from imgsynth.training.data import load, random_crop
from imgsynth.training.discriminators import PatchDiscriminator, PatchNorm
from imgsynth.training.droplets import DropletPenalty
from imgsynth.training.folding import fold_norms
from imgsynth.training.losses import LOSSES, patch_score, zero_centred_penalty
from imgsynth.training.microbatch import Terms
from imgsynth.training.options import CycleGANOptions, options_of
from imgsynth.training.recipe import Export, Recipe, Settings, sheet_of
from imgsynth.training.translators import BLOCKS, MOST_LEVELS, check, resnet_sizes, start, unet_sizes

BETAS = (0.5, 0.999)
POOL = 50
# The paper does not halve the generators' least squares, as `losses.py` does after Mao et al.
VERDICTS = 2.0
# As often as that it is nearly as good as at every step, at a quarter of the time.
DROPLETS_EVERY = 4
PENALISED_EVERY = 4
# Sides of the crops, as multiples of the size they are shown at.
ZOOM = (0.9, 1.7)
# Crops over which norms are measured before they are folded.
FOLDED_OVER = 96
# Steps in which discriminators alone learn, where generators can already copy or paint: what tells the
# domains apart is then known before anything changes.
HEAD_START = 200
# A discriminator soon knows fewer pictures than these by heart; only their domain is augmented.
SMALL_DOMAIN = 1000
# What no shape tells of a ResNet.
RESNET_HINTS = ("padding", "norm")


class ImagePool:
    """Up to 50 earlier fakes; the discriminator sees one half of the time (Shrivastava et al. 2017).

    Attributes:
        images: 1×3×S×S each.
    """

    def __init__(self) -> None:
        self.images: list[Tensor] = []

    def exchange(self, fakes: Tensor, rng: torch.Generator) -> Tensor:
        """N×3×S×S, some of which are others now; each picture is decided on by itself."""
        return torch.cat([self.exchange_one(fake, rng) for fake in fakes.detach().split(1)])

    def exchange_one(self, fake: Tensor, rng: torch.Generator) -> Tensor:
        fake = fake.clone()  # else a picture would keep its whole batch in memory
        if len(self.images) < POOL:
            self.images.append(fake)
            return fake
        if torch.rand((), generator=rng) < 0.5:
            return fake
        i = int(torch.randint(POOL, (), generator=rng))
        old, self.images[i] = self.images[i], fake
        return old

    def some(self, count: int, rng: torch.Generator) -> Tensor:
        """Earlier fakes, drawn with replacement, count×3×S×S."""
        picks = torch.randint(len(self.images), (count,), generator=rng)
        return torch.cat([self.images[i] for i in picks.tolist()])


class CycleGANRecipe(Recipe):
    """Unpaired translation both ways: `python -m imgsynth train cyclegan`."""

    name = "cyclegan"
    # Batches of one or two with reflection padding: a quarter faster on a CPU than channels last.
    memory_format = torch.contiguous_format

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.options = options_of(CycleGANOptions, settings)
        self.size, self.width = settings.size or 128, settings.width or 32
        self.batch = settings.batch or 1
        check(settings, self.options, self.size)
        self.images = [
            load(d, self.size * 2, False, settings.holdout) for d in (settings.data, settings.data_b)
        ]
        self.architecture: Architecture = CYCLEGAN_RESNET
        self.hyperparameters = resnet_sizes(self.width, self.options)
        self.hints = {name: self.hyperparameters[name] for name in RESNET_HINTS}
        if self.options.generator == "unet":
            self.architecture, self.hints = PIX2PIX_UNET, {}
            self.hyperparameters = unet_sizes(self.size, self.width, self.options.levels or MOST_LEVELS)
        self.to_b, self.to_a = (self.make_generator(name, i) for i, name in enumerate(("to_b", "to_a")))
        norm: PatchNorm = "spectral" if self.options.spectral_norm else "instance"
        self.game = LOSSES["hinge" if self.options.spectral_norm else "least-squares"]
        self.judge_a, self.judge_b = (
            self.add(n, PatchDiscriminator(self.width, norm=norm)) for n in ("judge_a", "judge_b")
        )
        rate = self.options.rate
        self.judge_rate = self.options.discriminator_rate or rate
        self.adam("generators", self.to_b, self.to_a, rate=rate, betas=BETAS)
        self.adam("discriminators", self.judge_a, self.judge_b, rate=self.judge_rate, betas=BETAS)
        usual = HEAD_START if settings.init or not self.options.has_norms else 0
        self.head_start = usual if self.options.head_start is None else self.options.head_start
        self.droplets = DropletPenalty(*([self.to_b, self.to_a] if self.options.droplets else []))
        self.pools = {"a": ImagePool(), "b": ImagePool()}

    def make_generator(self, name: str, index: int) -> Any:
        generator = self.architecture.build(**self.hyperparameters)
        start(generator)
        if index < len(self.settings.init):
            generator.load_state_dict(self.init_of(index))
        return self.add(name, generator, ema=0.999)

    def init_of(self, index: int) -> StateDict:
        """The weights that a generator starts from, of domain 0 (A) or 1 (B)."""
        given = self.settings.init[index]
        if not self.options.fold_norms:
            return given
        painter = ResnetGenerator(**self.hyperparameters | {"norm": "instance"})
        painter.load_state_dict(given)
        fold_norms(painter, self.crops_to_fold_over(index))
        return painter.state_dict()

    def crops_to_fold_over(self, domain: int) -> Iterator[Tensor]:
        """Crops as in training, the same in every process, whose networks must not differ."""
        rng = torch.Generator().manual_seed(self.settings.seed)
        images = self.images[domain].images
        for i in torch.randint(len(images), (FOLDED_OVER,), generator=rng).tolist():
            place = torch.rand(4, generator=rng).tolist()
            yield random_crop(images[i], place, self.size, False, ZOOM)[None]

    def score(self, domain: int, images: Tensor) -> Tensor:
        """Scores of patches, of pictures as training shows them to the judge of domain 0 (A) or 1 (B)."""
        policy = self.options.augment if len(self.images[domain]) < SMALL_DOMAIN else ""
        scores: Tensor = (self.judge_a, self.judge_b)[domain](augment(images, policy))[0]
        return scores

    def step(self, step: int, progress: float) -> dict[str, float]:
        rng = self.rng(step)
        self.set_rates(step, progress)
        a, b = (self.crops(domain, rng) for domain in (0, 1))
        if step < self.head_start:
            figures = {"G": 0.0, "cycle": 0.0}
            fake_a, fake_b = self.made(self.to_a, b), self.made(self.to_b, a)
        else:
            figures, fake_a, fake_b = self.train_generators(a, b, step)
        figures |= self.train_judges(a, b, fake_a, fake_b, rng, step)
        self.update_averages(step)
        return figures

    def set_rates(self, step: int, progress: float) -> None:
        """Rates fall to zero over the second half; after a head start that of the generators rises from zero,
        since large steps against discriminators that know much would wash away what is there."""
        fall = min(1.0, 2 * (1 - progress))
        warmth = min(1.0, max(0.0, step / self.head_start - 1)) if self.head_start else 1.0
        self.set_rate(self.options.rate * fall * warmth, "generators")
        self.set_rate(self.judge_rate * fall, "discriminators")

    def crops(self, domain: int, rng: torch.Generator) -> Tensor:
        """Pictures of domain 0 (A) or 1 (B), batch×3×S×S in [-1, 1]."""
        batch = self.images[domain].batch(rng, self.batch, self.size, zoom=ZOOM)
        return batch.to(self.device, memory_format=self.memory_format)

    @torch.no_grad()
    def made(self, generator: nn.Module, images: Tensor) -> Tensor:
        with self.autocast():
            return generator(images).float()

    def train_generators(self, a: Tensor, b: Tensor, step: int) -> tuple[dict[str, float], Tensor, Tensor]:
        """One step; figures, and the fakes of A and of B."""
        fake_a, fake_b = torch.empty_like(a), torch.empty_like(b)

        def loss_of(part: slice) -> Terms:
            with self.autocast(), self.droplets.listening(step % DROPLETS_EVERY == 0):
                loss, figures, fake_a[part], fake_b[part] = self.generator_loss(a[part], b[part])
            penalty = self.options.droplets * DROPLETS_EVERY * self.droplets.value()
            return loss + penalty, figures

        self.judges_learn(False)
        figures = self.update("generators", loss_of)
        self.judges_learn(True)
        return figures, fake_a, fake_b

    def generator_loss(self, a: Tensor, b: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor, Tensor]:
        """The loss without the penalty on droplets, figures, and what was made of B and of A."""
        if self.options.identity:
            # Translation and identity in one pass; no norm mixes pictures.
            fake_b, same_b = self.to_b(torch.cat([a, b])).chunk(2)
            fake_a, same_a = self.to_a(torch.cat([b, a])).chunk(2)
            identity = F.l1_loss(same_b, b) + F.l1_loss(same_a, a)
        else:
            fake_b, fake_a, identity = self.to_b(a), self.to_a(b), a.new_zeros(())
        verdicts = self.game.generator(self.score(1, fake_b)) + self.game.generator(self.score(0, fake_a))
        adversarial = VERDICTS * verdicts
        back_a, back_b = self.to_a(self.noisy(fake_b)), self.to_b(self.noisy(fake_a))
        cycle = F.l1_loss(back_a, a) + F.l1_loss(back_b, b)
        loss = adversarial + self.options.cycle * cycle + self.options.identity * identity
        return loss, {"G": adversarial, "cycle": cycle}, fake_a.detach(), fake_b.detach()

    def noisy(self, images: Tensor) -> Tensor:
        """What the way back is shown of a translation."""
        return images + self.options.noise * torch.randn_like(images) if self.options.noise else images

    def judges_learn(self, on: bool) -> None:
        self.judge_a.requires_grad_(on)
        self.judge_b.requires_grad_(on)

    def train_judges(
        self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor, rng: torch.Generator, step: int
    ) -> dict[str, float]:
        more = range(self.options.judged - 1)
        fakes = [
            [pool.exchange(fake, rng), *(pool.some(self.batch, rng) for _ in more)]
            for pool, fake in ((self.pools["a"], fake_a), (self.pools["b"], fake_b))
        ]
        reals = [[real, *(self.crops(i, rng) for _ in more)] for i, real in enumerate((a, b))]

        def loss_of(part: slice) -> Terms:
            with self.autocast():
                scores = [
                    [self.score(i, torch.cat([batch[part] for batch in kind[i]])) for kind in (reals, fakes)]
                    for i in (0, 1)
                ]
                loss = torch.stack([self.game.discriminator(real, fake) for real, fake in scores]).sum()
            total = loss
            if self.options.r1 and step % PENALISED_EVERY == 0:
                total = loss + self.options.r1 / 2 * PENALISED_EVERY * self.steepness(a[part], b[part])
            return total, {"D": loss}

        return self.update("discriminators", loss_of)

    def steepness(self, a: Tensor, b: Tensor) -> Tensor:
        """R1 of a patch's score, over both domains."""

        def score(domain: int, images: Tensor) -> Tensor:
            return patch_score(self.score(domain, images))

        both = (zero_centred_penalty(partial(score, i), images) for i, images in enumerate((a, b)))
        return torch.stack(list(both)).sum()

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
        weights = {name: self.averages[name].network.state_dict() for name in outs}
        return [
            Export(out, self.architecture, self.hyperparameters, weights[name], self.hints)
            for name, out in outs.items()
        ]

    def extra_state(self) -> dict[str, Any]:
        return {name: pool.images for name, pool in self.pools.items()}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        for name, pool in self.pools.items():
            # Earlier versions pooled whole batches.
            pool.images = [image for images in state[name] for image in images.split(1)][:POOL]

    def describe(self) -> dict[str, str]:
        o = self.options
        droplets = f"penalty on droplets {o.droplets:g}, " if o.has_norms else ""
        norm = "instance norms folded into the convolutions" if o.fold_norms else f"{o.norm} norm"
        layout = f"{BLOCKS} blocks, {norm}, {o.upsampling} upsampling, reflection padding"
        if o.generator == "unet":
            layout = f"{len(self.hyperparameters['widths'])} levels"
        return {
            "crops": f"{self.size} px from images of {self.size * 2} px, zoomed {ZOOM[0]} to {ZOOM[1]}",
            "generators": f"{o.generator}, width {self.width}, {layout}",
            "batch": str(self.batch),
            "loss": f"{self.game.title}, {'spectral' if o.spectral_norm else 'instance'} norm, "
            f"cycle {o.cycle:g}, identity {o.identity:g}, pool of {POOL}, "
            f"{o.judged} picture(s) judged for one made, R1 {o.r1:g}, "
            f"{droplets}noise {o.noise:g} before the way back",
            "augmentation": described(o.augment)
            + (f" in domains of under {SMALL_DOMAIN:,} images" if o.augment else ""),
            "optimiser": f"Adam {o.rate:g} (discriminators {self.judge_rate:g}), "
            f"betas {BETAS[0]} and {BETAS[1]}, rates falling to zero over the second half",
            "average": "EMA 0.999",
        }
