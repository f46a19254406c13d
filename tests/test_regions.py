"""Parts of a hole on a large photo: none is missed, each sees enough, and none sees more than it may."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from imgsynth.imaging.regions import (
    BLOCK,
    LONGEST_PART,
    MARGIN,
    Box,
    connected,
    hole_boxes,
    is_wider_than,
    pieces,
    window_of,
)

LARGE = (3000, 4000)
MOST = 2**20


def hole_of(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = LARGE) -> np.ndarray:
    """bool H×W with these boxes (top, left, bottom, right) as holes."""
    hole = np.zeros(shape, dtype=bool)
    for box in boxes:
        hole[Box(*box).slices] = True
    return hole


def scratch(thickness: int = 6) -> np.ndarray:
    """A line from corner to corner."""
    hole = np.zeros(LARGE, dtype=bool)
    for y in range(LARGE[0]):
        x = y * (LARGE[1] - thickness) // LARGE[0]
        hole[y, x : x + thickness] = True
    return hole


def parts_by_hand(touched: np.ndarray) -> set[frozenset[tuple[int, int]]]:
    """Parts by letting each place take the smallest number around it until nothing changes."""
    numbers = np.where(touched, np.arange(touched.size).reshape(touched.shape), touched.size)
    while True:
        around = np.pad(numbers, 1, constant_values=touched.size)
        shifts = [around[y : y + len(numbers), x : x + len(numbers[0])] for y in range(3) for x in range(3)]
        spread = np.where(touched, np.min(shifts, axis=0), touched.size)
        if np.array_equal(spread, numbers):
            break
        numbers = spread
    found = np.unique(numbers[touched])
    return {frozenset((int(y), int(x)) for y, x in np.argwhere(numbers == number)) for number in found}


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)))
@settings(deadline=None)
def test_parts_are_what_hangs_together(touched: np.ndarray) -> None:
    parts = connected(touched)
    assert {frozenset(part) for part in parts} == parts_by_hand(touched)
    assert sum(map(len, parts)) == np.count_nonzero(touched)


def test_boxes_are_exact_to_the_pixel() -> None:
    hole = hole_of((5, 7, 6, 8), (500, 900, 777, 1333), (2999, 3999, 3000, 4000))
    assert hole_boxes(hole) == [Box(5, 7, 6, 8), Box(500, 900, 777, 1333), Box(2999, 3999, 3000, 4000)]
    assert hole_boxes(np.zeros((BLOCK + 1, 3), dtype=bool)) == []


def test_a_window_has_its_margin_and_moves_inside_at_the_border() -> None:
    assert window_of(Box(1000, 2000, 1010, 2020), LARGE) == Box(1000 - MARGIN, 2000 - MARGIN, 1266, 2276)
    assert window_of(Box(1000, 1000, 1800, 1100), LARGE) == Box(600, 600, 2200, 1500)
    assert window_of(Box(0, 3990, 10, 4000), LARGE) == Box(0, 4000 - 10 - 2 * MARGIN, 10 + 2 * MARGIN, 4000)
    assert window_of(Box(2, 3, 4, 5), (40, 30)) == Box(0, 0, 40, 30)


def test_near_parts_are_one_piece_and_far_ones_are_not() -> None:
    near = hole_of((100, 100, 120, 120), (300, 300, 320, 320))
    assert [piece.box for piece in pieces(near, MOST)] == [Box(100, 100, 320, 320)]
    far = hole_of((100, 100, 120, 120), (2000, 3000, 2010, 3010))
    assert [piece.box for piece in pieces(far, MOST)] == [
        Box(2000, 3000, 2010, 3010),
        Box(100, 100, 120, 120),
    ]


def test_parts_that_fit_no_window_together_stay_apart_and_the_smallest_comes_first() -> None:
    found = pieces(hole_of((100, 100, 600, 600), (120, 900, 140, 910)), MOST)
    assert [piece.box for piece in found] == [Box(120, 900, 140, 910), Box(100, 100, 600, 600)]
    assert all(piece.window.area <= MOST for piece in found)


def test_a_long_thin_hole_is_cut_and_a_thick_one_is_not() -> None:
    cut = pieces(scratch(), MOST)
    assert len(cut) > 5
    assert max(max(piece.box.height, piece.box.width) for piece in cut) <= LONGEST_PART
    assert max(piece.window.area for piece in cut) <= MOST
    [thick] = pieces(hole_of((500, 500, 2000, 2500)), MOST)
    assert thick.box == Box(500, 500, 2000, 2500)
    assert thick.window.area > MOST


def test_many_specks_are_few_pieces() -> None:
    rng = np.random.RandomState(0)
    hole = np.zeros(LARGE, dtype=bool)
    hole[rng.randint(0, LARGE[0], 3000), rng.randint(0, LARGE[1], 3000)] = True
    found = pieces(hole, MOST)
    assert len(found) < 100
    assert max(piece.window.area for piece in found) <= MOST


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_every_pixel_is_in_a_piece_and_every_piece_in_its_window(seed: int, count: int) -> None:
    rng = np.random.RandomState(seed)
    hole = np.zeros((1500, 1300), dtype=bool)
    for _ in range(count):
        top, left = rng.randint(0, 1490), rng.randint(0, 1290)
        hole[top : top + rng.randint(1, 900), left : left + rng.randint(1, 900)] = True
    left_over = hole.copy()
    for piece in pieces(hole, MOST // 2):
        assert piece.window | piece.box == piece.window
        assert Box(0, 0, 1500, 1300) | piece.window == Box(0, 0, 1500, 1300)
        assert hole[piece.box.slices].any()
        left_over[piece.box.slices] = False
    assert not left_over.any()


@pytest.mark.parametrize(("side", "wider"), [(39, True), (40, False), (200, False)])
def test_width_is_that_of_the_widest_square(side: int, wider: bool) -> None:
    hole = hole_of((10, 10, 50, 90), (60, 0, 62, 100), shape=(100, 100))
    assert is_wider_than(hole, side) is wider
