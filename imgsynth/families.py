"""What a loaded model can do: the four families, their value ranges and size rules.

At a family's edge every image batch is float32 N×3×H×W in [0, 1] and every mask N×1×H×W, 1 = hole.
What the network itself wants is known by its architecture and handled here, once.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from imgsynth.architectures.registry import Architecture, Opened
from imgsynth.errors import BadRequest, TaskNotOffered
from imgsynth.seeds import LARGEST_SEED

# Networks with several stride-2 stages and reflection padding need this many multiples on each side.
LEAST_MULTIPLES = 4
# One forward pass at a time: a cancelled request may still be in the middle of its own.
LANES: defaultdict[torch.device, threading.Lock] = defaultdict(threading.Lock)
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
        """Pictures have one channel (grey) or three; a network of other channels runs natively only."""
        return self.offers if set(self.channels) <= {1, 3} else ()

    @property
    def image_size(self) -> int | None:
        return self.architecture.image_size(self.opened.hyperparameters)

    @property
    def multiple(self) -> int:
        return self.architecture.multiple(self.opened.hyperparameters)

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
        image = self.architecture.output_range.to_unit(native.float()).cpu()
        return image.expand(-1, 3, -1, -1) if image.shape[1] == 1 else image

    def from_unit(self, image: Tensor) -> Tensor:
        """float32 N×3×H×W in [0, 1] → native input on the device; grey is ITU-R 601 luma."""
        if self.channels[0] == 1:
            image = (image * image.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
        return self.architecture.input_range.from_unit(image.to(self.device))


def latent_of_seed(seed: int, shape: Sequence[int]) -> Tensor:
    """The latent that the field's tools draw for a seed: `numpy.random.RandomState(seed).randn(1, z_dim)`."""
    if not 0 <= seed <= LARGEST_SEED:
        raise BadRequest(f"Seeds are whole numbers from 0 to {LARGEST_SEED}, not {seed}.")
    return torch.from_numpy(np.random.RandomState(seed).randn(*shape)).float()


class LatentModel(Model):
    """A model that draws pictures from latents with a standard normal prior."""

    offers = ("sample", "interpolate")

    @property
    def latent_shape(self) -> tuple[int, ...]:
        shape = self.architecture.latent_shape(self.opened.hyperparameters)
        assert shape is not None
        return shape

    @property
    def batch(self) -> int:
        """The one batch size this model runs at: one shape gives a seed the same bits in any company."""
        size = self.image_size or 256
        base = 8 if size <= 128 else 4 if size <= 256 else 1
        return base * 4 if self.device.type == "cuda" else base

    def latents(self, seeds: Sequence[int]) -> Tensor:
        """float32 N×latent_shape on the CPU, one row per seed, whatever the batch, device or order.

        Raises:
            BadRequest: a seed lies outside 0 … 2³²−1.
        """
        return torch.stack([latent_of_seed(s, self.latent_shape) for s in seeds])

    def decode(self, z: Tensor) -> Tensor:
        """Latents on the device → native pictures."""
        return self.network(z)

    @torch.inference_mode()
    def render(self, z: Tensor, psi: float = 1.0) -> Tensor:
        """Latents → float32 N×3×H×W in [0, 1].

        Args:
            z: float32 N×latent_shape.
            psi: truncation: latents move towards their mean, which is 0 (Marchesi 2017; Brock et al. 2019).
        """
        return torch.cat([self._render_padded(chunk * psi) for chunk in z.split(self.batch)])

    def _render_padded(self, z: Tensor) -> Tensor:
        padding = z.new_zeros(self.batch - len(z), *z.shape[1:])
        with self.running():
            native = self.decode(torch.cat([z, padding]).to(self.device))
        return self.to_unit(native)[: len(z)]


class Generator(LatentModel):
    """Noise → picture."""


class Autoencoder(LatentModel):
    """Picture ↔ latent, with a prior to sample from."""

    def decode(self, z: Tensor) -> Tensor:
        network: Any = self.network
        return network.decode(z)

    @torch.inference_mode()
    def encode(self, photos: Tensor) -> Tensor:
        """Photos → the mean of their latents.

        Args:
            photos: float32 N×3×H×W in [0, 1]; any size, the middle square is scaled to the model's.
        """
        size = self.image_size
        if size is not None:
            photos = middle_square(photos, size)
        network: Any = self.network
        with self.running():
            # One at a time: a photo's latent does not depend on its company.
            means = [network.encode(self.from_unit(p[None]))[0] for p in photos]
        return torch.cat(means).float().cpu()


