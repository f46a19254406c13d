"""The Inpaint tab: paint over what should go, and only that changes.

The editor shows a small copy of the photo and gives back nothing but the mask; the photo itself
stays the uploaded file, untouched, and the mask is scaled to it.
"""

from __future__ import annotations

import time
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from imgsynth.errors import BadMask
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.tasks.inpaint import inpaint
from imgsynth.tasks.requests import InpaintRequest, make_request
from imgsynth.ui.examples import example_photos
from imgsynth.ui.picker import make_picker
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, QUICK, Session, literal, plain
from imgsynth.ui.translate_tab import finished, open_photo
from imgsynth.ui.uploads import PhotoEditor, PhotoInput

SHOWN_SIDE = 960
BRUSH = "#e11d48"
EMPTY = "Paint over what should go; everything else stays as it is, to the last bit."


def drawn_mask(editor: dict[str, Any] | None, photo: Photo) -> np.ndarray:
    """What was painted in the editor, at the photo's size: bool H×W, True = hole.

    Raises:
        BadMask: nothing was painted.
    """
    layers = [layer for layer in (editor or {}).get("layers", []) if layer is not None]
    mask = np.zeros((photo.height, photo.width), dtype=bool)
    for layer in layers:
        alpha = layer.getchannel("A").resize((photo.width, photo.height), Image.Resampling.BILINEAR)
        mask |= np.asarray(alpha) >= 128
    if not mask.any():
        raise BadMask("Nothing is painted yet; brush over the part of the photo that should be filled.")
    return mask


@plain
def show(path: str | None, shown: str | None) -> tuple[Any, str | None]:
    """The photo in the editor, scaled down to what a screen shows, with nothing painted.

    A photo that is shown already stays as it is: the page tells of a change twice, and the second
    time must not wipe what was painted meanwhile.
    """
    if path == shown:
        return gr.skip(), shown
    if path is None:
        return None, None
    image = read_photo(path).image.convert("RGB")
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS)
    return {"background": image, "layers": [], "composite": None}, path


def make_fill(session: Session) -> Any:
    @plain
    def fill(
        name: str,
        path: str | None,
        editor: dict[str, Any] | None,
        grow: int,
        feather: int,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        request = make_request(InpaintRequest, grow=int(grow), feather=int(feather))
        photo = open_photo(path)
        mask = drawn_mask(editor, photo)
        progress(0.1, desc="Loading the model")
        model = session.model(name)
        progress(0.3, desc=f"Filling {mask.mean():.0%} of {photo.width}×{photo.height} pixels")
        started = time.monotonic()
        picture = inpaint(model, request, photo, mask)
        seconds = time.monotonic() - started
        progress(0.9, desc="Saving")
        part, size = f"{mask.mean():.1%}", f"{photo.width}×{photo.height}"
        line = f"{part} of {size} filled · **{literal(model.identity.id)}** · {seconds:.1f} s"
        return finished(photo, picture, line)

    return fill


def make_inpaint_tab(session: Session, opened: gr.State) -> gr.Radio:
    """Builds the tab inside the current Blocks; returns its model picker."""
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=1, elem_classes="controls"):
            model = make_picker("inpaint", opened)
            photo = PhotoInput(
                label="Photo", sources=["upload", "clipboard"], height=200, elem_id="inpaint-photo"
            )
            gr.Examples(example_photos("inpaint"), photo, label="Or try one of these")
            with gr.Accordion("Options", open=False):
                grow = gr.Slider(
                    0, 64, 4, step=1, label="Grow", info="Pixels by which the painted part is widened."
                )
                feather = gr.Slider(
                    0, 64, 4, step=1, label="Feather", info="Pixels over which the fill fades out."
                )
            with gr.Row():
                go = gr.Button("Fill", variant="primary", elem_id="inpaint-go", elem_classes="go", scale=3)
                cancel = gr.Button("Cancel", elem_id="inpaint-cancel", scale=1)
        with gr.Column(scale=2):
            editor = PhotoEditor(
                type="pil",
                label="Paint over what should go",
                sources=(),
                transforms=(),
                layers=False,
                brush=gr.Brush(default_size=28, colors=[BRUSH], default_color=BRUSH, color_mode="fixed"),
                eraser=gr.Eraser(default_size=28),
                height=520,
                buttons=[],
                elem_id="inpaint-editor",
                placeholder="Choose a photo on the left first",
            )
            status = gr.Markdown(EMPTY, elem_classes="status", elem_id="inpaint-status")
            result = gr.ImageSlider(
                label="Before and after: drag the line",
                height=520,
                elem_id="inpaint-result",
                interactive=False,
            )
            download = gr.DownloadButton("Download PNG", interactive=False, elem_id="inpaint-download")
    shown_photo = gr.State(None)
    photo.change(show, [photo, shown_photo], [editor, shown_photo], **QUICK)
    inputs, outputs = [model, photo, editor, grow, feather], [result, status, download]
    shown: dict[str, Any] = {"show_progress_on": [result], **LANE, **PRIVATE}
    run = go.click(make_fill(session), inputs, outputs, **shown)
    cancel.click(lambda: "Stopped.", None, status, cancels=[run], **CHEAP)
    return model
