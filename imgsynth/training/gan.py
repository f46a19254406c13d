"""GANs: any generator of `generators.py` plays any loss of `losses.py`, with augmentation and EMA."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from imgsynth.architectures.registry import StateDict
from imgsynth.errors import TrainingFailed
from imgsynth.runtime.opening import open_checkpoint
from imgsynth.training import parallel
from imgsynth.training.anchor import Anchor
from imgsynth.training.augment import augment, described
from imgsynth.training.collapse import Watch, held_back
from imgsynth.training.gan_choices import chosen_loss, chosen_plan, chosen_rates, chosen_sizes
from imgsynth.training.microbatch import Terms
from imgsynth.training.options import GANOptions, options_of
from imgsynth.training.recipe import Export, Recipe, Settings, sheet_of
from imgsynth.training.reconstruction import compared_at, multi_scale_l1

EMA = 0.998
# Steps in which a fresh discriminator catches up with a generator that can draw already.
HEAD_START = 200


def keep(network: nn.Module, weights: Sequence[StateDict]) -> None:
    """Lets those parameters alone learn that the weights lacked.

    Raises:
        TrainingFailed: they had all.
    """
    known = set[str]().union(*weights)
    new = [name for name, _ in network.named_parameters() if name not in known]
    if not new:
        raise TrainingFailed(
            "--keep-coarse would leave nothing to learn: the weights of --init have all sizes already; "
            "choose a larger --size, or leave it out."
        )
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in new)


class GANRecipe(Recipe):
    """Samples from noise: `python -m imgsynth train gan`."""

    name = "gan"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.options = options_of(GANOptions, settings)
        self.plan = plan = chosen_plan(self.options)
        self.memory_format = plan.memory_format
        self.size = settings.size or 64
        if self.size not in plan.sizes:
            sizes = f"{', '.join(map(str, plan.sizes[:-1]))} or {plan.sizes[-1]}"
            raise TrainingFailed(
                f"A {plan.title} is trained at {sizes} pixels, not {self.size}; choose one of them."
            )
        self.width, self.batch = settings.width or plan.width(self.size), settings.batch or 32
        self.loss = chosen_loss(self.options, plan, self.size, self.batch * parallel.world_size())
        self.rates = chosen_rates(self.options, plan, self.loss)
        self.images = self.squares(self.size)
        self.hyperparameters = chosen_sizes(self.options, plan, self.size, self.width)
        for weights in settings.init:
            self.hyperparameters = plan.grown(self.hyperparameters, weights)
        self.latent = plan.latent(self.hyperparameters)
        generator = plan.generator(self.hyperparameters)
        if self.options.anchor:
            plan.gentle(generator)
        for weights, began_as in zip_longest(settings.init, settings.init_sizes):
            plan.load(generator, weights, began_as)
        if self.options.keep_coarse:
            keep(generator, settings.init)
        plan.prepare(generator)
        self.generator = self.add("generator", generator, ema=EMA)
        norm, compares = self.loss.norm, self.loss.compares
        judge = plan.discriminator(self.size, self.width, norm, compares)
        self.discriminator = self.add("discriminator", judge)
        for name, rate in self.rates.items():
            self.optimisers[name] = self.loss.make_optimiser(self.parts[name], rate)
        self.watch = self.make_watch()
        self.anchor = self.make_anchor()
        usual = HEAD_START if settings.init else 0
        self.head_start = usual if self.options.head_start is None else self.options.head_start

    def make_anchor(self) -> Anchor | None:
        if not self.options.anchor:
            return None
        model = open_checkpoint(self.options.anchor, str(self.device), "fp32")
        return Anchor(model, self.squares, self.latent)

    def make_watch(self) -> Watch | None:
        if not self.options.collapse_every:
            return None
        held = held_back(self.settings.data, self.size, self.settings.holdout)
        return Watch(self.images, held, self.size, self.device)

    def critic(self, images: Tensor) -> Tensor:
        """Scores of pictures as training shows them to the discriminator, float32 N."""
        return self.discriminator(self.augmented(images)).float()

    def augmented(self, images: Tensor) -> Tensor:
        return augment(images, self.options.augment, self.options.augment_chance)

    def reals(self, rng: torch.Generator) -> Tensor:
        batch = self.images.batch(rng, self.batch, self.size)
        return batch.to(self.device, memory_format=self.memory_format)

    def step(self, step: int, progress: float) -> dict[str, float]:
        rng = self.rng(step)
        # The last third anneals the rate: the average settles and small details come out.
        fall = min(1.0, 0.05 + (1 - progress) * 3)
        for name, rate in self.rates.items():
            self.set_rate(rate * fall, name)
        turns = range(step * self.loss.critics, (step + 1) * self.loss.critics)
        judging = not self.anchor or step >= self.head_start - HEAD_START
        for turn in turns[:-1] if judging else ():
            self.train_discriminator(turn, self.reals(rng), rng)
        real, fake, figures = self.reals(rng), None, {"G": 0.0, "D": 0.0}
        if step >= self.head_start:
            fake, drawn = self.train_generator(real, rng)
            figures |= drawn
        elif self.anchor:
            figures |= self.learn_to_redraw(self.anchor, real, rng)
        if judging:
            figures |= self.train_discriminator(turns[-1], real, rng, fake)
        self.update_averages(step)
        if self.watch and step % self.options.collapse_every == 0:
            self.look(self.watch)
        return {**figures, **(self.watch.figures if self.watch else {})}

    def train_generator(self, real: Tensor, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """One step; the pictures that it was taken with, and figures."""
        z, drawn = self.normal(rng, self.latent), torch.empty_like(real)
        known = self.anchor.latents(real, self.normal(rng, self.latent)) if self.anchor else None

        def loss_of(part: slice) -> Terms:
            with self.autocast():
                fake = self.plan.pictures(self.generator, z[part])
                loss = self.loss.generator_loss(self.critic, fake, real[part])
            drawn[part] = fake.detach()
            if known is None:
                return loss, {"G": loss}
            missed = self.redrawing_error(known[part], real[part])
            return loss + self.options.anchor_weight * missed, {"G": loss, "redrawn": missed}

        self.discriminator.requires_grad_(False)
        figures = self.update("generator", loss_of)
        self.discriminator.requires_grad_(True)
        return drawn, figures

    def learn_to_redraw(self, anchor: Anchor, real: Tensor, rng: torch.Generator) -> dict[str, float]:
        """One step of the generator before the game begins; figures."""
        known = anchor.latents(real, self.normal(rng, self.latent))

        def loss_of(part: slice) -> Terms:
            missed = self.redrawing_error(known[part], real[part])
            return self.options.anchor_weight * missed, {"redrawn": missed}

        return self.update("generator", loss_of)

    def redrawing_error(self, z: Tensor, real: Tensor) -> Tensor:
        """How far what is drawn from the latents of real pictures is from them, of values in [0, 1]."""
        with self.autocast():
            redrawn = self.plan.redrawn(self.generator, z)
        shown, target = compared_at(self.options.anchor_size, redrawn.float(), real)
        return multi_scale_l1(shown * 0.5 + 0.5, target * 0.5 + 0.5)

    def train_discriminator(
        self, step: int, real: Tensor, rng: torch.Generator, drawn: Tensor | None = None
    ) -> dict[str, float]:
        """One step, against pictures that the generator drew already or draws for it."""
        z = self.normal(rng, self.latent)

        def loss_of(part: slice) -> Terms:
            with self.autocast():
                fake = self.draw(z[part]) if drawn is None else drawn[part]
                loss = self.loss.discriminator_loss(self.critic, real[part], fake)
                figures = {"D": loss}
                beside = self.plan.own_loss(self.discriminator, real[part])
            # Second derivatives in float32.
            penalty = self.loss.penalty(self.critic, real[part], fake, step)
            terms = [term for term in (loss, beside, penalty) if term is not None]
            return torch.stack(terms).sum(), figures

        figures = self.update("discriminator", loss_of)
        self.loss.after_step(self.discriminator)
        return figures

    @torch.no_grad()
    def draw(self, z: Tensor) -> Tensor:
        return self.plan.pictures(self.generator, z).float()

    @torch.no_grad()
    def samples(self, count: int) -> Tensor:
        """What the averaged generator draws for the first latents, N×3×S×S in [0, 1]; always the same z."""
        z = torch.randn(count, self.latent, generator=torch.Generator().manual_seed(0)).to(self.device)
        return self.plan.architecture.output_range.to_unit(self.averages["generator"].network(z))

    def look(self, watch: Watch) -> None:
        self.discriminator.eval()
        watch.measure(self.samples(len(watch)) * 2 - 1, self.critic, self.loss.boundary)
        self.discriminator.train()

    def sheet(self) -> Image.Image:
        return sheet_of(self.samples(64), 8)

    def exports(self) -> list[Export]:
        weights = self.averages["generator"].network.state_dict()
        beside = self.plan.beside(self.generator)
        architecture = self.plan.architecture
        sizes = self.hyperparameters
        hints = {"lr_mlp": sizes["lr_mlp"]} if "lr_mlp" in sizes else {}  # no shape tells it
        return [Export(self.settings.out, architecture, sizes, weights, hints, beside)]

    def extra_state(self) -> dict[str, Any]:
        figures = self.watch.figures if self.watch else {}
        anchor = self.anchor.state() if self.anchor else None
        return {"beside": self.plan.beside(self.generator), "figures": figures, "anchor": anchor}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.plan.load_beside(self.generator, state["beside"])
        if self.watch:
            self.watch.figures = dict(state["figures"])
        if self.anchor and state.get("anchor"):  # the earliest states have none
            self.anchor.load_state(state["anchor"])

    def describe_anchor(self) -> str:
        if not self.anchor:
            return "none"
        size = f", at {self.options.anchor_size} px" if self.options.anchor_size else ""
        return f"{self.anchor.model.identity.id}, weight {self.options.anchor_weight:g}{size}"

    def describe_mixing(self) -> dict[str, str]:
        share = self.plan.mixing
        return {} if share is None else {"style mixing": f"{share:.0%} of the pictures"}

    def describe(self) -> dict[str, str]:
        loss, (rate, judge_rate) = self.loss, self.rates.values()
        penalties = {"clipping": loss.clip, "gradient penalty": loss.lipschitz, "R1": loss.r1, "R2": loss.r2}
        extras = [f"{name} {value:.3g}" for name, value in penalties.items() if value]
        judge = f"{self.plan.judge}, " if self.plan.judge else ""
        norm = "no norm" if loss.norm == "none" else f"{loss.norm} norm"
        return {
            "size": f"{self.size} px",
            "base width": str(self.width),
            "batch": str(self.batch),
            "loss": ", ".join([loss.title, *extras]),
            "anchor": self.describe_anchor(),
            **self.describe_mixing(),
            "discriminator": f"{judge}{norm}, {loss.critics} step(s) for one of the generator",
            "augmentation": described(self.options.augment, self.options.augment_chance),
            "optimiser": f"{loss.optimiser} {rate:g} (discriminator {judge_rate:g}), "
            + (f"betas {loss.betas[0]:g} and {loss.betas[1]:g}, " if loss.optimiser == "Adam" else "")
            + "rates falling over the last third",
            "average": f"EMA {EMA}",
        }
