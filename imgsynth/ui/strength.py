"""Another strength for the translation that is shown, without running the network again.

The blend has to be that of the task, bit for bit, so the translation is kept as the network gave it: from its
8-bit picture, about one value in six would be rounded the other way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import torch

from imgsynth.imaging.read import Photo, read_photo
from imgsynth.imaging.record import Record
from imgsynth.tasks.requests import TranslateRequest, make_request
from imgsynth.tasks.translate import Repainting
from imgsynth.ui.session import literal, new_folder, plain, save

# Twelve bytes each, on disk for an hour; above it, Translate has to be pressed again.
MOST_KEPT_PIXELS = 24_000_000


@dataclass(frozen=True)
class Kept:
    """The translation that a visitor sees, as files.

    Attributes:
        name, photo: the model and the photo it was made with, as the controls name them.
        before: the photo as it is shown.
        whole: the translation at full strength, float32 1×3×H×W, as NumPy's own file.
        record: of the translation.
    """

    name: str
    photo: str
    before: str
    whole: str
    record: Record

    def fits(self, name: str, photo: str | None) -> bool:
        """Whether it is of what is chosen now, and still here."""
        return (self.name, self.photo) == (name, photo) and Path(self.whole).is_file()


def keep(repainting: Repainting, name: str, path: str, before: str) -> Kept | None:
    """Puts a translation by for `make_blend`, unless it is too large."""
    if repainting.photo.width * repainting.photo.height > MOST_KEPT_PIXELS:
        return None
    whole = new_folder() / "whole.npy"
    np.save(whole, repainting.result.numpy())
    return Kept(name, path, before, str(whole), repainting.record)


def forget(kept: Kept | None) -> None:
    """Removes what was put by: Gradio clears away only files that it has shown."""
    if kept is not None:
        Path(kept.whole).unlink(missing_ok=True)


@plain
def mix_again(name: str, path: str | None, strength: float, kept: Kept | None) -> tuple[Any, ...]:
    """Before and after, status and download at another strength; nothing changes where there is no result."""
    if kept is None or not kept.fits(name, path):
        return gr.skip(), gr.skip(), gr.skip()
    request, photo = make_request(TranslateRequest, strength=strength), read_photo(kept.photo)
    repainting = Repainting(photo, torch.from_numpy(np.load(kept.whole)), kept.record)
    result = save(repainting.at(request.strength))
    line = described(photo, kept.record["checkpoint"]["id"], request.strength)
    return (kept.before, result), line, gr.DownloadButton(value=result, interactive=True)


def described(photo: Photo, model: str, strength: float, seconds: float | None = None) -> str:
    """The status line of a translation, with what became of the photo when it was read."""
    took = "" if seconds is None else f" · {seconds:.1f} s"
    size = f"{photo.width}×{photo.height}"
    return " ".join([f"{size} · **{literal(model)}** · strength {strength:g}{took}.", *photo.notes])
