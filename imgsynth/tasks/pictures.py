"""What tasks hand out: pictures with the record of what made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from imgsynth.families import Model
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.imaging.record import RECORD_KEY, Record
from imgsynth.version import VERSION


@dataclass(frozen=True)
class Picture:
    """A finished picture.

    Attributes:
        image: RGB or RGBA; I;16 for a 16-bit grey photo of which only a part was changed.
        record: what made it.
        name: a file name without ending.
        icc: colour profile to be embedded, where the photo had one.
        notes: plain sentences on what became of the photo when it was read, to show to a person.
    """

    image: Image.Image
    record: Record
    name: str
    icc: bytes | None = None
    notes: tuple[str, ...] = ()


def as_photo(picture: Picture) -> Photo:
    """A result to go on from: the photo that its lossless file would be read as."""
    image = picture.image.copy()
    image.info = {} if picture.icc is None else {"icc_profile": picture.icc}
    return replace(read_photo(image), name=picture.name)


def make_record(
    model: Model,
    task: str,
    request: dict[str, Any],
    photos: Sequence[Photo] = (),
    mask_sha256: str | None = None,
) -> Record:
    """The record of a result: everything that is needed to make it again, and nothing about who made it."""
    return {
        RECORD_KEY: VERSION,
        "task": task,
        "request": request,
        "checkpoint": model.identity.as_record(),
        "device": str(model.device),
        "precision": model.precision,
        "torch": torch.__version__,
        "input_sha256": [p.sha256 for p in photos],
        "mask_sha256": mask_sha256,
    }


def to_images(batch: Tensor) -> list[Image.Image]:
    """float32 N×3×H×W in [0, 1] → 8-bit RGB, rounded to nearest."""
    return [Image.fromarray(pixels) for pixels in to_pixels(batch)]


def to_pixels(batch: Tensor) -> np.ndarray:
    """float32 N×3×H×W in [0, 1] → uint8 N×H×W×3, rounded to nearest."""
    return (batch * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def to_batch(photo: Photo) -> Tensor:
    """A photo's pixels → float32 1×3×H×W in [0, 1]."""
    return as_batch(photo.pixels)


def as_batch(pixels: np.ndarray) -> Tensor:
    """uint8 H×W×3 → float32 1×3×H×W in [0, 1]."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
