"""Where to look on a large photo: the parts of a hole, each with enough around it to fill it from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

# What is seen on each side of a part, at least: a tiny hole then has the 512 px around it that networks of
# one size want, and a part of 512 px is seen whole in 1024 × 1024.
MARGIN = 256
# Parts of a long thin hole are at most this long, so that with their margins they stay within 1024 × 1024.
LONGEST_PART = 512
# Parts nearer to each other than this share most of what is around them: a grid of such blocks finds them.
BLOCK = 64


@dataclass(frozen=True, order=True)
class Box:
    """Rows from `top` and columns from `left`, up to but without `bottom` and `right`."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def area(self) -> int:
        return self.height * self.width

    def __or__(self, other: Box) -> Box:
        """The smallest box that holds both."""
        top, left = min(self.top, other.top), min(self.left, other.left)
        return Box(top, left, max(self.bottom, other.bottom), max(self.right, other.right))

    def overlaps(self, other: Box) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def within(self, other: Box) -> Box:
        """The same place, counted from the corner of `other`."""
        top, left = self.top - other.top, self.left - other.left
        return Box(top, left, top + self.height, left + self.width)


@dataclass(frozen=True)
class Piece:
    """One step of filling a hole.

    Attributes:
        box: what is filled: the hole's pixels in here that no earlier piece has filled.
        window: what the network sees of the picture to do so; it holds `box`.
    """

    box: Box
    window: Box


def pieces(hole: np.ndarray, most: int) -> list[Piece]:
    """The parts of a bool H×W hole, in an order in which each can see what those before it were filled with.

    Parts whose windows overlap are one piece, where both fit into one window. A long thin part that does not
    fit is cut in pieces; a thick one stays whole, for nothing sensible can be made up from one side of it,
    and its window is then larger than `most`. Those with the fewest pixels come first: they are the surest.

    Args:
        most: pixels that a network should see at once.
    """
    boxes: list[Box] = []
    for box in joined(hole_boxes(hole), hole.shape, most):
        too_long = window_of(box, hole.shape).area > most and not is_wider_than(hole[box.slices], MARGIN)
        boxes += cut(hole, box) if too_long else [box]
    boxes.sort(key=lambda box: (np.count_nonzero(hole[box.slices]), box))
    return [Piece(box, window_of(box, hole.shape)) for box in boxes]


def window_of(box: Box, shape: Sequence[int]) -> Box:
    """The box with its surroundings: as much again as it is long, `MARGIN` at least, inside H×W.

    At the picture's border it is moved inwards rather than cut off, so that as much is seen there.
    """
    margin = max(MARGIN, max(box.height, box.width) // 2)
    heights = moved_inside(box.top - margin, box.bottom + margin, shape[0])
    widths = moved_inside(box.left - margin, box.right + margin, shape[1])
    return Box(heights[0], widths[0], heights[1], widths[1])


def moved_inside(start: int, end: int, length: int) -> tuple[int, int]:
    size = min(end - start, length)
    start = max(0, min(start, length - size))
    return start, start + size


def hole_boxes(hole: np.ndarray) -> list[Box]:
    """Bounding boxes of the connected parts of a bool H×W hole, exact to the pixel.

    Parts in blocks that touch are one part: that is exact enough, for `joined` would join them anyway.
    """
    rows, columns = (np.arange(0, side, BLOCK) for side in hole.shape)
    touched = np.logical_or.reduceat(np.logical_or.reduceat(hole, rows, axis=0), columns, axis=1)
    return [tightened(hole, box_of(part, BLOCK)) for part in connected(touched)]


def connected(touched: np.ndarray) -> list[list[tuple[int, int]]]:
    """The 8-connected parts of a small bool array as lists of places, the topmost part first."""
    places: list[tuple[int, int]] = [(y, x) for y, x in np.argwhere(touched).tolist()]
    left = set(places)
    return [flood(place, left) for place in places if place in left]


def flood(start: tuple[int, int], left: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Takes out of `left` all places that hang together with `start`."""
    left.discard(start)
    found, waiting = [start], [start]
    while waiting:
        y, x = waiting.pop()
        near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
        left -= near
        found += near
        waiting += near
    return found


def box_of(places: Sequence[tuple[int, int]], unit: int) -> Box:
    """The box around squares of `unit` pixels at these places."""
    ys, xs = [y for y, _ in places], [x for _, x in places]
    return Box(min(ys) * unit, min(xs) * unit, (max(ys) + 1) * unit, (max(xs) + 1) * unit)


def tightened(hole: np.ndarray, box: Box) -> Box:
    """The box around the hole's pixels in a box that has some."""
    inside = hole[box.slices]
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    top, left = box.top + int(rows[0]), box.left + int(columns[0])
    return Box(top, left, box.top + int(rows[-1]) + 1, box.left + int(columns[-1]) + 1)


def joined(boxes: Iterable[Box], shape: Sequence[int], most: int) -> list[Box]:
    """Joins boxes whose windows overlap, as long as their common window has at most `most` pixels."""
    kept: list[Box] = []
    for box in boxes:
        while partner := next((other for other in kept if fit_together(box, other, shape, most)), None):
            kept.remove(partner)
            box |= partner
        kept.append(box)
    return kept


def fit_together(a: Box, b: Box, shape: Sequence[int], most: int) -> bool:
    return window_of(a, shape).overlaps(window_of(b, shape)) and window_of(a | b, shape).area <= most


def cut(hole: np.ndarray, box: Box) -> list[Box]:
    """A box in parts of at most `LONGEST_PART` pixels a side, without those that hold nothing of the hole."""
    rows, columns = edges(box.top, box.bottom), edges(box.left, box.right)
    parts = [Box(top, left, low, right) for top, low in pairwise(rows) for left, right in pairwise(columns)]
    return [tightened(hole, part) for part in parts if hole[part.slices].any()]


def edges(start: int, end: int) -> list[int]:
    """From `start` to `end` in the fewest even steps of at most `LONGEST_PART`."""
    count = -(-(end - start) // LONGEST_PART)
    return [start + i * (end - start) // count for i in range(count + 1)]


def widest_square(hole: np.ndarray) -> int:
    """Side of the largest square inside the hole of a bool H×W mask, by halving on an integral image."""
    integral = integral_of(hole)
    fits, too_large = 0, min(hole.shape) + 1
    while too_large - fits > 1:
        k = (fits + too_large) // 2
        fits, too_large = (k, too_large) if has_square(integral, k) else (fits, k)
    return fits


def is_wider_than(hole: np.ndarray, side: int) -> bool:
    """Whether a square of more than `side` pixels lies inside the hole."""
    return min(hole.shape) > side and has_square(integral_of(hole), side + 1)


def integral_of(hole: np.ndarray) -> np.ndarray:
    """int32 (H+1)×(W+1): how many hole pixels lie above and left of each corner."""
    counts: np.ndarray = hole.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32)
    return np.pad(counts, ((1, 0), (1, 0)))


def has_square(integral: np.ndarray, k: int) -> bool:
    sums = integral[k:, k:] - integral[:-k, k:] - integral[k:, :-k] + integral[:-k, :-k]
    return bool((sums == k * k).any())
