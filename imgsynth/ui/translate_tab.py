"""The Translate tab: a photo in, the same photo in another style out, at its full size."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gradio as gr

from imgsynth.errors import BadImage
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.requests import TranslateRequest, make_request
from imgsynth.tasks.translate import translate
from imgsynth.ui.examples import example_photos
from imgsynth.ui.picker import make_picker
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, Session, literal, new_folder, plain, save
from imgsynth.ui.uploads import PhotoInput


def open_photo(path: str | None) -> Photo:
    """An uploaded photo, or one sentence on what is missing."""
    if path is None:
        raise BadImage("There is no photo yet; drop one on the left or click an example.")
    return read_photo(path)


def save_upright(photo: Photo, folder: Path) -> str:
    """The photo as decoded, for the 'before' side: browsers do not open every format that we do."""
    path = folder / f"{photo.name}-before.png"
    photo.image.save(path, compress_level=1, icc_profile=photo.icc)
    return str(path)


def finished(photo: Photo, picture: Picture, line: str) -> tuple[Any, ...]:
    """Saves a result; what a tab shows then: before and after, the line below, the download."""
    folder = new_folder()
    result = save(picture, folder)
    return (save_upright(photo, folder), result), line, gr.DownloadButton(value=result, interactive=True)


def make_paint(session: Session) -> Any:
    @plain
    def paint(
        name: str,
        path: str | None,
        strength: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        request = make_request(TranslateRequest, strength=strength)
        photo = open_photo(path)
        progress(0.1, desc="Loading the model")
        model = session.model(name)
        progress(0.3, desc=f"Painting {photo.width}×{photo.height} pixels")
        started = time.monotonic()
        picture = translate(model, request, photo)
        seconds = time.monotonic() - started
        progress(0.9, desc="Saving")
        notes = " ".join(photo.notes)
        size = f"{photo.width}×{photo.height}"
        line = f"{size} · **{literal(model.identity.id)}** · strength {strength:g} · {seconds:.1f} s. {notes}"
        return finished(photo, picture, line)

    return paint


def make_translate_tab(session: Session, opened: gr.State) -> gr.Radio:
    """Builds the tab inside the current Blocks; returns its model picker."""
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=1, elem_classes="controls"):
            model = make_picker("translate", opened)
            photo = PhotoInput(
                label="Photo", sources=["upload", "clipboard"], height=240, elem_id="translate-photo"
            )
            gr.Examples(example_photos("translate"), photo, label="Or try one of these")
            strength = gr.Slider(
                0,
                1,
                1.0,
                step=0.05,
                label="Strength",
                info="0 keeps the photo, 1 takes the whole translation.",
            )
            with gr.Row():
                go = gr.Button(
                    "Translate", variant="primary", elem_id="translate-go", elem_classes="go", scale=3
                )
                cancel = gr.Button("Cancel", elem_id="translate-cancel", scale=1)
        with gr.Column(scale=2):
            result = gr.ImageSlider(
                label="Before and after: drag the line",
                height=620,
                elem_id="translate-result",
                interactive=False,
            )
            status = gr.Markdown(
                "Your photo keeps its size, its transparency and its colour profile.",
                elem_classes="status",
                elem_id="translate-status",
            )
            download = gr.DownloadButton("Download PNG", interactive=False, elem_id="translate-download")
    inputs, outputs = [model, photo, strength], [result, status, download]
    shown: dict[str, Any] = {"show_progress_on": [result], **LANE, **PRIVATE}
    run = go.click(make_paint(session), inputs, outputs, **shown)
    cancel.click(lambda: "Stopped.", None, status, cancels=[run], **CHEAP)
    return model
