"""Large pictures in overlapping tiles: where they lie, and how much of each one counts where."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

# Pixels over which one tile fades into the next. What is left to hide is rounding, and upsampling whose
# samples lie by the size of its input, so a narrow band will do.
RAMP = 32


@dataclass(frozen=True)
class Tile:
    """A part of a picture.

    Attributes:
        rows, columns: what is handed to the network, its surroundings included.
        row_weights, column_weights: float32, one per row and column. The outer products of all tiles sum to 1
            at every pixel; they are 0 where a tile's own edge shows.
    """

    rows: slice
    columns: slice
    row_weights: np.ndarray
    column_weights: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """float32 h×w."""
        return np.outer(self.row_weights, self.column_weights)


def least_side(trim: int, multiple: int) -> int:
    """The smallest tile of which a quarter or more is not surroundings."""
    return rounded_up(2 * (2 * trim + RAMP + multiple), multiple)


def rounded_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def lay_tiles(height: int, width: int, side: int, trim: int, multiple: int) -> list[Tile]:
    """Tiles that cover a picture, row by row.

    Args:
        side: of a tile, a multiple of `multiple` and no less than `least_side`; a shorter picture gets tiles
            of its own length.
        trim: pixels at a tile's edges that are not to be used, save where the edge is the picture's own.
        multiple: what every tile's first row and column is a multiple of, so that layers which halve the
            picture group the same pixels as they do in the whole.

    Raises:
        ValueError: the tiles are too small.
    """
    if side < least_side(trim, multiple) or side % multiple:
        raise ValueError(f"tiles of {side} pixels do not do for a trim of {trim}")
    rows, columns = (_bands(length, side, trim, multiple) for length in (height, width))
    return [Tile(r, c, v, h) for (r, v), (c, h) in itertools.product(rows, columns)]


def spread_windows(
    height: int, width: int, side: int, trim: int, multiple: int, most: int
) -> list[tuple[slice, slice]]:
    """At most `most` windows of one size, spread evenly over a picture; rows and columns of each.

    Args:
        side, trim, multiple: as for `lay_tiles`. Windows overlap only where their middles, without the trim,
            would leave gaps otherwise.
    """
    rows_that_fit, columns_that_fit = (math.ceil(length / (side - 2 * trim)) for length in (height, width))
    down = min(max(1, round(math.sqrt(most * height / width))), most, rows_that_fit)
    across = min(most // down, columns_that_fit)
    down = min(most // across, rows_that_fit)
    rows, columns = (_spread(length, side, n, multiple) for length, n in ((height, down), (width, across)))
    return list(itertools.product(rows, columns))


def _bands(length: int, side: int, trim: int, multiple: int) -> list[tuple[slice, np.ndarray]]:
    starts = _starts(length, side, 2 * trim + RAMP, multiple)
    bands = [slice(start, min(start + side, length)) for start in starts]
    weights = [_trapezium(band, length, trim) for band in bands]
    total = np.zeros(length)
    for band, weight in zip(bands, weights, strict=True):
        total[band] += weight
    return [(b, (w / total[b]).astype(np.float32)) for b, w in zip(bands, weights, strict=True)]


def _starts(length: int, side: int, overlap: int, multiple: int) -> list[int]:
    if length <= side:
        return [0]
    last = rounded_up(length - side, multiple)
    steps = math.ceil(last / (side - overlap - multiple))  # rounding widens a step by less than a multiple
    return [i * last // steps // multiple * multiple for i in range(steps + 1)]


def _trapezium(band: slice, length: int, trim: int) -> np.ndarray:
    """1 in the middle, falling to 0 for the last `trim` pixels before an edge inside the picture."""
    place = np.arange(band.stop - band.start)
    weights = np.ones(len(place))
    for inside, distance in ((band.start > 0, place), (band.stop < length, place[::-1])):
        if inside:
            weights = np.minimum(weights, np.clip((distance + 1 - trim) / (RAMP + 1), 0, 1))
    return weights


def _spread(length: int, side: int, count: int, multiple: int) -> list[slice]:
    """In the middle of equal cells, moved inside where that would reach beyond the picture."""
    if length <= side:
        return [slice(0, length)]
    middles = [(2 * i + 1) * length / (2 * count) for i in range(count)]
    starts = [int(min(max(0, middle - side / 2), length - side)) // multiple * multiple for middle in middles]
    return [slice(start, start + side) for start in starts]
