"""The Interpolate tab: keyframe seeds in, a video out, with the newest frame shown while it is made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from imgsynth.families import Model
from imgsynth.imaging.record import Record
from imgsynth.imaging.video import write_video
from imgsynth.tasks.interpolate import interpolate, walk_record
from imgsynth.tasks.requests import InterpolateRequest, make_request, parse_seeds, show_seeds
from imgsynth.ui.picker import make_picker
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, Session, new_folder, plain

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


class Recorder:
    """Passes frames on to the encoder and keeps the newest one for the preview."""

    def __init__(self, model: Model, request: InterpolateRequest) -> None:
        self.model, self.request = model, request
        self.record: Record = walk_record(model, request)
        self.frames: list[Image.Image] = []

    def previews(self) -> Iterator[tuple[int, Image.Image]]:
        """Draws all frames; hands out every eighth, enlarged."""
        for index, frame in enumerate(interpolate(self.model, self.request)):
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
        model_id: str,
        keyframes: str,
        frames: int,
        path: str,
        loop: bool,
        fps: int,
        psi: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[Any, ...]]:
        request = make_request(
            InterpolateRequest,
            keyframes=parse_seeds(keyframes),
            frames=int(frames),
            path=path,
            loop=loop,
            fps=int(fps),
            psi=psi,
        )
        started = time.monotonic()
        progress((0, request.frames), desc="Loading the model", unit="frames")
        recorder = Recorder(session.model(model_id), request)
        for index, preview in recorder.previews():
            progress((index, request.frames), desc="Drawing", unit="frames")
            yield (
                gr.Image(preview, visible=True),
                gr.Video(visible=False),
                f"{FRAME} {index + 1} of {request.frames}",
            )
        progress((request.frames, request.frames), desc="Encoding the video", unit="frames")
        video = recorder.write(new_folder())
        yield gr.Image(visible=False), gr.Video(video, visible=True), line(model_id, request, started)

    return render


def line(model_id: str, request: InterpolateRequest, started: float) -> str:
    seeds = show_seeds([int(k) for k in request.keyframes])
    loop = " · loop" if request.loop else ""
    seconds = time.monotonic() - started
    return (
        f"{request.frames} frames · **{model_id}** · keyframes {seeds} · {request.path}{loop} · "
        f"{request.frames / request.fps:.1f} s at {request.fps} fps · made in {seconds:.1f} s"
    )


def stopped() -> tuple[Any, ...]:
    """What the tab shows of a walk that was not finished: the earlier video, if there is one."""
    return gr.Image(visible=False), gr.Video(visible=True), "Stopped."


def settled(status: str) -> Any:
    """After an error, or a frame that was on its way when Cancel was pressed."""
    return stopped() if status.startswith(FRAME) else (gr.skip(), gr.skip(), gr.skip())


def make_interpolate_tab(session: Session) -> InterpolateTab:
    """Builds the tab inside the current Blocks."""
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=1, elem_classes="controls"):
            model = make_picker("interpolate")
            keyframes = gr.Textbox(
                "1,2,3",
                label="Keyframes",
                info="Seeds that the walk passes through, in order; two or more.",
                elem_id="interpolate-keyframes",
            )
            frames = gr.Slider(
                10, 600, 90, step=1, label="Frames", info="In all; more frames walk more slowly."
            )
            with gr.Accordion("Options", open=False):
                path = gr.Radio(
                    PATHS, value="slerp", label="Path", info="How to get from one keyframe to the next."
                )
                loop = gr.Checkbox(True, label="Loop", info="The last keyframe leads back to the first.")
                fps = gr.Slider(5, 60, 30, step=1, label="Frames per second")
                psi = gr.Slider(
                    0, 1.5, 1.0, step=0.05, label="Truncation (psi)", info="Less is more typical."
                )
            with gr.Row():
                go = gr.Button(
                    "Make video", variant="primary", elem_id="interpolate-go", elem_classes="go", scale=3
                )
                cancel = gr.Button("Cancel", elem_id="interpolate-cancel", scale=1)
        with gr.Column(scale=2):
            preview = gr.Image(visible=False, label="Newest frame", height=560, format="png", buttons=[])
            video = gr.Video(label="Walk", autoplay=True, loop=True, height=560, elem_id="interpolate-video")
            status = gr.Markdown(
                "Seeds become a smooth walk from picture to picture. Press *Make video* to see one.",
                elem_classes="status",
                elem_id="interpolate-status",
            )
    inputs = [model, keyframes, frames, path, loop, fps, psi]
    shown: dict[str, Any] = {"show_progress_on": [status], **LANE, **PRIVATE}
    render = make_render(session)
    runs: list[Any] = [
        event(render, inputs, [preview, video, status], **shown) for event in (go.click, keyframes.submit)
    ]
    cancel.click(stopped, None, [preview, video, status], cancels=runs, **CHEAP)
    for run in runs:
        run.failure(settled, status, [preview, video, status], **CHEAP)
    return InterpolateTab(model, keyframes)
