"""What every loaded model has: a network on a device, its identity, its value ranges."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from imgsynth.architectures.registry import Architecture, Opened
from imgsynth.errors import TaskNotOffered

# Networks with several stride-2 stages and reflection padding need this many multiples on each side.
LEAST_MULTIPLES = 4
# One forward pass at a time: a cancelled request may still be in the middle of its own.
LANES: defaultdict[torch.device, threading.Lock] = defaultdict(threading.Lock)
if hasattr(os, "register_at_fork"):  # nobody would release, in a forked process, what others held
    os.register_at_fork(after_in_child=LANES.clear)
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Identity:
    """Which weights a model has; goes into every record."""

    id: str
    source: str
    file: str
    revision: str | None
    sha256: str

    def as_record(self) -> dict[str, Any]:
        return asdict(self)


class Model:
    """A network with its weights on a device.

    Attributes:
        network: the torch module, in its native value range and layout.
        identity: which weights it has.
        device, precision: where and how it runs.
        tasks: what it can do.
    """

    offers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, opened: Opened, identity: Identity, device: torch.device, precision: str) -> None:
        self.opened = opened
        self.identity = identity
        self.device = device
        self.precision = precision
        self.network = opened.network.to(device)

    @property
    def architecture(self) -> Architecture:
        return self.opened.architecture

    @property
    def channels(self) -> tuple[int, int]:
        return self.architecture.channels(self.opened.hyperparameters)

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.tasks_for(self.opened)

    @classmethod
    def tasks_for(cls, opened: Opened) -> tuple[str, ...]:
        """Pictures have one channel (grey) or three; a network of other channels runs natively only."""
        channels = opened.architecture.channels(opened.hyperparameters)
        return cls.offers if set(channels) <= {1, 3} else ()

    @property
    def image_size(self) -> int | None:
        return self.architecture.image_size(self.opened.hyperparameters)

    @property
    def multiple(self) -> int:
        return self.architecture.multiple(self.opened.hyperparameters)

    @property
    def least(self) -> int:
        """The smallest side that the network runs at."""
        return self.architecture.least(self.opened.hyperparameters) or LEAST_MULTIPLES * self.multiple

    def padded(self, images: Tensor) -> Tensor:
        """N×C×H×W with its right and bottom border repeated until the network can take it."""
        return pad_to(images, self.multiple, self.least)

    @property
    def bytes_in_memory(self) -> int:
        tensors = [*self.network.parameters(), *self.network.buffers()]
        return sum(t.numel() * t.element_size() for t in tensors)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The device to oneself, and reduced precision through autocast, for CPU and GPU alike."""
        dtype = DTYPES.get(self.precision)
        with LANES[self.device], torch.autocast(self.device.type, dtype) if dtype else nullcontext():
            yield

    def to_unit(self, native: Tensor) -> Tensor:
        """Native output → float32 N×3×H×W in [0, 1] on the CPU; grey is repeated."""
        image = self.opened.output_range.to_unit(native.float()).cpu()
        return image.expand(-1, 3, -1, -1) if image.shape[1] == 1 else image

    def from_unit(self, image: Tensor) -> Tensor:
        """float32 N×3×H×W in [0, 1] → native input on the device; grey is ITU-R 601 luma."""
        if self.channels[0] == 1:
            image = (image * image.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
        return self.opened.input_range.from_unit(image.to(self.device))


def pad_to(x: Tensor, multiple: int, least: int) -> Tensor:
    """Repeats the right and bottom border until height and width are multiples, and large enough to run."""
    height, width = (-(-max(least, side) // multiple) * multiple for side in x.shape[-2:])
    return F.pad(x, (0, width - x.shape[-1], 0, height - x.shape[-2]), mode="replicate")


ABILITIES = {
    "sample": "draw samples",
    "interpolate": "interpolate",
    "translate": "translate photos",
    "inpaint": "fill holes",
}


def require_task(model: Model, task: str) -> None:
    """Raises TaskNotOffered, saying what the model can do instead, unless it offers the task."""
    if task in model.tasks:
        return
    offered = " and ".join(ABILITIES[t] for t in model.tasks) or "do nothing in the app"
    raise TaskNotOffered(
        f"{model.identity.id} cannot {ABILITIES[task]}; it can {offered}, so choose another checkpoint."
    )
