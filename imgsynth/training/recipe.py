"""What every recipe has in common: settings, networks with their averages, optimisers, state."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from imgsynth.architectures.registry import Architecture, Hyperparameters, StateDict
from imgsynth.training import parallel
from imgsynth.training.data import ImageSet, load
from imgsynth.training.microbatch import MicroBatches, Terms


@dataclass(frozen=True)
class Settings:
    """What a person can choose for a run; `None` leaves the recipe's own default.

    Attributes:
        data, data_b: folders, tars or Hub datasets of images (domain B for CycleGAN).
        out, out_back: where the checkpoint goes (B→A for CycleGAN).
        size: side of the training crops in pixels.
        width: base width of the network.
        batch: images a step, in each process.
        holdout: part of each source, last by name, kept untrained.
        init: weights to start from, in the spelling of our own networks.
        init_sizes: hyper-parameters of the networks they came from, where these are known.
        options: what else the recipe of that name can be told, by the names of `training.options`.
    """

    data: tuple[Path, ...]
    out: Path
    data_b: tuple[Path, ...] = ()
    out_back: Path | None = None
    size: int | None = None
    width: int | None = None
    batch: int | None = None
    holdout: float = 0.1
    seed: int = 0
    init: tuple[StateDict, ...] = ()
    init_sizes: tuple[Hyperparameters, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True)
class Export:
    """A network to ship: where, of which architecture, its averaged weights and what no shape tells.

    Attributes:
        beside: tensors that lie beside the weights in the file, in float32, such as `latent_avg`.
    """

    out: Path
    architecture: Architecture
    hyperparameters: Hyperparameters
    weights: StateDict
    hints: Mapping[str, Any] = field(default_factory=dict)
    beside: StateDict = field(default_factory=dict)


class Average:
    """Exponential moving average of a network's weights and buffers (Yazıcı et al. 2019)."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Moves towards `network`; early steps move faster, so that the first weights are soon forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for ours, theirs in zip(
            self.network.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if ours.is_floating_point():
                ours.lerp_(theirs, 1 - decay)
            else:
                ours.copy_(theirs)


