"""Grids: every picture at its place, white between them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgsynth.errors import BadRequest
from imgsynth.imaging.grid import make_grid


def tiles(count: int, size: tuple[int, int] = (5, 4)) -> list[Image.Image]:
    return [Image.new("RGB", size, (index, 0, 0)) for index in range(count)]


@given(st.integers(1, 20), st.none() | st.integers(1, 25), st.integers(0, 3))
def test_layout(count: int, columns: int | None, gap: int) -> None:
    sheet = np.asarray(make_grid(tiles(count), columns, gap))
    across = min(columns or int(np.ceil(np.sqrt(count))), count)
    down = -(-count // across)
    assert sheet.shape == (down * 4 + (down - 1) * gap, across * 5 + (across - 1) * gap, 3)
    rest = np.ones(sheet.shape[:2], bool)
    for index in range(count):
        top, left = index // across * (4 + gap), index % across * (5 + gap)
        assert (sheet[top : top + 4, left : left + 5] == (index, 0, 0)).all()
        rest[top : top + 4, left : left + 5] = False
    assert (sheet[rest] == 255).all()


def test_one_picture_is_itself() -> None:
    picture = Image.fromarray(np.random.RandomState(0).randint(0, 256, (6, 7, 3)).astype(np.uint8))
    assert make_grid([picture]).tobytes() == picture.tobytes()


def test_transparency_and_grey() -> None:
    clear = Image.new("RGBA", (2, 2), (1, 2, 3, 0))
    sheet = make_grid([clear, Image.new("L", (2, 2), 9)], gap=1)
    assert sheet.mode == "RGBA"
    assert [sheet.getpixel((x, 0)) for x in (0, 2, 3)] == [(1, 2, 3, 0), (255,) * 4, (9, 9, 9, 255)]
    assert make_grid([Image.new("L", (2, 2), 9)]).mode == "RGB"


def test_refusals() -> None:
    with pytest.raises(BadRequest, match="at least one picture"):
        make_grid([])
    with pytest.raises(BadRequest, match="same size"):
        make_grid([*tiles(1), *tiles(1, (5, 5))])
    for columns, gap in ((0, 2), (-3, 2), (2, -1)):
        with pytest.raises(BadRequest, match="at least one column"):
            make_grid(tiles(3), columns, gap)
