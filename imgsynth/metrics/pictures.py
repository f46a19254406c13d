"""What a checkpoint makes, as bytes of the size to measure at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from imgsynth.errors import BadRequest, TaskNotOffered
from imgsynth.families import LatentModel, Model
from imgsynth.metrics.pyramid import SMALLEST
from imgsynth.runtime.device import memory_guard
from imgsynth.tasks.sample import labels_of


def to_bytes(pictures: Tensor) -> Tensor:
    """float N×3×H×W in [0, 1] → uint8, rounded to nearest."""
    return (pictures * 255).round().to(torch.uint8)


def to_floats(pictures: Tensor) -> Tensor:
    """uint8 → float32 in [0, 1]."""
    return pictures.float() / 255


def scaled(pictures: Tensor, side: int) -> Tensor:
    """Middle squares, scaled as real pictures are: uint8 N×3×H×W → N×3×side×side."""
    if pictures.shape[-2:] == (side, side):
        return pictures
    images = (Image.fromarray(each.permute(1, 2, 0).numpy()) for each in pictures)
    fitted = [ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS) for image in images]
    return torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in fitted])


def drawn(
    model: LatentModel, seeds: Sequence[int], side: int, psi: float = 1.0, label: int | None = None
) -> Tensor:
    """The pictures of seeds, uint8 N×3×side×side; where there are classes, all in turn unless one is given.

    Raises:
        TaskNotOffered: there are no numbers in what it draws.
        BadRequest: it knows no such class.
    """
    parts = []
    for start in range(0, len(seeds), model.batch):
        some = seeds[start : start + model.batch]
        labels = labels_of(model, some, label)
        with memory_guard():
            batch = model.render(model.latents(some), psi=psi, labels=labels, noise=model.noise(some))
        parts.append(scaled(to_bytes(require_numbers(batch, model)), side))
    return torch.cat(parts)


def require_numbers(pictures: Tensor, model: Model) -> Tensor:
    """Raises TaskNotOffered where a network made values that are no numbers."""
    if not pictures.isfinite().all():
        raise TaskNotOffered(
            f"{model.identity.id} makes values that are no numbers, so there is nothing to measure."
        )
    return pictures


def require_pictures(model: Model) -> None:
    """Raises TaskNotOffered for a network of other channels than pictures have."""
    if not model.tasks:
        takes, gives = model.channels
        raise TaskNotOffered(
            f"{model.identity.id} makes {gives} channels from {takes}, which are no pictures to measure."
        )


def require_size(model: Model) -> None:
    """Raises BadRequest for a network whose pictures are smaller than anything that is measured of them."""
    if model.image_size is not None and model.image_size < SMALLEST:
        raise BadRequest(
            f"{model.identity.id} makes pictures of {model.image_size} px; "
            f"at least {SMALLEST} are needed to measure them."
        )
