"""The hole that a visitor makes: what is painted in the editor, and the mask that was put under it.

The editor shows a small copy of the photo and gives back nothing but the strokes, which are scaled up.
A mask from a file is kept at the photo's own size: the copy shows it as a tint, and its pixels are added
as they are. It is no layer of the editor, which misplaces layers once it has shown a larger photo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from imgsynth.errors import BadMask
from imgsynth.imaging.masks import add_to_mask, brush_mask, mask_image, read_mask, tinted
from imgsynth.imaging.read import Photo
from imgsynth.imaging.write import write_mask
from imgsynth.ui.session import new_folder

SHOWN_SIDE = 960
BRUSH = "#e11d48"
GONE = "The mask under your strokes has been cleared away, as happens after an hour; choose the photo again."

Size = tuple[int, int]


@dataclass(frozen=True)
class Shown:
    """What the editor was given at one time.

    Attributes:
        photo: its path, as the browser was told it; None where the editor is empty.
        mask: path of the mask, at the photo's own size, that is tinted on it; None where there is none.
    """

    photo: str | None = None
    mask: str | None = None


# All that a session's editor was given, oldest first. The browser sends the number of what it shows along
# with the strokes: a fill that waits in the queue is read against that, whatever was put there meanwhile.
History = tuple[Shown, ...]


def at(history: History, version: float | None) -> Shown:
    """What the editor showed when an event was sent; the newest where the browser does not say."""
    if isinstance(version, int | float) and 0 <= version < len(history):
        return history[int(version)]
    return history[-1]


def size_of(photo: Photo) -> Size:
    """(width, height)."""
    return photo.width, photo.height


def shown_size(photo: Photo) -> Size:
    """(width, height) of the copy that the editor shows."""
    scale = min(1.0, SHOWN_SIDE / max(size_of(photo)))
    return max(1, round(photo.width * scale)), max(1, round(photo.height * scale))


def shown_photo(photo: Photo) -> Image.Image:
    """RGB, of the size that the editor shows."""
    return Image.fromarray(photo.pixels).resize(shown_size(photo), Image.Resampling.LANCZOS, reducing_gap=3.0)


def shown_mask(mask: np.ndarray, size: Size) -> np.ndarray:
    """A mask at another size; a pixel of which the least part is hole is hole, so that none goes unseen."""
    return np.asarray(mask_image(mask).resize(size, Image.Resampling.BOX)) > 0


def placed(path: str, photo: Photo, mask: np.ndarray | None = None) -> tuple[dict[str, Any], Shown]:
    """What the editor shows of a photo and a mask, both of full size, and what to remember of it.

    There is always a layer: with one the editor begins its history anew, and undoing ends at the photo.
    """
    folder = new_folder()
    background, kept = shown_photo(photo), None
    if mask is not None and mask.any():
        background = overlay(photo, mask)
        kept = str(write_mask(folder / "mask.png", mask))
    # In files of a fresh folder: the page takes an equal address for an equal picture and keeps what it has.
    background.save(folder / "photo.webp", quality=90, method=2)
    Image.new("RGBA", background.size).save(folder / "layer.png")
    value = {
        "background": str(folder / "photo.webp"),
        "layers": [str(folder / "layer.png")],
        "composite": None,
    }
    return value, Shown(path, kept)


def hole_of(editor: Mapping[str, Any] | None, photo: Photo, shown: Shown) -> np.ndarray:
    """The hole as the editor shows it, at the photo's size: bool H×W, possibly empty.

    Raises:
        BadMask: the mask's file is no longer there.
    """
    size = size_of(photo)
    hole = np.zeros((photo.height, photo.width), dtype=bool)
    if shown.mask is not None:
        if not Path(shown.mask).is_file():
            raise BadMask(GONE)
        hole = add_to_mask(hole, read_mask(shown.mask, size))
    for layer in (editor or {}).get("layers") or ():
        if layer is not None:
            hole = add_to_mask(hole, brush_mask(layer, size))
    return hole


def painted_hole(editor: Mapping[str, Any] | None, photo: Photo, shown: Shown) -> np.ndarray:
    """As `hole_of`.

    Raises:
        BadMask: nothing is painted; or as `hole_of`.
    """
    hole = hole_of(editor, photo, shown)
    if not hole.any():
        raise BadMask("Nothing is painted yet; brush over the part of the photo that should be filled.")
    return hole


def overlay(photo: Photo, hole: np.ndarray) -> Image.Image:
    """A small copy of the photo with its hole tinted."""
    small = np.asarray(shown_photo(photo))
    return Image.fromarray(tinted(small, shown_mask(hole, shown_size(photo))))
