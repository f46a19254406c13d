"""A short video or animated picture through a translator, frame by frame; it stays one of its kind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import gradio as gr
from PIL import Image

from imgsynth.errors import BadImage
from imgsynth.imaging.clips import MOST_FRAMES, read_clip
from imgsynth.imaging.video import write_clip
from imgsynth.tasks.requests import TranslateRequest, make_request
from imgsynth.tasks.translate_video import Film, translate_video
from imgsynth.ui.runs import STOPPED, is_stopped, start_run
from imgsynth.ui.session import Session, literal, plain, still_wanted
from imgsynth.ui.uploads import FileInput

EMPTY = "Drop a video or GIF here, choose model and strength above, and press *Translate every frame*."
ABOUT = (
    f"MP4, MOV, WebM, GIF or animated WebP of at most {MOST_FRAMES} frames. It keeps its size and pace, "
    "without sound; Cancel keeps the frames that are done."
)
NO_CLIP = "There is no video yet; drop one into the field of this part."
FILMS = (".mp4", ".webm")
PREVIEW_SIDE = 640

Frame = tuple[int, Image.Image]


class Abandoned(Exception):
    """Nobody is there any more to look at a film; ends its writing, which leaves no file."""


def make_paint_clip(session: Session) -> Any:
    @plain
    def paint_clip(
        name: str,
        strength: float,
        path: str | None,
        run: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[Any, ...]]:
        request = make_request(TranslateRequest, strength=strength)
        if path is None:
            raise BadImage(NO_CLIP)
        progress(0.0, desc="Looking through the video")
        clip = read_clip(path)
        progress((0, len(clip.durations)), desc="Loading the model", unit="frames")
        model = session.model(name)
        film, done = translate_video(model, request, clip), 0
        target = Path(run) / f"{film.name}{film.ending}"
        for done, newest in written(film, target, run):
            progress((done, film.total), desc="Painting", unit="frames")
            yield told(done, film, model.identity.id), *newest_frame(newest), gr.skip()
        shown = str(target)
        ready = gr.DownloadButton(value=shown, interactive=True)
        line = told(done, film, model.identity.id)
        yield f"{STOPPED}{line}" if done < film.total else line, *result(shown), ready

    return paint_clip


def written(film: Film, target: Path, run: str) -> Iterator[Frame]:
    """Writes a film to its end, or until its run is stopped; yields how many frames are done, and the newest.

    The writer draws the frames, so it has a thread of its own. The file is whole once this is exhausted.

    Raises:
        Whatever the frames and the writer raise; gr.Error once the event is cancelled.
    """
    drawn: SimpleQueue[Frame | None] = SimpleQueue()
    over, check = threading.Event(), still_wanted()

    def frames() -> Iterator[Image.Image]:
        for number, frame in enumerate(film.frames, 1):
            if over.is_set():
                raise Abandoned
            drawn.put((number, frame))
            yield frame
            if is_stopped(run):
                return

    def write() -> None:
        try:
            write_clip(target, frames(), film.pace, film.record)
        finally:
            drawn.put(None)

    with ThreadPoolExecutor(1, thread_name_prefix="imgsynth-film") as pool:
        writing = pool.submit(write)
        try:
            while (newest := latest(drawn)) is not None:
                check()
                yield newest
        finally:
            over.set()
        writing.result()


def latest(drawn: SimpleQueue[Frame | None]) -> Frame | None:
    """Waits for a frame and passes over those that others have followed; None is the end."""
    newest = drawn.get()
    while newest is not None and not drawn.empty():
        following = drawn.get()
        if following is None:
            drawn.put(None)
            return newest
        newest = following
    return newest


def newest_frame(frame: Image.Image) -> tuple[Any, Any]:
    """The picture and the video component while frames are being made."""
    small = frame.copy()
    small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    return gr.Image(small, label="Newest frame", visible=True), gr.Video(visible=False)


def result(path: str) -> tuple[Any, Any]:
    """The picture and the video component with a finished file, in the one that can play it."""
    if Path(path).suffix in FILMS:
        return gr.Image(visible=False), gr.Video(path, visible=True)
    return gr.Image(path, label="Translated", visible=True), gr.Video(visible=False)


def told(done: int, film: Film, model: str) -> str:
    """The status line on the way."""
    part = f"{done} of {film.total}" if done < film.total else f"{done}"
    return f"{part} frames · **{literal(model)}** · {film.ending.removeprefix('.').upper()}."


def make_clip_panel(session: Session, model: gr.Radio, strength: gr.Slider) -> None:
    """Builds the folded part inside the current Blocks; model and strength are the tab's."""
    with gr.Accordion("A video or GIF", open=False, elem_id="translate-clip"), gr.Row(elem_classes="columns"):
        with gr.Column(scale=1, elem_classes="controls"):
            clip = FileInput(label="Video or animated picture", height=160, elem_id="translate-clip-file")
            gr.Markdown(ABOUT, elem_classes="about")
            with gr.Row():
                go = gr.Button(
                    "Translate every frame",
                    variant="primary",
                    elem_id="translate-clip-go",
                    elem_classes="go",
                    scale=3,
                )
                cancel = gr.Button("Cancel", elem_id="translate-clip-cancel", scale=1)
        with gr.Column(scale=2):
            picture = gr.Image(
                label="Translated",
                height=420,
                buttons=[],
                interactive=False,
                elem_id="translate-clip-image",
            )
            video = gr.Video(
                label="Translated",
                height=420,
                autoplay=True,
                loop=True,
                visible=False,
                interactive=False,
                elem_id="translate-clip-video",
            )
            status = gr.Markdown(EMPTY, elem_classes="status", elem_id="translate-clip-status")
            download = gr.DownloadButton("Download", interactive=False, elem_id="translate-clip-download")
    outputs = [status, picture, video, download]
    start_run(go, cancel, make_paint_clip(session), [model, strength, clip], outputs)
