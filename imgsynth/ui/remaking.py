"""A dropped file made again from its whole recipe, without any tab, and how it compares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from imgsynth.errors import BadImage
from imgsynth.families import Model
from imgsynth.families.tiling import Progress
from imgsynth.imaging.clips import is_film, read_clip
from imgsynth.imaging.masks import read_mask
from imgsynth.imaging.read import read_photo
from imgsynth.tasks.redo import Inputs, redo, redo_video
from imgsynth.ui.endpoints import save_film, save_result
from imgsynth.ui.recipes import Recipe
from imgsynth.ui.settings import Updates

SAME = "Made again: every pixel is that of the file you dropped."
DIFFERENT = "Made again, but its pixels are not all those of the file you dropped."
MADE = "Made again."
# What a record is written into; Gradio would read a file of another name by that name.
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


def remade(model: Model, recipe: Recipe, paths: Sequence[str], mask: str | None, progress: Progress) -> str:
    """Makes a result again and saves it, in the kind of file that it was dropped as; returns the path.

    Args:
        progress: called with (pieces done, pieces in all); what it raises stops the work.
    """
    if recipe.filmed:
        if len(paths) != 1:
            raise BadImage("This video was made from another one; add that video first.")
        return save_film(redo_video(model, recipe.record, read_clip(paths[0])), recipe.suffix)
    photos = [read_photo(path) for path in paths]
    size = (photos[0].width, photos[0].height) if photos else None
    hole = read_mask(mask, size) if mask else None
    return save_result(redo(model, recipe.record, Inputs(photos, hole, progress)), recipe.suffix)


def seen(image: Any, video: Any, path: str) -> Updates:
    """A file in the one of two components that can show it."""
    if is_film(path):
        return {image: gr.Image(value=None, visible=False), video: gr.Video(path, visible=True)}
    is_picture = Path(path).suffix.lower() in PICTURES
    shown = gr.Image(path, visible=True) if is_picture else gr.Image(value=None, visible=False)
    return {image: shown, video: gr.Video(value=None, visible=False)}


def compared(before: str, after: str) -> str:
    """One line on a result: whether it equals the file that it is made after, where that can be told."""
    lossless = before.lower().endswith(".png") and after.endswith(".png")
    if not lossless or not Path(before).is_file():  # Gradio clears what was dropped away after an hour
        return MADE
    try:
        return SAME if read_photo(before).sha256 == read_photo(after).sha256 else DIFFERENT
    except BadImage:  # results, a sheet for one, may have more pixels than photos
        return MADE
