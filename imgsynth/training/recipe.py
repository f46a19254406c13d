"""What every recipe has in common: settings, networks with their averages, optimisers, state."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from imgsynth.architectures.registry import Architecture, Hyperparameters, StateDict


@dataclass(frozen=True)
class Settings:
    """What a person can choose for a run; `None` leaves the recipe's own default.

    Attributes:
        data, data_b: folders or tars of images (domain B for CycleGAN).
        out, out_back: where the checkpoint goes (B→A for CycleGAN).
        size: side of the training crops in pixels.
        width: base width of the network.
        batch: images a step.
        holdout: part of each source, last by name, kept untrained.
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
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True)
class Export:
    """A network to ship: where, of which architecture, its averaged weights and what no shape tells."""

    out: Path
    architecture: Architecture
    hyperparameters: Hyperparameters
    weights: StateDict
    hints: Mapping[str, Any] = field(default_factory=dict)


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
    goes on exactly as the uninterrupted one would have.
    """

    name: str
    batch: int
    memory_format = torch.channels_last

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = settings.device
        self.parts: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.averages: dict[str, Average] = {}
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
        """The generator of one step; also reseeds the global one, which augmentation and dropout use."""
        number = (self.settings.seed * 1_000_003 + step) % 2**32
        torch.manual_seed(number)
        return torch.Generator().manual_seed(number)

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
        return {
            "parts": {k: v.state_dict() for k, v in self.parts.items()},
            "averages": {k: v.network.state_dict() for k, v in self.averages.items()},
            "optimisers": {k: v.state_dict() for k, v in self.optimisers.items()},
            "extra": self.extra_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        for name, average in self.averages.items():
            average.network.load_state_dict(state["averages"][name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.load_extra_state(state["extra"])


def sheet_of(images: Tensor, columns: int) -> Image.Image:
    """N×3×H×W in [0, 1] → one picture, row by row."""
    from torchvision.utils import make_grid

    grid = make_grid(images.float().clamp(0, 1).cpu(), nrow=columns, padding=2, pad_value=1.0)
    return Image.fromarray((grid.permute(1, 2, 0) * 255).round().byte().numpy())
