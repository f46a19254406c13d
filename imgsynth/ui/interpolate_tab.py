"""The Interpolate tab: keyframes in, a video out, with the newest frame shown while it is made."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from imgsynth.families import Model
from imgsynth.imaging.read import Photo
from imgsynth.imaging.record import Record
from imgsynth.tasks.interpolate import interpolate, walk_record
from imgsynth.tasks.requests import InterpolateRequest, make_request, show_seeds
from imgsynth.ui.classes import chosen_label
from imgsynth.ui.keyframes import keyframes_of, make_class, make_fit, make_photos, make_seeds, psi_of
from imgsynth.ui.picker import make_picker
from imgsynth.ui.runs import begin, stop, until_stopped
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, QUICK, Session, literal, new_folder, plain
from imgsynth.ui.walk_file import ANIMATED, FILMS, FORMATS, write_walk

PREVIEW_EVERY = 8
PREVIEW_SIDE = 384
FRAME = "Frame"
KEPT = "Stopped; {} of {} frames are kept."
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
    """The frames of a walk as they are drawn, so that a walk that is stopped keeps them."""

    def __init__(self, request: InterpolateRequest, record: Record) -> None:
        self.request, self.record = request, record
        self.frames: list[Image.Image] = []

    def previews(self, frames: Iterable[Image.Image]) -> Iterator[tuple[int, Image.Image]]:
        """Collects frames; hands out every eighth, enlarged."""
        for index, frame in enumerate(frames):
            self.frames.append(frame)
            if index % PREVIEW_EVERY == 0:
                yield index, enlarged(frame)

    def write(self, kind: str, count: int) -> str:
        """Writes the first frames; the record of a part says how many those are."""
        part = {} if count == self.request.frames else {"kept": count}
        record = {**self.record, "request": {**self.record["request"], **part}}
        return write_walk(new_folder(), kind, self.frames[:count], self.request.fps, record)


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
        kind: str,
        run: str,
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
        recorder = Recorder(request, walk_record(model, request, opened))
        drawn = until_stopped(interpolate(model, request, opened), run)
        for index, preview in recorder.previews(drawn):
            progress((index, request.frames), desc="Drawing", unit="frames")
            yield (
                gr.Image(preview, visible=True),
                gr.Video(visible=False),
                f"{FRAME} {index + 1} of {request.frames}",
                gr.skip(),
            )
        count = len(recorder.frames)
        progress((count, request.frames), desc="Writing the file", unit="frames")
        path = recorder.write(kind, count)
        whole = line(model, request, opened, started)
        told = whole if count == request.frames else KEPT.format(count, request.frames)
        yield *finished(path, kind, recorder), told, handed_out(path)

    return render


def finished(path: str, kind: str, recorder: Recorder) -> tuple[gr.Image, gr.Video]:
    """A walk where it can be seen; of frames in a ZIP, the last one."""
    if kind in FILMS:
        return gr.Image(visible=False), gr.Video(path, visible=True)
    seen = path if kind in ANIMATED else enlarged(recorder.frames[-1])
    return gr.Image(seen, visible=True), gr.Video(visible=False)


def handed_out(path: str) -> gr.DownloadButton:
    return gr.DownloadButton(value=path, interactive=True)


def line(model: Model, request: InterpolateRequest, photos: Sequence[Photo], started: float) -> str:
    seeds = [k for k in request.keyframes if isinstance(k, int)]
    every = len(seeds) == len(request.keyframes)
    told = f"keyframes {show_seeds(seeds)}" if every else f"{len(request.keyframes)} keyframes"
    passed = f"{len(photos)} photos" if photos else told
    label = "" if request.label is None else f" · class {request.label}"
    loop = " · loop" if request.loop else ""
    seconds = time.monotonic() - started
    return (
        f"{request.frames} frames · **{literal(model.identity.id)}** · {passed}{label} · "
        f"{request.path}{loop} · {request.frames / request.fps:.1f} s at {request.fps} fps · "
        f"made in {seconds:.1f} s"
    )


def settled(status: str) -> tuple[Any, ...]:
    """After an error in the midst of a walk: the earlier video, if there is one."""
    if not status.startswith(FRAME):
        return gr.skip(), gr.skip(), gr.skip()
    return gr.Image(visible=False), gr.Video(visible=True), "Stopped."


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
                path, loop, fps, psi, kind = make_options()
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
            download = gr.DownloadButton("Download", interactive=False, elem_id="interpolate-download")
    inputs = [model, keyframes, photos, instead, label, frames, path, loop, fps, psi, kind]
    triggers = (go.click, keyframes.submit)
    connect_render(make_render(session), triggers, cancel, inputs, [preview, video, status, download])
    fit, fit_inputs, fitted = make_fit(session), [model, label], [keyframes, photos, instead, label, psi]
    model.change(fit, fit_inputs, fitted, **QUICK)
    return InterpolateTab(model, keyframes, label, fit, fit_inputs, fitted)


def connect_render(
    render: Any, triggers: Sequence[Any], cancel: gr.Button, inputs: list[Any], shows: list[Any]
) -> None:
    """Starts a walk, and stops it, with its frames kept.

    Args:
        inputs: of `render`, which gets the run's folder after them.
        shows: preview, video, status and download.
    """
    run: gr.State = gr.State(None)
    *seen, _ = shows
    status = seen[-1]
    shown: dict[str, Any] = {"show_progress_on": [status], "trigger_mode": "multiple", **LANE, **PRIVATE}
    for trigger in triggers:
        begun = trigger(begin, run, run, **CHEAP)
        rendering = begun.then(render, [*inputs, run], shows, **shown)
        rendering.failure(settled, status, seen, **CHEAP)
    cancel.click(stop, run, None, **CHEAP)


def make_options() -> tuple[gr.Radio, gr.Checkbox, gr.Slider, gr.Slider, gr.Radio]:
    """Path, loop, frames per second, truncation and the kind of file."""
    path = gr.Radio(PATHS, value="slerp", label="Path", info="How to get from one keyframe to the next.")
    loop = gr.Checkbox(True, label="Loop", info="The last keyframe leads back to the first.")
    fps = gr.Slider(5, 60, 30, step=1, label="Frames per second")
    psi = gr.Slider(0, 1.5, 1.0, step=0.05, label="Truncation (psi)", info="Less is more typical.")
    kind = gr.Radio(FORMATS, value="mp4", label="File", info="What the walk is written as.")
    return path, loop, fps, psi, kind