class Translator(Model):
    """Picture → picture of the same size, in another style."""

    offers = ("translate",)

    @torch.inference_mode()
    def translate(self, photos: Tensor) -> Tensor:
        """float32 N×3×H×W in [0, 1], any height and width → the same shape, [0, 1]."""
        height, width = photos.shape[-2:]
        margin = self.architecture.margin(self.opened.hyperparameters)
        padded = pad_to_multiple(F.pad(photos, (margin,) * 4, "replicate"), self.multiple)
        with self.running():
            native = self.network(self.from_unit(padded))
        return self.to_unit(native)[..., :height, :width]


class Inpainter(Model):
    """Picture and hole → picture with the hole filled."""

    offers = ("inpaint",)

    @torch.inference_mode()
    def inpaint(self, photos: Tensor, masks: Tensor) -> Tensor:
        """The prediction for the whole picture; compositing is the caller's.

        Args:
            photos: float32 N×3×H×W in [0, 1], any height and width.
            masks: float32 N×1×H×W, 1 = hole.
        """
        scale = self.scale_for(masks)
        if scale == 1:
            return self._predict(photos, masks)
        size = [max(1, round(side * scale)) for side in photos.shape[-2:]]
        small = F.interpolate(photos, size=size, mode="bilinear", antialias=True).clamp(0, 1)
        # Whatever the hole touches is hole: what should go must not bleed into what is known.
        holes = (F.interpolate(masks, size=size, mode="bilinear", antialias=True) > 0).float()
        predicted = self._predict(small, holes)
        return F.interpolate(predicted, size=photos.shape[-2:], mode="bicubic").clamp(0, 1)

    def scale_for(self, masks: Tensor) -> float:
        """The scale at which the widest part of a hole is no wider than what the network learnt to fill.

        A small network cannot reach across a wide hole; seen from further away, it can. Files that do not
        tell their reach (hint `hole_reach`, pixels) run at full size.
        """
        reach = self.opened.hints.get("hole_reach")
        if not isinstance(reach, int | float) or reach < 1:
            return 1.0
        widest = max(widest_square(mask[0].bool().numpy()) for mask in masks)
        return min(1.0, reach / max(1, widest))

    def _predict(self, photos: Tensor, masks: Tensor) -> Tensor:
        height, width = photos.shape[-2:]
        multiple = self.multiple
        image = self.from_unit(pad_to_multiple(photos, multiple))
        mask = pad_to_multiple(masks, multiple).to(self.device)
        assert self.architecture.assemble is not None
        with self.running():
            native = self.network(self.architecture.assemble(image, mask))
        return self.to_unit(native)[..., :height, :width]


def widest_square(hole: np.ndarray) -> int:
    """Side of the largest square inside the hole of a bool H×W mask, by halving on an integral image."""
    integral = np.pad(hole.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    fits, too_large = 0, min(hole.shape) + 1
    while too_large - fits > 1:
        k = (fits + too_large) // 2
        sums = integral[k:, k:] - integral[:-k, k:] - integral[k:, :-k] + integral[:-k, :-k]
        fits, too_large = (k, too_large) if (sums == k * k).any() else (fits, k)
    return fits


def middle_square(photos: Tensor, size: int) -> Tensor:
    """The largest middle square of N×C×H×W, scaled to size×size with antialiasing."""
    height, width = photos.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = photos[..., top : top + side, left : left + side]
    if side == size:
        return square
    return F.interpolate(square, size=(size, size), mode="bilinear", antialias=True).clamp(0, 1)


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Repeats the right and bottom border until height and width are multiples, and large enough to run."""
    least = multiple * LEAST_MULTIPLES
    height, width = (max(least, -(-side // multiple) * multiple) for side in x.shape[-2:])
    return F.pad(x, (0, width - x.shape[-1], 0, height - x.shape[-2]), mode="replicate")


FAMILIES: dict[str, type[Model]] = {
    "generator": Generator,
    "autoencoder": Autoencoder,
    "translator": Translator,
    "inpainter": Inpainter,
}


def wrap(opened: Opened, identity: Identity, device: torch.device, precision: str) -> Model:
    """The family of an opened network."""
    return FAMILIES[opened.architecture.family](opened, identity, device, precision)


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
