"""From an uploaded photo to what a tab shows of it and its result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from imgsynth.errors import BadImage
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.tasks.pictures import Picture
from imgsynth.ui.session import new_folder, save


def open_photo(path: str | None) -> Photo:
    """An uploaded photo, or one sentence on what is missing."""
    if path is None:
        raise BadImage("There is no photo yet; drop one on the left or click an example.")
    return read_photo(path)


def save_upright(photo: Photo, folder: Path) -> str:
    """The photo as decoded, for the 'before' side: browsers do not open every format that we do."""
    path = folder / f"{photo.name}-before.png"
    photo.image.save(path, compress_level=1, icc_profile=photo.icc)
    return str(path)


def finished(photo: Photo, picture: Picture, line: str) -> tuple[Any, ...]:
    """Saves a result; what a tab shows then: before and after, the line below, the download."""
    folder = new_folder()
    result = save(picture, folder)
    return (save_upright(photo, folder), result), line, gr.DownloadButton(value=result, interactive=True)
