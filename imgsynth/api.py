"""The public Python API; every function here is also a name of the package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from imgsynth.families import Model
from imgsynth.imaging.masks import read_mask
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.runtime.opening import open_checkpoint
from imgsynth.tasks.inpaint import inpaint as inpaint_task
from imgsynth.tasks.interpolate import interpolate as interpolate_task
from imgsynth.tasks.requests import (
    PHOTO,
    InpaintRequest,
    InterpolateRequest,
    PathKind,
    SampleRequest,
    TranslateRequest,
    make_request,
)
from imgsynth.tasks.sample import sample as sample_task
from imgsynth.tasks.translate import translate as translate_task

__all__ = ["inpaint", "interpolate", "open_checkpoint", "sample", "translate"]

PhotoLike = str | Path | bytes | Image.Image


def sample(
    model: Model, seeds: Iterable[int], psi: float = 1.0, label: int | None = None
) -> list[Image.Image]:
    """Draws one picture per seed.

    Args:
        model: from `open_checkpoint`.
        seeds: integers from 0 to 2³²−1.
        psi: truncation, 0 … 2; 1 draws from the whole model.
        label: class to draw, for a model with classes.

    Returns:
        RGB pictures, in the order of the seeds.

    Raises:
        ImgsynthError: with the reason in one sentence.

    Example:
        >>> sample(open_checkpoint("avatars-gan"), seeds=range(16))[0].save("face.png")
    """
    request = make_request(SampleRequest, seeds=list(seeds), psi=psi, label=label)
    return [picture.image for picture in sample_task(model, request)]


def interpolate(
    model: Model,
    keyframes: Sequence[int | PhotoLike],
    frames: int = 120,
    path: PathKind = "slerp",
    loop: bool = False,
    psi: float = 1.0,
) -> Iterator[Image.Image]:
    """Walks through the latents of keyframes.

    Args:
        model: from `open_checkpoint`.
        keyframes: seeds, or photos (paths, bytes, pictures) for a model that encodes them.
        frames: number of frames in all.
        path: "slerp", "lerp" or "spline".
        loop: whether the last keyframe leads back to the first.
        psi: truncation, 0 … 2.

    Returns:
        An iterator of RGB pictures, drawn as they are asked for.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    photos = [read_photo(k) for k in keyframes if not isinstance(k, int | np.integer)]
    names = [int(k) if isinstance(k, int | np.integer) else PHOTO for k in keyframes]
    request = make_request(InterpolateRequest, keyframes=names, frames=frames, path=path, loop=loop, psi=psi)
    return interpolate_task(model, request, photos)


def translate(model: Model, photo: PhotoLike, strength: float = 1.0) -> Image.Image:
    """Repaints a photo in the model's style.

    Args:
        model: from `open_checkpoint`.
        photo: a path, bytes or picture; any size.
        strength: 0 keeps the photo, 1 takes the translation.

    Returns:
        A picture of the same size, RGBA where the photo has alpha.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    return translate_task(model, make_request(TranslateRequest, strength=strength), read_photo(photo)).image


def inpaint(
    model: Model, photo: PhotoLike, mask: PhotoLike | np.ndarray, grow: int = 0, feather: int = 0
) -> Image.Image:
    """Fills the hole of a photo.

    Args:
        model: from `open_checkpoint`.
        photo: a path, bytes or picture; any size.
        mask: a picture whose non-black (or, with alpha, non-transparent) pixels are the hole,
            or a bool array H×W, True = hole.
        grow: pixels by which the hole is widened.
        feather: pixels over which the fill fades into the photo.

    Returns:
        A picture of the same size; outside the grown, feathered hole it equals the photo bit for bit.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    opened = read_photo(photo)
    request = make_request(InpaintRequest, grow=grow, feather=feather)
    return inpaint_task(model, request, opened, as_mask(mask, opened)).image


def as_mask(mask: PhotoLike | np.ndarray, photo: Photo) -> np.ndarray:
    if isinstance(mask, np.ndarray):
        return mask.astype(bool)
    return read_mask(mask, (photo.width, photo.height))
