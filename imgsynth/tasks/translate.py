"""Unpaired translation: a photo repainted, at its own size, with its alpha and colour profile."""

from __future__ import annotations

import numpy as np
from PIL import Image

from imgsynth.errors import BadRequest
from imgsynth.families import Codec, Model, Translator, require_task
from imgsynth.imaging.read import Photo
from imgsynth.runtime.device import memory_guard
from imgsynth.tasks.pictures import Picture, make_record, to_batch, to_pixels
from imgsynth.tasks.requests import TranslateRequest

# A CycleGAN holds about 1 kB per pixel while it runs; most machines have no memory for more than this.
MOST_PIXELS = 13_000_000


def check_size(photo: Photo) -> None:
    """Raises BadRequest for a photo that is too large to be run in one piece."""
    if photo.width * photo.height > MOST_PIXELS:
        raise BadRequest(
            f"{photo.name} has {photo.width * photo.height / 1e6:.0f} megapixels; "
            f"scale it to {MOST_PIXELS // 1_000_000} or fewer."
        )


def translate(model: Model, request: TranslateRequest, photo: Photo) -> Picture:
    """The photo in the model's style.

    Raises:
        TaskNotOffered: the model does not translate.
        BadRequest: the photo is too large.
    """
    require_task(model, "translate")
    assert isinstance(model, Translator | Codec)
    check_size(photo)
    batch = to_batch(photo)
    with memory_guard():
        result = model.translate(batch)
    # At full strength the sum would only add rounding noise.
    mixed = result if request.strength == 1 else batch + (result - batch) * request.strength
    image = with_alpha(to_pixels(mixed)[0], photo)
    record = make_record(model, "translate", request.model_dump(), [photo])
    return Picture(image, record, photo.name, photo.icc)


def with_alpha(pixels: np.ndarray, photo: Photo) -> Image.Image:
    """uint8 H×W×3 with the photo's own alpha, if it has one."""
    if photo.alpha is None:
        return Image.fromarray(pixels)
    return Image.fromarray(np.dstack([pixels, photo.alpha]))
