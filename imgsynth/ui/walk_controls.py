"""The controls that a walk is asked for with, and the request that they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.families import Model
from imgsynth.imaging.read import Photo
from imgsynth.tasks.requests import InterpolateRequest, make_request
from imgsynth.ui.classes import chosen_label
from imgsynth.ui.keyframes import keyframes_of, psi_of
from imgsynth.ui.session import CHEAP, Session
from imgsynth.ui.walk_file import FORMATS

Updates = dict[Any, Any]
Values = Mapping[Any, Any]

FEWEST_FRAMES, MOST_FRAMES = 10, 600
PATHS = [
    ("Along the sphere (slerp)", "slerp"),
    ("Straight (lerp)", "lerp"),
    ("Smooth through all (spline)", "spline"),
]
EASINGS = [("None (constant speed)", "none"), ("Ease in and out (smoothstep)", "smoothstep")]
# In the browser, so that a length that was just typed counts for the button that is pressed next.
TO_SECONDS = "(frames, fps) => Math.round(frames / fps * 100) / 100"
TO_FRAMES = (
    f"(seconds, fps) => Math.min({MOST_FRAMES}, Math.max({FEWEST_FRAMES}, Math.round(seconds * fps) || 0))"
)


@dataclass(frozen=True)
class Walk:
    """What is asked for."""

    model: Model
    request: InterpolateRequest
    photos: Sequence[Photo]


@dataclass(frozen=True)
class WalkControls:
    """The components.

    Attributes:
        photos: a State with the photos that were added, see `keyframes.Photos`.
        seconds: another way to set `frames`.
        kind: of file, one of `FORMATS`.
    """

    model: gr.Radio
    keyframes: gr.Textbox
    photos: gr.State
    label: gr.Dropdown
    frames: gr.Slider
    seconds: gr.Number
    path: gr.Radio
    easing: gr.Radio
    loop: gr.Checkbox
    fps: gr.Slider
    psi: gr.Slider
    kind: gr.Radio

    @property
    def inputs(self) -> set[Any]:
        """All that a request is made of."""
        shape = {self.frames, self.path, self.easing, self.loop, self.fps}
        return {self.model, self.keyframes, self.photos, self.label, self.psi, *shape}

    def asked(self, session: Session, values: Values) -> Walk:
        """The walk that the controls ask for.

        Raises:
            ImgsynthError: with the reason in one sentence.
        """
        model = session.model(values[self.model])
        keyframes, photos = keyframes_of(model, values[self.keyframes], values[self.photos])
        request = make_request(
            InterpolateRequest,
            keyframes=keyframes,
            frames=int(values[self.frames]),
            path=values[self.path],
            easing=values[self.easing],
            loop=values[self.loop],
            fps=int(values[self.fps]),
            psi=psi_of(model, values[self.psi]),
            label=chosen_label(model, values[self.label]),
        )
        return Walk(model, request, photos)


def make_length() -> tuple[gr.Slider, gr.Number]:
    """Frames, and the same length in seconds."""
    with gr.Row(elem_classes="length"):
        frames = gr.Slider(
            FEWEST_FRAMES,
            MOST_FRAMES,
            90,
            step=1,
            label="Frames",
            info="In all; more frames walk more slowly.",
            scale=3,
            min_width=180,
        )
        seconds = gr.Number(
            3,
            label="Seconds",
            info="The same length.",
            minimum=0,
            scale=1,
            min_width=90,
            elem_id="interpolate-seconds",
        )
    return frames, seconds


def make_options() -> tuple[gr.Radio, gr.Radio, gr.Checkbox, gr.Slider, gr.Slider, gr.Radio]:
    """Path, easing, loop, frames per second, truncation and the kind of file."""
    path = gr.Radio(PATHS, value="slerp", label="Path", info="How to get from one keyframe to the next.")
    easing = gr.Radio(
        EASINGS, value="none", label="Easing", info="Whether the walk slows down at every keyframe."
    )
    loop = gr.Checkbox(True, label="Loop", info="The last keyframe leads back to the first.")
    fps = gr.Slider(
        5, 60, 30, step=1, label="Frames per second", info="More make the same frames pass faster."
    )
    psi = gr.Slider(0, 1.5, 1.0, step=0.05, label="Truncation (psi)", info="Less is more typical.")
    kind = gr.Radio(FORMATS, value="mp4", label="File", info="What the walk is written as.")
    return path, easing, loop, fps, psi, kind


def connect_length(controls: WalkControls) -> None:
    """Frames and seconds follow each other; frames are what counts."""
    c = controls
    for changed in (c.frames.change, c.fps.change):
        changed(None, [c.frames, c.fps], c.seconds, js=TO_SECONDS, **CHEAP)
    for given in (c.seconds.submit, c.seconds.blur):
        given(None, [c.seconds, c.fps], c.frames, js=TO_FRAMES, **CHEAP)