class Recipe:
    """One way to train: subclasses build networks and take steps; the loop in `run.py` does the rest.

    Every step draws its random numbers from a generator seeded by (seed, step), so a resumed run
    goes on exactly as the uninterrupted one would have. What differs from sample to sample is drawn
    through `normal` and `ImageSet.batch`, and every optimiser steps through `update`: several processes
    (parallel.py) and batches too large for the memory (microbatch.py) then need no word in a recipe.

    Attributes:
        batch: images a step, in each process.
        hyperparameters: of the networks that are shipped.
    """

    name: str
    batch: int
    memory_format = torch.channels_last

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = settings.device
        self.hyperparameters: Hyperparameters = {}
        self.parts: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.averages: dict[str, Average] = {}
        self._micro_batches: MicroBatches | None = None
        self._squares: tuple[int, ImageSet] | None = None
        torch.manual_seed(settings.seed)

    def add(self, name: str, network: nn.Module, ema: float | None = None) -> Any:
        """Registers a network, and its average if it is to be shipped; returns it on the device."""
        self.parts[name] = network.to(self.device, memory_format=self.memory_format)  # type: ignore[call-overload]
        if ema is not None:
            self.averages[name] = Average(network, ema)
        return network

    def adam(
        self, name: str, *networks: nn.Module, rate: float, betas: tuple[float, float]
    ) -> torch.optim.Adam:
        parameters = [p for n in networks for p in n.parameters()]
        self.optimisers[name] = optimiser = torch.optim.Adam(parameters, rate, betas)
        return optimiser

    def set_rate(self, rate: float, *names: str) -> None:
        """Sets the learning rate of the named optimisers, or of all."""
        for name in names or self.optimisers:
            for group in self.optimisers[name].param_groups:
                group["lr"] = rate

    def autocast(self) -> torch.autocast:
        """bfloat16 where it pays: GPUs, and CPUs with AVX-512 bf16 or AMX."""
        if self.device.type == "cuda":
            return torch.autocast("cuda", torch.bfloat16)
        fast = (
            torch.backends.cpu.get_cpu_capability() == "AVX512"
            and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        )
        return torch.autocast("cpu", torch.bfloat16, enabled=bool(fast))

    def rng(self, step: int) -> torch.Generator:
        """The generator of one step, the same in every process.

        Also reseeds the global one, which augmentation and dropout use: that differs from process to process,
        and from the step's own in the first one too, whose latents it would else repeat.
        """
        number = (self.settings.seed * 1_000_003 + step) % 2**32
        torch.manual_seed((number + (parallel.rank() + 1) * 0x9E3779B1) % 2**32)
        return torch.Generator().manual_seed(number)

    def squares(self, side: int) -> ImageSet:
        """The training pictures cut to squares; those of the side that is asked for first are kept."""
        if self._squares and self._squares[0] == side:
            return self._squares[1]
        images = load(self.settings.data, side, True, self.settings.holdout)
        self._squares = self._squares or (side, images)
        return images

    def normal(self, rng: torch.Generator, *shape: int) -> Tensor:
        """batch×shape normal numbers on the device: this process's part of those of the whole batch."""
        drawn = torch.randn(self.batch * parallel.world_size(), *shape, generator=rng)
        return drawn[parallel.own(self.batch)].to(self.device)

    @property
    def micro_batches(self) -> MicroBatches:
        """How much of the batch is taken at once."""
        if self._micro_batches is None:  # the batch is known once a subclass has been made
            self._micro_batches = MicroBatches(self.batch)
        return self._micro_batches

    def update(
        self, name: str, loss_of: Callable[[slice], Terms], clip: float | None = None
    ) -> dict[str, float]:
        """One step of an optimiser, down the mean of a loss over the batch of all processes.

        Args:
            name: of the optimiser.
            loss_of: the mean loss over a part of this process's batch (a slice of its samples), and figures
                for the log. It may be called for smaller parts, and again for one that it has seen.
            clip: the greatest norm of the gradient.

        Returns:
            The figures, means over this process's batch.

        Raises:
            OutOfMemory: not even one sample fits into memory.
        """
        optimiser = self.optimisers[name]
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        figures = self.micro_batches.backward(loss_of, clear=optimiser.zero_grad)
        parallel.average_gradients(parameters)
        if clip is not None:
            nn.utils.clip_grad_norm_(parameters, clip)
        optimiser.step()
        return figures

    def update_averages(self, step: int) -> None:
        for name, average in self.averages.items():
            average.update(self.parts[name], step)

    def step(self, step: int, progress: float) -> dict[str, float]:
        """One update of all networks; `progress` is the part of the run that is done, in [0, 1)."""
        raise NotImplementedError

    def sheet(self) -> Image.Image:
        """A picture of what the averaged networks do now."""
        raise NotImplementedError

    def exports(self) -> list[Export]:
        """The checkpoints that the run makes."""
        raise NotImplementedError

    def describe(self) -> dict[str, str]:
        """Settings for the card, name → value."""
        raise NotImplementedError

    def extra_state(self) -> dict[str, Any]:
        """What else a resumed run needs (tensors and plain values only)."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Takes back what `extra_state` gave."""

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs; every process must ask for it at the same step."""
        extra, *others = parallel.gather(self.extra_state())
        return {
            "parts": {k: v.state_dict() for k, v in self.parts.items()},
            "averages": {k: v.network.state_dict() for k, v in self.averages.items()},
            "optimisers": {k: v.state_dict() for k, v in self.optimisers.items()},
            "extra": extra,
            "others": others,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        for name, average in self.averages.items():
            average.network.load_state_dict(state["averages"][name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        extras = [state["extra"], *state.get("others", ())]
        self.load_extra_state(extras[parallel.rank() % len(extras)])


def sheet_of(images: Tensor, columns: int) -> Image.Image:
    """N×3×H×W in [0, 1] → one picture, row by row."""
    from torchvision.utils import make_grid

    grid = make_grid(images.float().clamp(0, 1).cpu(), nrow=columns, padding=2, pad_value=1.0)
    return Image.fromarray((grid.permute(1, 2, 0) * 255).round().byte().numpy())
