"""Your photo in the model: the picture nearest to a photo that the model can draw."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image, ImageOps

from imgsynth.errors import BadImage
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.tasks.inversion import Found, Progress, invert
from imgsynth.tasks.requests import InvertRequest, SampleRequest, make_request
from imgsynth.ui.classes import chosen_label
from imgsynth.ui.session import Session, new_folder, save, still_wanted
from imgsynth.ui.shown import Shown
from imgsynth.ui.uploads import PhotoInput

Updates = dict[Any, Any]

EMPTY = "Drop a photo: the model looks for the nearest picture that it can draw."
SHOWN_SIDE = 256
STOPPED = "Stopped."


@dataclass(frozen=True)
class PhotoPanel:
    """A folded part of the controls.

    Attributes:
        pair: holds the photo and what was found, side by side; hidden until a search begins.
    """

    photo: PhotoInput
    go: gr.Button
    cancel: gr.Button
    status: gr.Markdown
    pair: gr.Row
    before: gr.Image
    after: gr.Image

    @property
    def outputs(self) -> list[Any]:
        return [self.status, self.pair, self.before, self.after]


def make_photo_panel() -> PhotoPanel:
    """Builds the part inside the current Blocks."""
    with gr.Accordion("Your photo in this model", open=False, elem_id="sample-photo-part"):
        photo = PhotoInput(
            label="Photo", sources=["upload", "clipboard"], height=160, buttons=[], elem_id="sample-photo"
        )
        with gr.Row():
            go = gr.Button("Find it", elem_id="sample-find", scale=2, min_width=100)
            cancel = gr.Button("Cancel", elem_id="sample-find-cancel", scale=1, min_width=80)
        status = gr.Markdown(EMPTY, elem_classes="status", elem_id="sample-find-status")
        with gr.Row(visible=False, elem_id="sample-found") as pair:
            before, after = make_half("Photo"), make_half("Found")
    return PhotoPanel(photo, go, cancel, status, pair, before, after)


def make_half(label: str) -> gr.Image:
    return gr.Image(label=label, interactive=False, format="png", height=180, min_width=100, buttons=[])


def middle(photo: Photo) -> Image.Image:
    """The part of a photo that is looked for."""
    return ImageOps.fit(photo.image.convert("RGB"), (SHOWN_SIDE, SHOWN_SIDE))


def mention(photo: Photo) -> Photo:
    """A photo without its pixels, enough for a record to name it."""
    return replace(photo, pixels=np.zeros((1, 1, 3), np.uint8), alpha=None, icc=None, grey16=None)


def found_picture(name: str, found: Found, photo: Photo) -> Shown:
    """What a search found, to be looked at, varied, moved and walked to."""
    label = found.picture.record["request"].get("label")
    request = make_request(SampleRequest, latent=found.latent.text, label=label)
    return Shown(save(found.picture, new_folder()), name, request, label, (mention(photo),))


def search(
    session: Session, panel: PhotoPanel, name: str, path: str | None, chosen: Any, progress: gr.Progress
) -> Generator[Updates, None, tuple[Updates, Shown]]:
    """Shows how a search comes nearer; returns what the panel shows in the end, and what was found.

    Raises:
        BadImage: there is no photo, or it cannot be read.
        TaskNotOffered: the model draws nothing from latents.
    """
    if path is None:
        raise BadImage("There is no photo yet; drop one into this part first.")
    photo, check, started = read_photo(path), still_wanted(), time.monotonic()
    progress(0, desc="Loading the model")
    model = session.model(name)
    request = make_request(InvertRequest, label=chosen_label(model, chosen))
    steps = invert(model, request, photo)
    yield {panel.pair: gr.Row(visible=True), panel.before: middle(photo), panel.after: None}
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return ended(panel, name, end.value, photo, time.monotonic() - started)
        check()
        progress((step.step, step.steps), desc=f"{step.psnr:.1f} dB", unit="steps")
        if step.preview is not None:
            yield {panel.after: step.preview, panel.status: so_far(step)}


def so_far(step: Progress) -> str:
    return f"Step {step.step} of {step.steps} · {step.psnr:.1f} dB"


def ended(panel: PhotoPanel, name: str, found: Found, photo: Photo, seconds: float) -> tuple[Updates, Shown]:
    """What was found, beside the photo."""
    shown = found_picture(name, found, photo)
    line = f"**{found.psnr:.1f} dB** from the photo (PSNR; more is nearer) · {seconds:.1f} s"
    return {panel.after: shown.path, panel.status: line}, shown
