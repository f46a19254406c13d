"""The Inpaint tab: paint over what should go, and only that changes.

The editor shows a small copy of the photo and gives back nothing but the mask; the photo itself
stays the uploaded file, untouched, and the mask is scaled to it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.tasks.inpaint import inpaint
from imgsynth.tasks.requests import InpaintRequest, make_request
from imgsynth.ui.candidates_panel import (
    CandidatesPanel,
    make_candidates_button,
    make_candidates_panel,
    make_fill_all,
)
from imgsynth.ui.examples import example_photos
from imgsynth.ui.hole import History, at, painted_hole
from imgsynth.ui.mask_tools import Editor, MaskTools, make_mask_file, make_mask_tools
from imgsynth.ui.outpaint_panel import OutpaintPanel, make_extend, make_outpaint_panel
from imgsynth.ui.photos import open_photo
from imgsynth.ui.picker import make_picker
from imgsynth.ui.result_panel import ResultPanel, make_result_panel, on_panel, part_bar, saved
from imgsynth.ui.session import CHEAP, LANE, Session, literal, plain
from imgsynth.ui.uploads import FileInput, PhotoInput


@dataclass(frozen=True)
class InpaintTab:
    """What other parts of the page reach for.

    Attributes:
        edge: grow and feather.
        sides: pixels to add, in the order of `outpaint_panel.SIDES`.
        hole: the editor, the number of what it shows, and the State with all that it was given.
    """

    model: gr.Radio
    photo: PhotoInput
    edge: list[gr.Slider]
    sides: list[gr.Number]
    hole: list[Any]


@dataclass(frozen=True)
class Controls:
    """The side that is filled in, from top to bottom."""

    model: gr.Radio
    photo: PhotoInput
    mask: FileInput
    edge: list[gr.Slider]
    go: gr.Button
    cancel: gr.Button
    every: gr.Button
    extending: OutpaintPanel


def make_fill(session: Session) -> Any:
    @plain
    def fill(
        name: str,
        path: str | None,
        editor: Editor,
        version: float | None,
        history: History,
        grow: int,
        feather: int,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        request = make_request(InpaintRequest, grow=int(grow), feather=int(feather))
        photo = open_photo(path)
        hole = painted_hole(editor, photo, at(history, version))
        report = part_bar(progress, "Filling")
        progress(0.1, desc="Loading the model")
        model = session.model(name)
        part, size = f"{hole.mean():.1%}", f"{photo.width}×{photo.height}"
        progress(0.3, desc=f"Filling {part} of {size} pixels")
        started = time.monotonic()
        picture = inpaint(model, request, photo, hole, report)
        seconds = time.monotonic() - started
        progress(0.9, desc="Saving")
        return saved(
            photo, picture, f"{part} of {size} filled · **{literal(model.identity.id)}** · {seconds:.1f} s"
        )

    return fill


def make_edge() -> list[gr.Slider]:
    """The two sliders on the edge of the hole, folded."""
    with gr.Accordion("Options", open=False):
        return [
            gr.Slider(0, 64, 4, step=1, label="Grow", info="Pixels by which the painted part is widened."),
            gr.Slider(0, 64, 4, step=1, label="Feather", info="Pixels over which the fill fades out."),
        ]


def make_controls(opened: gr.State) -> Controls:
    model = make_picker("inpaint", opened)
    photo = PhotoInput(label="Photo", sources=["upload", "clipboard"], height=200, elem_id="inpaint-photo")
    gr.Examples(example_photos("inpaint"), photo, label="Or try one of these")
    mask = make_mask_file()
    edge = make_edge()
    with gr.Row():
        go = gr.Button("Fill", variant="primary", elem_id="inpaint-go", elem_classes="go", scale=3)
        cancel = gr.Button("Cancel", elem_id="inpaint-cancel", scale=1)
    every = make_candidates_button()
    return Controls(model, photo, mask, edge, go, cancel, every, make_outpaint_panel())


def make_inpaint_tab(session: Session, opened: gr.State) -> InpaintTab:
    """Builds the tab inside the current Blocks."""
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=1, elem_classes="controls"):
            controls = make_controls(opened)
        with gr.Column(scale=2):
            tools = make_mask_tools()
            many = make_candidates_panel(controls.every)
            result = make_result_panel()
    tools.connect(controls.photo, controls.mask, result.status, controls.edge)
    result.connect(controls.photo)
    many.connect(opened, result.outputs)
    connect_runs(session, opened, controls, tools, result, many)
    return InpaintTab(controls.model, controls.photo, controls.edge, controls.extending.sides, tools.hole)


def connect_runs(
    session: Session,
    opened: gr.State,
    controls: Controls,
    tools: MaskTools,
    result: ResultPanel,
    many: CandidatesPanel,
) -> None:
    """The three events that work on the device, and what stops them."""
    c, options = controls, {**on_panel(result), **LANE}
    hole: list[Any] = [c.photo, *tools.hole, *c.edge]
    sides: list[Any] = [c.model, c.photo, *c.extending.sides]
    drawn: list[Any] = [many.gallery, many.drawn, result.status]
    runs: list[Any] = [
        c.go.click(make_fill(session), [c.model, *hole], result.outputs, **options),
        c.every.click(make_fill_all(session), [opened, *hole], drawn, **options),
        c.extending.go.click(make_extend(session), sides, result.outputs, **options),
    ]
    c.cancel.click(lambda: "Stopped.", None, result.status, cancels=runs, **CHEAP)
