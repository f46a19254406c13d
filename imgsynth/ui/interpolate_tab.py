"""The Interpolate tab: keyframes in, a video out, with the newest frame shown while it is made."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from imgsynth.families import Model
from imgsynth.imaging.read import Photo
from imgsynth.imaging.record import Record
from imgsynth.imaging.video import write_video
from imgsynth.tasks.interpolate import interpolate, walk_record
from imgsynth.tasks.requests import InterpolateRequest, make_request, show_seeds
from imgsynth.ui.classes import chosen_label
from imgsynth.ui.keyframes import keyframes_of, make_class, make_fit, make_photos, make_seeds, psi_of
from imgsynth.ui.picker import make_picker
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, QUICK, Session, literal, new_folder, plain

PREVIEW_EVERY = 8
PREVIEW_SIDE = 384
FRAME = "Frame"
PATHS = [
    ("Along the sphere (slerp)", "slerp"),
    ("Straight (lerp)", "lerp"),
    ("Smooth through all (spline)", "spline"),
]


@dataclass(frozen=True)
class InterpolateTab:
    """What other tabs need of this one."""

    model: gr.Radio
    keyframes: gr.Textbox
    label: gr.Dropdown
    fit: Any
    fit_inputs: list[Any]
    fit_outputs: list[Any]


class Recorder:
    """Passes frames on to the encoder and keeps the newest one for the preview."""

    def __init__(self, model: Model, request: InterpolateRequest, photos: Sequence[Photo]) -> None:
        self.model, self.request, self.photos = model, request, photos
        self.record: Record = walk_record(model, request, photos)
        self.frames: list[Image.Image] = []

    def previews(self) -> Iterator[tuple[int, Image.Image]]:
        """Draws all frames; hands out every eighth, enlarged."""
        for index, frame in enumerate(interpolate(self.model, self.request, self.photos)):
            self.frames.append(frame)
            if index % PREVIEW_EVERY == 0:
                yield index, enlarged(frame)

    def write(self, folder: Path) -> str:
        path = folder / "walk.mp4"
        write_video(path, iter(self.frames), self.request.fps, self.record)
        return str(path)


def enlarged(frame: Image.Image) -> Image.Image:
    scale = PREVIEW_SIDE / max(frame.size)
    return frame.resize((round(frame.width * scale), round(frame.height * scale)), Image.Resampling.BICUBIC)


def make_render(session: Session) -> Any:
    @plain
    def render(
        name: str,
        seeds: str,
        photos: list[str] | None,
        instead: list[str] | None,
        chosen: Any,
        frames: int,
        path: str,
        loop: bool,
        fps: int,
        psi: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[Any, ...]]:
        progress((0, int(frames)), desc="Loading the model", unit="frames")
        model = session.model(name)
        keyframes, opened = keyframes_of(model, seeds, photos, instead)
        numbers = {
            "frames": int(frames),
            "fps": int(fps),
            "psi": psi_of(model, psi),
            "label": chosen_label(model, chosen),
        }
        request = make_request(InterpolateRequest, keyframes=keyframes, path=path, loop=loop, **numbers)
        started = time.monotonic()
        recorder = Recorder(model, request, opened)
        for index, preview in recorder.previews():
            progress((index, request.frames), desc="Drawing", unit="frames")
            yield (
                gr.Image(preview, visible=True),
                gr.Video(visible=False),
                f"{FRAME} {index + 1} of {request.frames}",
            )
        progress((request.frames, request.frames), desc="Encoding the video", unit="frames")
        video = recorder.write(new_folder())
        told = line(model, request, opened, started)
        yield gr.Image(visible=False), gr.Video(video, visible=True), told

    return render


def line(model: Model, request: InterpolateRequest, photos: Sequence[Photo], started: float) -> str:
    seeds = [k for k in request.keyframes if isinstance(k, int)]
    passed = f"{len(photos)} photos" if photos else f"keyframes {show_seeds(seeds)}"
    label = "" if request.label is None else f" · class {request.label}"
    loop = " · loop" if request.loop else ""
    seconds = time.monotonic() - started
    return (
        f"{request.frames} frames · **{literal(model.identity.id)}** · {passed}{label} · "
        f"{request.path}{loop} · {request.frames / request.fps:.1f} s at {request.fps} fps · "
        f"made in {seconds:.1f} s"
    )


def stopped() -> tuple[Any, ...]:
    """What the tab shows of a walk that was not finished: the earlier video, if there is one."""
    return gr.Image(visible=False), gr.Video(visible=True), "Stopped."


def settled(status: str) -> Any:
    """After an error, or a frame that was on its way when Cancel was pressed."""
    return stopped() if status.startswith(FRAME) else (gr.skip(), gr.skip(), gr.skip())


def make_interpolate_tab(session: Session, opened: gr.State) -> InterpolateTab:
    """Builds the tab inside the current Blocks."""
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=1, elem_classes="controls"):
            model = make_picker("interpolate", opened)
            keyframes = make_seeds()
            photos = make_photos("Keyframes: two photos or more", "interpolate-photos")
            label = make_class()
            frames = gr.Slider(
                10, 600, 90, step=1, label="Frames", info="In all; more frames walk more slowly."
            )
            with gr.Accordion("Options", open=False):
                instead = make_photos("Photos as keyframes, in place of the seeds", "interpolate-instead")
                path, loop, fps, psi = make_options()
            with gr.Row():
                go = gr.Button(
                    "Make video", variant="primary", elem_id="interpolate-go", elem_classes="go", scale=3
                )
                cancel = gr.Button("Cancel", elem_id="interpolate-cancel", scale=1)
        with gr.Column(scale=2):
            preview = gr.Image(visible=False, label="Newest frame", height=560, format="png", buttons=[])
            video = gr.Video(label="Walk", autoplay=True, loop=True, height=560, elem_id="interpolate-video")
            status = gr.Markdown(
                "Keyframes become a smooth walk from picture to picture. Press *Make video* to see one.",
                elem_classes="status",
                elem_id="interpolate-status",
            )
    inputs = [model, keyframes, photos, instead, label, frames, path, loop, fps, psi]
    shown: dict[str, Any] = {"show_progress_on": [status], **LANE, **PRIVATE}
    render, shows = make_render(session), [preview, video, status]
    runs: list[Any] = [event(render, inputs, shows, **shown) for event in (go.click, keyframes.submit)]
    cancel.click(stopped, None, shows, cancels=runs, **CHEAP)
    for run in runs:
        run.failure(settled, status, shows, **CHEAP)
    fit, fit_inputs, fitted = make_fit(session), [model, label], [keyframes, photos, instead, label, psi]
    model.change(fit, fit_inputs, fitted, **QUICK)
    return InterpolateTab(model, keyframes, label, fit, fit_inputs, fitted)


def make_options() -> tuple[gr.Radio, gr.Checkbox, gr.Slider, gr.Slider]:
    """Path, loop, frames per second and truncation."""
    path = gr.Radio(PATHS, value="slerp", label="Path", info="How to get from one keyframe to the next.")
    loop = gr.Checkbox(True, label="Loop", info="The last keyframe leads back to the first.")
    fps = gr.Slider(5, 60, 30, step=1, label="Frames per second")
    psi = gr.Slider(0, 1.5, 1.0, step=0.05, label="Truncation (psi)", info="Less is more typical.")
    return path, loop, fps, psi
