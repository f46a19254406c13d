"""The scrub slider: the picture at any position of the walk, without rendering the rest of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from imgsynth.errors import ImgsynthError
from imgsynth.tasks.interpolate import frame_index, places_of, still
from imgsynth.tasks.requests import InterpolateRequest
from imgsynth.ui.session import LANE, PRIVATE, Session, plain, save
from imgsynth.ui.walk_controls import Updates, Values, WalkControls

DRAGGED: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last", **LANE, **PRIVATE}


@dataclass(frozen=True)
class ScrubPanel:
    """The slider, the picture there, and a line on where that is."""

    slider: gr.Slider
    image: gr.Image
    line: gr.Markdown

    @property
    def outputs(self) -> list[Any]:
        return [self.image, self.line]


def make_scrub_slider() -> gr.Slider:
    return gr.Slider(
        0,
        1,
        0,
        step=0.001,
        label="Position",
        info="Drag along the walk to see any frame at once.",
        elem_id="interpolate-scrub",
    )


def make_scrub_view() -> tuple[gr.Image, gr.Markdown]:
    """The picture, and the line below it."""
    image = gr.Image(
        label="At this position",
        show_label=False,
        interactive=False,
        format="png",
        height=400,
        buttons=["download", "fullscreen"],
        elem_id="interpolate-still",
    )
    return image, gr.Markdown(elem_classes="status", elem_id="interpolate-still-line")


def make_scrub(session: Session, controls: WalkControls, panel: ScrubPanel) -> Any:
    """The event that shows the frame nearest to the slider's position: the one that the video has there."""

    @plain
    def scrub(values: Values) -> Updates:
        try:
            walk = controls.asked(session, values)
            index = frame_index(walk.request, float(values[panel.slider]))
            picture = still(walk.model, walk.request, index, walk.photos)
        except ImgsynthError:  # the note on the strip says what is missing, and the button what is wrong
            return {panel.image: None, panel.line: ""}
        return {panel.image: save(picture), panel.line: described(walk.request, index)}

    return scrub


def described(request: InterpolateRequest, index: int) -> str:
    """Which frame, when, and between which keyframes."""
    place = float(places_of(request)[index])
    before = int(np.floor(place))
    where = (
        f"at keyframe {before + 1}" if place == before else f"between keyframes {between(request, before)}"
    )
    return f"Frame {index + 1} of {request.frames} · {index / request.fps:.2f} s · {where}"


def between(request: InterpolateRequest, before: int) -> str:
    return f"{before + 1} and {(before + 1) % len(request.keyframes) + 1}"


def connect_scrub(scrub: Any, controls: WalkControls, panel: ScrubPanel) -> None:
    """Dragging, and whatever bends the walk."""
    c = controls
    bends: Sequence[Any] = (c.frames, c.path, c.easing, c.loop, c.fps)
    events = [panel.slider.input, *(control.change for control in bends)]
    gr.on(events, scrub, c.inputs | {panel.slider}, panel.outputs, **DRAGGED)
