"""The Translate tab: a photo in, the same photo in another style out, at its full size."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.tasks.requests import TranslateRequest, make_request
from imgsynth.tasks.translate import repaint
from imgsynth.ui.batch_panel import make_batch_panel
from imgsynth.ui.clip_panel import make_clip_panel
from imgsynth.ui.compare import make_compare
from imgsynth.ui.examples import example_photos
from imgsynth.ui.photos import finished, open_photo
from imgsynth.ui.picker import make_picker
from imgsynth.ui.round_trip import back_button, make_there_and_back, way_back
from imgsynth.ui.runs import start_run, tile_bar
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, QUICK, Session, plain
from imgsynth.ui.strength import Kept, described, forget, keep, mix_again
from imgsynth.ui.uploads import PhotoInput

EMPTY = "Your photo keeps its size, its transparency and its colour profile."


@dataclass(frozen=True)
class TranslateTab:
    """What other tabs and the page reach for."""

    model: gr.Radio
    photo: PhotoInput
    strength: gr.Slider


@dataclass(frozen=True)
class Controls:
    """The side with the photo and what is to be done with it."""

    model: gr.Radio
    photo: PhotoInput
    strength: gr.Slider
    go: gr.Button
    cancel: gr.Button


@dataclass(frozen=True)
class Results:
    """The side with the pictures, the line below them, and what can be done next."""

    slider: gr.ImageSlider
    side_by_side: gr.Gallery
    status: gr.Markdown
    download: gr.DownloadButton
    back: gr.Button
    compare: gr.Button


def make_paint(session: Session) -> Any:
    @plain
    def paint(
        name: str,
        path: str | None,
        strength: float,
        kept: Kept | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        request = make_request(TranslateRequest, strength=strength)
        photo = open_photo(path)
        progress(0.1, desc="Loading the model")
        model = session.model(name)
        progress(0.3, desc=f"Painting {photo.width}×{photo.height} pixels")
        started = time.monotonic()
        repainting = repaint(model, request, photo, tile_bar(progress))
        seconds = time.monotonic() - started
        progress(0.9, desc="Saving")
        line = described(photo, model.identity.id, request.strength, seconds)
        shown = finished(photo, repainting.at(request.strength), line)
        forget(kept)
        return *shown, keep(repainting, name, str(path), before=shown[0][0])

    return paint


def make_controls(opened: gr.State) -> Controls:
    with gr.Column(scale=1, elem_classes="controls"):
        model = make_picker("translate", opened)
        photo = PhotoInput(
            label="Photo", sources=["upload", "clipboard", "webcam"], height=240, elem_id="translate-photo"
        )
        gr.Examples(example_photos("translate"), photo, label="Or try one of these")
        strength = gr.Slider(
            0,
            1,
            1.0,
            step=0.05,
            label="Strength",
            info="0 keeps the photo, 1 takes the whole translation; drag it to see a result change.",
            elem_id="translate-strength",
        )
        with gr.Row():
            go = gr.Button("Translate", variant="primary", elem_id="translate-go", elem_classes="go", scale=3)
            cancel = gr.Button("Cancel", elem_id="translate-cancel", scale=1)
    return Controls(model, photo, strength, go, cancel)


def make_results(leads_back: bool) -> Results:
    with gr.Column(scale=2):
        slider = gr.ImageSlider(
            label="Before and after: drag the line", height=620, elem_id="translate-result", interactive=False
        )
        status = gr.Markdown(EMPTY, elem_classes="status", elem_id="translate-status")
        with gr.Row():
            download = gr.DownloadButton("Download PNG", interactive=False, elem_id="translate-download")
            back = gr.Button("There and back", interactive=leads_back, elem_id="translate-back")
            compare = gr.Button("Compare all models", elem_id="translate-compare")
        side_by_side = gr.Gallery(
            label="Side by side",
            visible=False,
            columns=3,
            height="auto",
            object_fit="contain",
            elem_id="translate-side",
            interactive=False,
        )
    return Results(slider, side_by_side, status, download, back, compare)


def make_translate_tab(session: Session, opened: gr.State) -> TranslateTab:
    """Builds the tab inside the current Blocks."""
    with gr.Row(elem_classes="columns"):
        controls = make_controls(opened)
        results = make_results(leads_back=way_back(controls.model.value) is not None)
    connect(session, opened, controls, results)
    make_batch_panel(session, controls.model, controls.strength)
    make_clip_panel(session, controls.model, controls.strength)
    return TranslateTab(controls.model, controls.photo, controls.strength)


def connect(session: Session, opened: gr.State, c: Controls, r: Results) -> None:
    """What each button of the upper part does; Cancel ends all of it."""
    kept = gr.State(None, delete_callback=forget)
    device: dict[str, Any] = {**LANE, **PRIVATE}
    shown, beside = [r.slider, r.status, r.download], [r.status, r.side_by_side]
    painting = c.go.click(
        make_paint(session),
        [c.model, c.photo, c.strength, kept],
        [*shown, kept],
        show_progress_on=[r.slider],
        **device,
    )
    mixed = [c.model, c.photo, c.strength, kept]
    c.strength.input(mix_again, mixed, shown, trigger_mode="always_last", **QUICK)
    chosen = [c.model, c.photo, c.strength, opened]
    returning = r.back.click(
        make_there_and_back(session),
        chosen,
        [r.status, r.side_by_side],
        show_progress_on=[r.status],
        **device,
    )
    c.model.change(back_button, [c.model, opened], r.back, **CHEAP)
    c.cancel.click(lambda: "Stopped.", None, r.status, cancels=[painting, returning], **CHEAP)
    start_run(r.compare, c.cancel, make_compare(session), chosen[1:], beside)
