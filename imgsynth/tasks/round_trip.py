"""A photo there and back again, and by several models: what translators keep, and how they differ."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from imgsynth.errors import BadImage
from imgsynth.families import Model
from imgsynth.families.tiling import Progress
from imgsynth.imaging.read import Photo
from imgsynth.tasks.pictures import Picture, as_photo, make_record
from imgsynth.tasks.requests import TranslateRequest
from imgsynth.tasks.translate import translate, translator

# Differences of a few levels out of 255 are invisible as they are.
AMPLIFICATION = 4


@dataclass(frozen=True)
class RoundTrip:
    """A→B, A→B→A, and what was lost on the way.

    Attributes:
        there, back: the two translations.
        difference: the photo against `back`, amplified `AMPLIFICATION` times.
        psnr: of the same two, in decibels; infinite where they are equal.
    """

    there: Picture
    back: Picture
    difference: Picture
    psnr: float


def round_trip(
    there: Model, back: Model, request: TranslateRequest, photo: Photo, progress: Progress | None = None
) -> RoundTrip:
    """A photo through a pair of translators, as in CycleGAN's cycle loss (Zhu et al. 2017, arXiv:1703.10593).

    The way back starts from the 8-bit picture that a person sees, so each step can be made again by itself
    from its record: `back` from `there`, `difference` from the photo and `back`.

    Args:
        progress: as for `translate`, once for each way.

    Raises:
        TaskNotOffered: one of the models does not translate; said before any work.
        ImgsynthError: as `translate`.
    """
    for model in (there, back):
        translator(model)
    forth = replace(translate(there, request, photo, progress), name=f"{photo.name}-there")
    returned = replace(translate(back, request, as_photo(forth), progress), name=f"{photo.name}-back")
    home = as_photo(returned)
    return RoundTrip(forth, returned, difference(back, photo, home), psnr(photo.pixels, home.pixels))


def difference(model: Model, photo: Photo, other: Photo, amplification: int = AMPLIFICATION) -> Picture:
    """How far two pictures lie apart in each colour, amplified; black where they are equal.

    Args:
        model: whose result `other` is; named in the record, and not run.

    Raises:
        BadImage: the pictures differ in size.
    """
    if photo.pixels.shape != other.pixels.shape:
        raise BadImage(f"{photo.name} and {other.name} differ in size, so they cannot be compared.")
    apart = np.abs(photo.pixels.astype(np.int16) - other.pixels) * amplification
    image = Image.fromarray(np.minimum(apart, 255).astype(np.uint8))
    record = make_record(model, "translate", {"difference": amplification}, [photo, other])
    return Picture(image, record, f"{photo.name}-difference")


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of uint8 arrays of one shape, in decibels; infinite where they are equal."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf


def compare(
    models: Sequence[Model], request: TranslateRequest, photo: Photo, progress: Progress | None = None
) -> Iterator[Picture]:
    """The photo by each model in turn, as soon as it is made; named after photo and model.

    Args:
        progress: as for `translate`, once for each model.

    Raises:
        TaskNotOffered: one of the models does not translate; said before any work.
        ImgsynthError: as `translate`.
    """
    for model in models:
        translator(model)
    return (
        replace(translate(m, request, photo, progress), name=f"{photo.name}-{file_name(m)}") for m in models
    )


def file_name(model: Model) -> str:
    """The model's id, fit for the name of a file on any disk."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model.identity.id)
