"""Outpainting: the canvas is extended, and what is new is filled by an inpainting network.

Networks learn on holes with a picture all around, and drift off to some mean colour where one side has none.
So they are shown the photo's mirror image beyond what they fill, which gives it colours to end in. A wide
extension is filled in steps, each of which goes on from the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from imgsynth.errors import BadRequest
from imgsynth.families import Model, require_task
from imgsynth.imaging.masks import mask_sha256
from imgsynth.imaging.read import MAX_PIXELS, Grey16, Photo
from imgsynth.imaging.regions import MARGIN, Box
from imgsynth.tasks.inpaint import MOST_SEEN, Progress, composed, fill, unheard
from imgsynth.tasks.pictures import Picture, make_record
from imgsynth.tasks.requests import OutpaintRequest

# Pixels of the mirror image that are shown; half or twice as many hardly change what is filled.
MIRRORED = 128

Sides = tuple[tuple[int, int], tuple[int, int]]


def outpaint(model: Model, request: OutpaintRequest, photo: Photo, progress: Progress = unheard) -> Picture:
    """The photo on a larger canvas; inside its old borders every pixel is the photo's own.

    Args:
        progress: called with (steps done, steps in all) after each; what it raises stops the work.

    Returns:
        A picture in the photo's own mode: RGB, RGBA (opaque where it is new), or 16-bit grey.

    Raises:
        TaskNotOffered: the model does not inpaint.
        BadRequest: nothing is to be added, the canvas is too large, or the network cannot run at its size.
    """
    require_task(model, "inpaint")
    sides = (request.top, request.bottom), (request.left, request.right)
    check_canvas(photo, sides)
    canvas = extended(photo, sides)
    hole = np.pad(np.zeros(photo.pixels.shape[:2], dtype=bool), sides, constant_values=True)
    known = Box(request.top, request.left, request.top + photo.height, request.left + photo.width)
    filled = fill_outwards(model, canvas.pixels, known, progress)
    record = make_record(model, "outpaint", request.model_dump(), [photo], mask_sha256(hole))
    return composed(canvas, canvas.grey16, filled, hole.astype(np.float32), record)


def check_canvas(photo: Photo, sides: Sides) -> None:
    height, width = photo.height + sum(sides[0]), photo.width + sum(sides[1])
    if (height, width) == (photo.height, photo.width):
        raise BadRequest(
            "Nothing is to be added; say how many pixels to add on the left, top, right or bottom."
        )
    if height * width > MAX_PIXELS:
        raise BadRequest(
            f"The canvas would be {width:,} × {height:,} pixels; pictures may have at most "
            f"{MAX_PIXELS // 1_000_000} million, so add less."
        )


def extended(photo: Photo, sides: Sides) -> Photo:
    """The photo on its new canvas, opaque and with its border repeated where nothing is known yet."""
    alpha, grey16 = photo.alpha, photo.grey16
    return replace(
        photo,
        pixels=np.pad(photo.pixels, (*sides, (0, 0)), mode="edge"),
        alpha=None if alpha is None else np.pad(alpha, sides, constant_values=255),
        grey16=None if grey16 is None else Grey16(np.pad(grey16.values, sides, mode="edge"), grey16.icc),
    )


def fill_outwards(model: Model, pixels: np.ndarray, known: Box, progress: Progress) -> np.ndarray:
    """uint8 H×W×3 with all that is not `known` filled, ring by ring."""
    filled = pixels.copy()
    views = list(rings(known, Box(0, 0, *pixels.shape[:2])))
    for done, view in enumerate(views, start=1):
        filled[view.slices] = fill_ring(model, filled[known.slices], known.within(view), view)
        known = view
        progress(done, len(views))
    return filled


def fill_ring(model: Model, inner: np.ndarray, known: Box, view: Box) -> np.ndarray:
    """uint8 h×w×3 → that with a ring around it, of the size of `view`; `known` is where it lies in there."""
    added = (known.top, view.height - known.bottom), (known.left, view.width - known.right)
    beyond = [tuple(MIRRORED if side else 0 for side in pair) for pair in added]
    shown = np.pad(inner, (*np.add(added, beyond).tolist(), (0, 0)), mode="symmetric")
    own = (slice(beyond[0][0], beyond[0][0] + view.height), slice(beyond[1][0], beyond[1][0] + view.width))
    hole = np.zeros(shown.shape[:2], dtype=bool)
    hole[own] = True
    hole[own][known.slices] = False
    return fill(model, shown, hole, crop=hole.size > MOST_SEEN)[own]


def rings(known: Box, canvas: Box) -> Iterator[Box]:
    """What is known after each step: `MARGIN` more on each side, but never more than was known before it."""
    while known != canvas:
        down, across = min(MARGIN, known.height), min(MARGIN, known.width)
        grown = Box(known.top - down, known.left - across, known.bottom + down, known.right + across)
        known = Box(
            max(grown.top, canvas.top),
            max(grown.left, canvas.left),
            min(grown.bottom, canvas.bottom),
            min(grown.right, canvas.right),
        )
        yield known
