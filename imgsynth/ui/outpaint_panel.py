"""'Extend the canvas' of the Inpaint tab: how much to add on each side, and a button."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import numpy as np

from imgsynth.errors import BadRequest
from imgsynth.imaging.read import Photo
from imgsynth.tasks.outpaint import outpaint
from imgsynth.tasks.requests import MOST_EXTENSION, OutpaintRequest, make_request
from imgsynth.ui.photos import open_photo
from imgsynth.ui.result_panel import part_bar, saved
from imgsynth.ui.session import Session, literal, plain

SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True)
class OutpaintPanel:
    """The four numbers in the order of `SIDES`, and the button."""

    sides: list[gr.Number]
    go: gr.Button


def on_canvas(photo: Photo, request: OutpaintRequest) -> Photo:
    """The photo where it lies on its new canvas, transparent around it: what 'before' shows."""
    around = (request.top, request.bottom), (request.left, request.right)
    alpha = np.full(photo.pixels.shape[:2], 255, np.uint8) if photo.alpha is None else photo.alpha
    return replace(photo, pixels=np.pad(photo.pixels, (*around, (0, 0))), alpha=np.pad(alpha, around))


def make_extend(session: Session) -> Any:
    @plain
    def extend(
        name: str,
        path: str | None,
        left: float | None,
        top: float | None,
        right: float | None,
        bottom: float | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        added = dict(zip(SIDES, (side or 0 for side in (left, top, right, bottom)), strict=True))
        if not any(added.values()):
            raise BadRequest("Nothing is to be added yet; give a number of pixels for at least one side.")
        request = make_request(OutpaintRequest, **added)
        photo = open_photo(path)
        report = part_bar(progress, "Extending,")
        progress(0.1, desc="Loading the model")
        model = session.model(name)
        progress(0.3, desc="Extending the canvas")
        started = time.monotonic()
        picture = outpaint(model, request, photo, report)
        seconds = time.monotonic() - started
        size = f"{photo.width}×{photo.height} is now {picture.image.width}×{picture.image.height}"
        return saved(
            on_canvas(photo, request), picture, f"{size} · **{literal(model.identity.id)}** · {seconds:.1f} s"
        )

    return extend


def make_outpaint_panel() -> OutpaintPanel:
    """Builds the panel inside the current Blocks, folded."""
    with gr.Accordion("Extend the canvas", open=False, elem_id="inpaint-extend"):
        gr.Markdown("Pixels to add on each side; the model fills what is new.", elem_classes="about")
        with gr.Row(elem_classes="sides"):
            sides = [
                gr.Number(
                    0,
                    label=side.capitalize(),
                    precision=0,
                    minimum=0,
                    maximum=MOST_EXTENSION,
                    min_width=64,
                    elem_id=f"inpaint-{side}",
                )
                for side in SIDES
            ]
        go = gr.Button("Extend", elem_id="inpaint-extend-go")
    return OutpaintPanel(sides, go)
