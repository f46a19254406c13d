"""Several pictures on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

from imgsynth.errors import BadRequest

# A sheet of more pixels would not fit into the memory of a small machine while it is written.
MOST_PIXELS = 100_000_000


def make_grid(images: Sequence[Image.Image], columns: int | None = None, gap: int = 2) -> Image.Image:
    """Pictures of one size side by side, row by row, on white.

    Args:
        images: at least one; RGBA if any has transparency, else the sheet is RGB.
        columns: pictures per row; default: as square a sheet as can be.
        gap: white pixels between neighbours; none around the sheet.

    Raises:
        BadRequest: no pictures, sizes that differ, no columns, or a negative gap.
    """
    columns = math.ceil(math.sqrt(len(images))) if columns is None else min(columns, len(images))
    _check(images, columns, gap)
    width, height = images[0].size
    rows = math.ceil(len(images) / columns)
    mode = "RGBA" if any(image.has_transparency_data for image in images) else "RGB"
    sheet = Image.new(mode, (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        sheet.paste(image.convert(mode), (column * (width + gap), row * (height + gap)))
    return sheet


def check_sheet(count: int, size: tuple[int, int], parts: str) -> None:
    """
    Args:
        count, size: of the pictures on a sheet.
        parts: what fewer can be asked for.

    Raises:
        BadRequest: the sheet would be too large.
    """
    pixels = count * size[0] * size[1]
    if pixels > MOST_PIXELS:
        raise BadRequest(
            f"This sheet would have {pixels / 1e6:.0f} million pixels and may have "
            f"{MOST_PIXELS / 1e6:.0f}; ask for fewer {parts}."
        )


def _check(images: Sequence[Image.Image], columns: int, gap: int) -> None:
    if not images:
        raise BadRequest("A grid needs at least one picture.")
    if any(image.size != images[0].size for image in images):
        raise BadRequest("The pictures of a grid must all have the same size.")
    if columns < 1 or gap < 0:
        raise BadRequest("A grid needs at least one column and a gap of 0 or more pixels.")
