"""Masks: bool H×W arrays, True = hole. Read, painted, grown, feathered, shown, or drawn at random."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

from imgsynth.errors import BadMask, BadRequest
from imgsynth.imaging.read import Source, open_upright, unlike_key

_ASPECT_TOLERANCE = 0.01
_BAND_ROWS = 64
_HALF_PAINTED = 128  # of 255: where a brush covers at least half of a pixel, the pixel is painted
_TINT = (225, 29, 72)

Draw = Callable[[ImageDraw.ImageDraw, int, int, np.random.RandomState, float], None]


def read_mask(source: Source, size: tuple[int, int] | None) -> np.ndarray:
    """A mask picture as bool H×W: hole is what is not black or, with alpha, what is not fully transparent.

    Args:
        source: a path, a file's bytes, or a Pillow image.
        size: (width, height) of the photo; a mask of its shape but another size is scaled, pixel by pixel.

    Raises:
        BadImage: the file cannot be opened.
        BadMask: its shape differs from the photo's.
    """
    with open_upright(source) as upright:
        mask = _holes(upright.image) if upright.key is None else unlike_key(upright)
    return mask if size is None else _fitted(mask, size)


def check_mask(mask: np.ndarray) -> None:
    """Refuses a mask that leaves nothing to do, or nothing to do it from.

    Raises:
        BadMask: no hole, or nothing but hole.
    """
    if not mask.any():
        raise BadMask("The mask marks nothing; paint over the part to fill.")
    if mask.all():
        raise BadMask("The mask covers the whole picture; leave some of it to fill from.")


def grow_mask(mask: np.ndarray, pixels: int) -> np.ndarray:
    """The hole widened by a disc: every pixel at most `pixels` (Euclidean) from a hole pixel.

    Raises:
        BadRequest: `pixels` is negative.
    """
    _check_not_negative(pixels, "grow")
    return _squared_distance(mask, pixels) <= pixels * pixels


def feather_weights(mask: np.ndarray, pixels: int) -> np.ndarray:
    """How much of the fill each pixel takes: 1 in the hole, falling linearly with distance outside it.

    The last pixels to take any are those at distance `pixels`, so that the weights' support is exactly
    `grow_mask(mask, pixels)`, and 0 gives the mask itself.

    Returns:
        float32 H×W in [0, 1].

    Raises:
        BadRequest: `pixels` is negative.
    """
    _check_not_negative(pixels, "feather")
    squared = _squared_distance(mask, pixels)
    weights = 1.0 - np.sqrt(squared, dtype=np.float32) / np.float32(pixels + 1)
    return np.where(squared <= pixels * pixels, weights, np.float32(0.0))


def mask_sha256(mask: np.ndarray) -> str:
    """sha256 of the mask as 0/1 bytes, row by row."""
    return hashlib.sha256(np.ascontiguousarray(mask, dtype=bool).view(np.uint8).data).hexdigest()


def brush_mask(layer: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """What was painted on a transparent layer that was shown over the photo, at the photo's size.

    Args:
        layer: with alpha; painted is what is more than half opaque. It may be smaller than the photo.
        size: (width, height) of the photo.
    """
    alpha = layer.convert("RGBA").getchannel("A").resize(size, Image.Resampling.BILINEAR)
    painted: np.ndarray = np.asarray(alpha) >= _HALF_PAINTED
    return painted


def add_to_mask(mask: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """The hole with what a brush painted.

    Raises:
        BadMask: the two have not one size.
    """
    _check_same_size(mask, painted)
    return mask | painted


def take_from_mask(mask: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """The hole without what an eraser painted.

    Raises:
        BadMask: the two have not one size.
    """
    _check_same_size(mask, painted)
    return mask & ~painted


def invert_mask(mask: np.ndarray) -> np.ndarray:
    """Hole and surroundings exchanged."""
    return ~mask.astype(bool, copy=False)


def encode_mask(mask: np.ndarray) -> bytes:
    """A PNG of two colours, white the hole, which `read_mask` reads as the same mask."""
    buffer = BytesIO()
    mask_image(mask).convert("1", dither=Image.Dither.NONE).save(buffer, "PNG")
    return buffer.getvalue()


def tinted(
    pixels: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int] = _TINT, strength: float = 0.5
) -> np.ndarray:
    """A photo that shows where its hole is: a colour laid over the hole.

    Args:
        pixels: uint8 H×W×3.
        mask: bool H×W.
        colour: RGB, 0 to 255.
        strength: 0 shows the photo, 1 the colour alone.

    Returns:
        uint8 H×W×3, a copy.
    """
    shown = pixels.copy()
    under = pixels[mask].astype(np.float32)
    shown[mask] = np.rint(under + (np.array(colour, np.float32) - under) * np.float32(strength))
    return shown


def mask_image(mask: np.ndarray) -> Image.Image:
    """Grey Pillow image: hole 255, keep 0."""
    return Image.fromarray(mask.astype(np.uint8) * np.uint8(255))


def random_strokes(
    height: int, width: int, rng: np.random.RandomState, low: float = 0.1, high: float = 0.2
) -> np.ndarray:
    """Free-form holes: thick random strokes with round ends that cover between `low` and `high` of the area.

    The same `rng` state gives the same mask.

    Raises:
        BadRequest: no number of pixels of so small a picture lies between the two.
    """
    return _drawn_until_covered(height, width, rng, (low, high), _draw_stroke)


def random_boxes(
    height: int, width: int, rng: np.random.RandomState, low: float = 0.1, high: float = 0.2
) -> np.ndarray:
    """As `random_strokes`, of upright rectangles."""
    return _drawn_until_covered(height, width, rng, (low, high), _draw_box)


def _holes(image: Image.Image) -> np.ndarray:
    if image.mode in ("La", "RGBa"):
        return _not_zero(image)[..., -1]
    if image.has_transparency_data:
        return _not_zero(image.convert("RGBA").getchannel("A"))
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # Before any scaling: label maps mark their holes with a mere 1 of 65535.
        return _not_zero(image)
    return np.asarray(_not_zero(image.convert("RGB")).any(axis=2))


def _not_zero(image: Image.Image) -> np.ndarray:
    values: np.ndarray = np.asarray(image)
    return values.astype(bool)


def _fitted(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    (height, width), (to_width, to_height) = mask.shape, size
    if (width, height) == size:
        return mask
    if abs(width * to_height / (height * to_width) - 1.0) > _ASPECT_TOLERANCE:
        raise BadMask(
            f"The mask is {width} × {height} pixels but the photo is {to_width} × {to_height}; "
            "draw the mask on the photo itself, or give both the same shape."
        )
    return _not_zero(mask_image(mask).resize(size, Image.Resampling.NEAREST))


def _check_same_size(mask: np.ndarray, painted: np.ndarray) -> None:
    if mask.shape != painted.shape:
        (height, width), (own_height, own_width) = mask.shape, painted.shape
        raise BadMask(
            f"The mask is {width} × {height} pixels but what was painted {own_width} × {own_height}; "
            "paint on the same photo."
        )


def _check_not_negative(pixels: int, name: str) -> None:
    if pixels < 0:
        raise BadRequest(f"The number of pixels for {name} is {pixels}; it must be 0 or more.")


def _squared_distance(mask: np.ndarray, reach: int) -> np.ndarray:
    """int H×W: squared distance to the nearest hole pixel; exact up to reach², somewhere above it beyond.

    Separable: first the distance within each column, then the best over columns at most `reach` away.
    """
    mask = mask.astype(bool, copy=False)
    kind = np.int32 if 2 * (reach + 1) ** 2 < 2**31 else np.int64  # the largest sum that can come up
    distance = np.full(mask.shape, (reach + 1) ** 2, dtype=kind)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return distance
    # Holes are mostly small: nothing farther than `reach` from their box can change.
    tall = slice(max(0, rows[0] - reach), rows[-1] + reach + 1)
    wide = slice(max(0, columns[0] - reach), columns[-1] + reach + 1)
    within_column = _column_distance(mask[tall, wide], reach).astype(kind) ** 2
    for top in range(0, within_column.shape[0], _BAND_ROWS):  # in bands, which stay in the processor's cache
        band = slice(top, top + _BAND_ROWS)
        distance[tall, wide][band] = _best_over_columns(within_column[band], reach)
    return distance


def _column_distance(mask: np.ndarray, reach: int) -> np.ndarray:
    """int H×W: distance to the nearest hole pixel of the same column, at most reach + 1."""
    height = mask.shape[0]
    kind = np.int32 if 3 * height + 2 * reach < 2**30 else np.int64
    row = np.arange(height, dtype=kind)[:, None]
    nowhere = kind(height + reach + 1)
    above = np.maximum.accumulate(np.where(mask, row, -nowhere), axis=0)
    below = np.minimum.accumulate(np.where(mask, row, height + nowhere)[::-1], axis=0)[::-1]
    distance: np.ndarray = np.minimum(np.minimum(row - above, below - row), reach + 1)
    return distance


def _best_over_columns(squared: np.ndarray, reach: int) -> np.ndarray:
    best = squared.copy()
    width = squared.shape[1]
    for shift in range(1, min(reach, width - 1) + 1):
        np.minimum(best[:, shift:], squared[:, :-shift] + shift * shift, out=best[:, shift:])
        np.minimum(best[:, :-shift], squared[:, shift:] + shift * shift, out=best[:, :-shift])
    return best


def _drawn_until_covered(
    height: int, width: int, rng: np.random.RandomState, share: tuple[float, float], draw: Draw
) -> np.ndarray:
    """Adds shapes until enough is covered; one that covers too much is left out, the next are smaller."""
    least, most = math.ceil(share[0] * height * width), math.floor(share[1] * height * width)
    if not 0 <= least <= most:
        wanted = f"between {share[0]:g} and {share[1]:g} of it"
        raise BadRequest(f"No mask of {width} × {height} pixels covers {wanted}; choose other shares.")
    target = rng.randint(least, most + 1)  # else nearly all masks would end just above the least
    canvas, scale = Image.new("L", (width, height)), 1.0
    while np.count_nonzero(np.asarray(canvas)) < target:
        tried = canvas.copy()
        draw(ImageDraw.Draw(tried), height, width, rng, scale)
        if np.count_nonzero(np.asarray(tried)) <= most:
            canvas = tried
        else:
            scale *= 0.8  # ends at single pixels, so that any share is reached
    return _not_zero(canvas)


def _draw_stroke(
    draw: ImageDraw.ImageDraw, height: int, width: int, rng: np.random.RandomState, scale: float
) -> None:
    side = min(height, width) * scale
    thickness = max(1, round(side * rng.uniform(0.06, 0.16)))
    x, y, heading = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0, 2 * math.pi)
    points = [(x, y)]
    for _ in range(rng.randint(1, 6)):
        heading += rng.uniform(-1.2, 1.2)
        length = side * rng.uniform(0.05, 0.3)
        x = min(max(x + length * math.cos(heading), 0.0), width - 1.0)
        y = min(max(y + length * math.sin(heading), 0.0), height - 1.0)
        points.append((x, y))
    draw.line(points, fill=255, width=thickness)
    for x, y in points:  # round ends and joints
        draw.circle((x, y), (thickness - 1) / 2, fill=255)


def _draw_box(
    draw: ImageDraw.ImageDraw, height: int, width: int, rng: np.random.RandomState, scale: float
) -> None:
    box_height = max(1, round(height * scale * rng.uniform(0.1, 0.45)))
    box_width = max(1, round(width * scale * rng.uniform(0.1, 0.45)))
    top, left = rng.randint(0, height - box_height + 1), rng.randint(0, width - box_width + 1)
    draw.rectangle((left, top, left + box_width - 1, top + box_height - 1), fill=255)
