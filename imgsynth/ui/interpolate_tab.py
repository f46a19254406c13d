"""The Interpolate tab: keyframes in, a video out, with the newest frame shown while it is made."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from imgsynth.imaging.record import Record
from imgsynth.tasks.interpolate import interpolate, walk_record
from imgsynth.tasks.requests import InterpolateRequest, show_seeds
from imgsynth.ui.blend_panel import BlendPanel, connect_blend, make_blend, make_blend_panel
from imgsynth.ui.keyframes import make_class, make_fit, make_seeds, make_upload
from imgsynth.ui.picker import make_picker
from imgsynth.ui.runs import begin, stop, until_stopped
from imgsynth.ui.scrub import (
    DRAGGED,
    ScrubPanel,
    connect_scrub,
    make_scrub,
    make_scrub_slider,
    make_scrub_view,
)
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, QUICK, Session, literal, new_folder, plain
from imgsynth.ui.strip import StripEvents, connect_strip, make_strip_panel
from imgsynth.ui.uploads import FileInput
from imgsynth.ui.walk_controls import Values, Walk, WalkControls, connect_length, make_length, make_options
from imgsynth.ui.walk_file import ANIMATED, FILMS, write_walk

PREVIEW_EVERY = 8
PREVIEW_SIDE = 384
FRAME = "Frame"
KEPT = "Stopped; {} of {} frames are kept."
EMPTY = "Keyframes become a smooth walk from picture to picture. Press *Make video* to see one."


@dataclass(frozen=True)
class InterpolateTab:
    """What other tabs and the page need of this one.

    Attributes:
        draw: draws the strip and the picture at the slider's position after an event, where they are not
            known yet.
    """

    controls: WalkControls
    blending: BlendPanel
    fit: Any
    fit_inputs: list[Any]
    fit_outputs: list[Any]
    draw: Any

    @property
    def model(self) -> gr.Radio:
        return self.controls.model

    @property
    def keyframes(self) -> gr.Textbox:
        return self.controls.keyframes

    @property
    def label(self) -> gr.Dropdown:
        return self.controls.label


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


@dataclass(frozen=True)
class Results:
    """Where a walk is shown."""

    preview: gr.Image
    video: gr.Video
    status: gr.Markdown
    download: gr.DownloadButton

    @property
    def outputs(self) -> list[Any]:
        return [self.preview, self.video, self.status, self.download]


def make_render(session: Session, controls: WalkControls, run: gr.State) -> Any:
    """The event that makes the video; its outputs are those of `Results`.

    Args:
        run: a State with the folder of the run, see `runs`.
    """

    @plain
    def render(
        values: Values,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[Any, ...]]:
        progress((0, int(values[controls.frames])), desc="Loading the model", unit="frames")
        walk, kind = controls.asked(session, values), values[controls.kind]
        model, request = walk.model, walk.request
        started = time.monotonic()
        recorder = Recorder(request, walk_record(model, request, walk.photos))
        drawn = until_stopped(interpolate(model, request, walk.photos), values[run])
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
        whole = line(walk, started)
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


def line(walk: Walk, started: float) -> str:
    request, photos = walk.request, walk.photos
    seeds = [k for k in request.keyframes if isinstance(k, int)]
    every = len(seeds) == len(request.keyframes)
    told = f"keyframes {show_seeds(seeds)}" if every else f"{len(request.keyframes)} keyframes"
    passed = f"{len(photos)} photos" if len(photos) == len(request.keyframes) else told
    label = "" if request.label is None else f" · class {request.label}"
    easing = "" if request.easing == "none" else f" · {request.easing}"
    loop = " · loop" if request.loop else ""
    seconds = time.monotonic() - started
    return (
        f"{request.frames} frames · **{literal(walk.model.identity.id)}** · {passed}{label} · "
        f"{request.path}{easing}{loop} · {request.frames / request.fps:.1f} s at {request.fps} fps · "
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
            controls, upload = make_controls(opened)
            with gr.Row():
                go = gr.Button(
                    "Make video", variant="primary", elem_id="interpolate-go", elem_classes="go", scale=3
                )
                cancel = gr.Button("Cancel", elem_id="interpolate-cancel", scale=1)
        with gr.Column(scale=2):
            strip = make_strip_panel()
            slider = make_scrub_slider()
            with gr.Row(elem_classes="columns"):
                with gr.Column(scale=1, min_width=260):
                    scrubbed = ScrubPanel(slider, *make_scrub_view())
                with gr.Column(scale=1, min_width=260):
                    results = make_results()
            blending = make_blend_panel()
    run: gr.State = gr.State(None)
    connect_render(make_render(session, controls, run), go, cancel, controls, results, run)
    connect_length(controls)
    events, scrub = StripEvents(session, controls, strip), make_scrub(session, controls, scrubbed)
    connect_strip(events, upload)
    connect_scrub(scrub, controls, scrubbed)
    connect_blend(make_blend(session, controls, blending), controls, blending)

    def draw(event: Any, **options: Any) -> Any:
        refreshed = event(plain(events.refresh), events.inputs, strip.outputs, **{**DRAGGED, **options})
        return refreshed.then(scrub, controls.inputs | {slider}, scrubbed.outputs, **DRAGGED)

    fit, fit_inputs = make_fit(session), [controls.model, controls.label]
    fitted = [controls.keyframes, upload, controls.label, controls.psi]
    draw(controls.model.change(fit, fit_inputs, fitted, **QUICK).then)
    for changed in (controls.keyframes.change, controls.label.input, controls.psi.release):
        draw(changed)
    return InterpolateTab(controls, blending, fit, fit_inputs, fitted, draw)


def make_controls(opened: gr.State) -> tuple[WalkControls, FileInput]:
    """Model, keyframes, length and what is folded; and the upload of photos."""
    model = make_picker("interpolate", opened)
    keyframes, upload, photos = make_seeds(), make_upload(), gr.State(())
    label = make_class()
    frames, seconds = make_length()
    with gr.Accordion("Options", open=False):
        options = make_options()
    return WalkControls(model, keyframes, photos, label, frames, seconds, *options), upload


def make_results() -> Results:
    preview = gr.Image(
        visible=False,
        label="Newest frame",
        height=400,
        format="png",
        buttons=[],
        elem_id="interpolate-preview",
    )
    video = gr.Video(label="Walk", autoplay=True, loop=True, height=400, elem_id="interpolate-video")
    status = gr.Markdown(EMPTY, elem_classes="status", elem_id="interpolate-status")
    download = gr.DownloadButton("Download", interactive=False, elem_id="interpolate-download")
    return Results(preview, video, status, download)


def connect_render(
    render: Any, go: gr.Button, cancel: gr.Button, controls: WalkControls, results: Results, run: gr.State
) -> None:
    """Starts a walk, and stops it, with its frames kept."""
    *seen, _ = results.outputs
    inputs = controls.inputs | {controls.kind, run}
    shown: dict[str, Any] = {
        "show_progress_on": [results.status],
        "trigger_mode": "multiple",
        **LANE,
        **PRIVATE,
    }
    for trigger in (go.click, controls.keyframes.submit):
        begun = trigger(begin, run, run, **CHEAP)
        rendering = begun.then(render, inputs, results.outputs, **shown)
        rendering.failure(settled, results.status, seen, **CHEAP)
    cancel.click(stop, run, None, **CHEAP)
