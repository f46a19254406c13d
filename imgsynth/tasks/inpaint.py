"""Masked inpainting: only the hole changes.

A large photo is not run whole: networks learnt on crops of 256 or 512 pixels fill best at about that size
(see Kulshreshtha et al. 2022, arXiv:2206.13644), and each pixel run for nothing costs time and memory.
So every part of the hole is cropped with its surroundings at full resolution, filled, and pasted back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from imgsynth.errors import BadMask, ImgsynthError
from imgsynth.families import Inpainter, Model, require_task
from imgsynth.imaging.masks import check_mask, feather_weights, grow_mask, mask_sha256
from imgsynth.imaging.read import Grey16, Photo
from imgsynth.imaging.record import Record
from imgsynth.imaging.regions import Box, Piece, pieces
from imgsynth.runtime.device import memory_guard
from imgsynth.tasks.pictures import Picture, as_batch, make_record, to_pixels
from imgsynth.tasks.requests import InpaintRequest
from imgsynth.tasks.translate import with_alpha

# 1024 × 1024. A photo up to this size is run whole, for its every part may help to fill the hole. Of a larger
# one this much is seen at once; a hole that needs more around it is filled from a scaled-down copy.
MOST_SEEN = 2**20
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R 601, as networks of one channel are fed

Progress = Callable[[int, int], object]


def unheard(done: int, of: int) -> None:
    """Progress that nobody waits for."""


def inpaint(
    model: Model, request: InpaintRequest, photo: Photo, mask: np.ndarray, progress: Progress = unheard
) -> Picture:
    """The photo with its hole filled; every pixel outside the grown and feathered hole is the photo's own.

    Args:
        mask: bool H×W, True = hole.
        progress: called with (pieces done, pieces in all) after each; what it raises stops the work.

    Returns:
        A picture in the photo's own mode: RGB, RGBA, or 16-bit grey.

    Raises:
        TaskNotOffered: the model does not inpaint.
        BadMask: the mask is empty, covers everything or has another size than the photo.
        BadRequest: the network cannot run at the photo's size.
    """
    require_task(model, "inpaint")
    if mask.shape != photo.pixels.shape[:2]:
        raise BadMask(
            f"The mask is {mask.shape[1]}×{mask.shape[0]} and the photo {photo.width}×{photo.height} pixels."
        )
    weights = fill_weights(request, mask)
    hole = weights > 0
    crop = request.crop and hole.size > MOST_SEEN
    grey16 = photo.grey16 if request.depth == 16 else None
    filled = fill(model, photo.pixels, hole, crop, progress)
    # Named only where they matter: records of photos that are run as they always were stay as they were.
    ways = ({"crop": True} if crop else {}) | ({"depth": 16} if grey16 else {})
    record = make_record(model, "inpaint", request.model_dump() | ways, [photo], mask_sha256(hole))
    return composed(photo, grey16, filled, weights, record)


def candidates(
    models: Sequence[Model], request: InpaintRequest, photo: Photo, mask: np.ndarray
) -> Iterator[Picture | ImgsynthError]:
    """The same hole filled by several models, one after the other, as they are asked for.

    Yields:
        A picture a model, numbered in its name, with the record that `inpaint` alone would give it. A model
        that cannot do it yields its reason instead, so that the others are not lost.
    """
    for number, model in enumerate(models, start=1):
        try:
            yield replace(inpaint(model, request, photo, mask), name=f"{photo.name}-{number}")
        except ImgsynthError as error:
            yield error


def fill_weights(request: InpaintRequest, mask: np.ndarray) -> np.ndarray:
    """How much of the fill each pixel takes, float32 H×W; where it is above 0 is the final hole.

    Raises:
        BadMask: the mask is empty, or covers everything once it is grown and feathered.
    """
    check_mask(mask)
    weights = feather_weights(grow_mask(mask, request.grow), request.feather)
    check_mask(weights > 0)
    return weights


def fill(
    model: Model, pixels: np.ndarray, hole: np.ndarray, crop: bool, progress: Progress = unheard
) -> np.ndarray:
    """uint8 H×W×3 with its bool H×W hole filled: whole in one piece, or piece by piece."""
    filled, left = pixels.copy(), hole.copy()
    everything = Box(0, 0, *hole.shape)
    parts = pieces(hole, MOST_SEEN) if crop else [Piece(everything, everything)]
    for done, part in enumerate(parts, start=1):
        fill_piece(model, filled, left, part, MOST_SEEN if crop else None)
        progress(done, len(parts))
    return filled


def fill_piece(model: Model, filled: np.ndarray, left: np.ndarray, part: Piece, most: int | None) -> None:
    """Fills, in place, what is `left` of the hole in a piece; the rest that its window shows stays hole."""
    assert isinstance(model, Inpainter)
    own = left[part.box.slices]
    if not own.any():  # the box of an earlier piece reached as far
        return
    near, hole = filled[part.window.slices], left[part.window.slices]
    with memory_guard():
        predicted = model.inpaint(as_batch(near), torch.from_numpy(hole)[None, None].float(), most)
    inside = part.box.within(part.window).slices
    filled[part.box.slices][own] = to_pixels(predicted[..., *inside])[0][own]
    own[:] = False


def composed(
    photo: Photo, grey16: Grey16 | None, filled: np.ndarray, weights: np.ndarray, record: Record
) -> Picture:
    """What was filled over the photo's own values, or its 16-bit ones, with its alpha and profile."""
    if grey16 is not None:
        grey = filled @ LUMA * np.float32(257)  # 255 becomes 65535
        image, icc = Image.fromarray(composite(grey16.values, grey, weights)), grey16.icc
    else:
        image, icc = with_alpha(composite(photo.pixels, filled, weights), photo), photo.icc
    return Picture(image, record, photo.name, icc, photo.notes)


def composite(photo: np.ndarray, filled: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The fill at weight 1, the photo's own values at weight 0, a blend between.

    Args:
        photo: uint8 or uint16, H×W or H×W×3; the result has its type.
        filled: of the same shape and range.
        weights: float32 H×W in [0, 1].
    """
    hole = weights > 0
    own = photo[hole].astype(np.float32)
    w = weights[hole].reshape(-1, *[1] * (photo.ndim - 2))
    blend = photo.copy()
    blend[hole] = np.rint(own + (filled[hole] - own) * w).astype(photo.dtype)
    return blend
