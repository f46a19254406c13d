"""Sliders along the directions in which a model's pictures change most; their names are the visitor's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.errors import ImgsynthError
from imgsynth.tasks.directions import directions_of
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, QUICK, Session, plain

Updates = dict[Any, Any]

MOST = 8
REACH = 4.0  # standard deviations; what lies further looks broken in most models
HELP = "What the pictures differ in most. Drag to see what each one changes, and give it a name."


@dataclass(frozen=True)
class Filled:
    """Whose directions the sliders stand for, by the core's names."""

    model: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class DirectionsPanel:
    """A folded part of the controls, filled when it is opened.

    Attributes:
        filled: a State with `Filled`, or None.
        renamed: a State with the names that a visitor gave, by model and by the core's name.
        unfolded: a State that tells whether the part is open.
    """

    accordion: gr.Accordion
    note: gr.Markdown
    rows: list[gr.Column]
    names: list[gr.Textbox]
    sliders: list[gr.Slider]
    reset: gr.Button
    filled: gr.State
    renamed: gr.State
    unfolded: gr.State

    @property
    def inputs(self) -> set[Any]:
        return {self.filled, *self.sliders}

    def amounts(self, values: Mapping[Any, Any], model: str) -> dict[str, float]:
        """How far to go along each direction, by the core's names; nowhere while they are another model's."""
        filled: Filled | None = values[self.filled]
        if filled is None or filled.model != model:
            return {}
        moved = zip(filled.names, (values[slider] for slider in self.sliders), strict=False)
        return {name: float(amount) for name, amount in moved if amount}

    def empty(self, note: str) -> Updates:
        hidden = {row: gr.Column(visible=False) for row in self.rows}
        return {**hidden, self.filled: None, self.note: note, self.reset: gr.Button(visible=False)}

    def fitting(self, filled: Filled, renamed: Mapping[tuple[str, str], str]) -> Updates:
        """The sliders of a model, all at 0."""
        count = len(filled.names)
        given = [renamed.get((filled.model, name), name) for name in filled.names]
        return {
            self.filled: filled,
            self.note: HELP,
            self.reset: gr.Button(visible=True),
            **{row: gr.Column(visible=number < count) for number, row in enumerate(self.rows)},
            **dict(zip(self.names, given, strict=False)),
            **dict.fromkeys(self.sliders, 0),
        }


def make_directions_panel() -> DirectionsPanel:
    """Builds the part inside the current Blocks."""
    states = gr.State(None), gr.State({}), gr.State(False)
    rows, names, sliders = [], [], []
    with gr.Accordion("Directions", open=False, elem_id="sample-directions") as accordion:
        note = gr.Markdown("Looking for them …", elem_classes="about", elem_id="sample-directions-note")
        for number in range(1, MOST + 1):
            with gr.Column(visible=False, elem_classes="direction", min_width=100) as row:
                names.append(make_name(number))
                sliders.append(make_slider(number))
            rows.append(row)
        reset = gr.Button("Reset", visible=False, size="sm", elem_id="sample-directions-reset")
    return DirectionsPanel(accordion, note, rows, names, sliders, reset, *states)


def make_name(number: int) -> gr.Textbox:
    return gr.Textbox(
        label=f"Name of direction {number}",
        show_label=False,
        container=False,
        max_lines=1,
        max_length=60,
        elem_classes="direction-name",
    )


def make_slider(number: int) -> gr.Slider:
    return gr.Slider(-REACH, REACH, 0, step=0.1, label=f"Direction {number}", show_label=False)


def make_fill(session: Session, panel: DirectionsPanel) -> Any:
    """The event that finds the directions of a model, unless its sliders are there already."""

    @plain
    def fill(name: str | None, filled: Filled | None, renamed: dict[tuple[str, str], str]) -> Updates:
        if not name:
            return panel.empty("Choose a model first.")
        if filled is not None and filled.model == name:
            return {panel.note: gr.skip()}
        try:
            names = directions_of(session.model(name)).names[:MOST]
        except ImgsynthError as error:
            return panel.empty(str(error))
        return panel.fitting(Filled(name, names), renamed)

    return fill


def make_rename(panel: DirectionsPanel) -> Any:
    """The event that keeps what a visitor calls directions."""

    def rename(filled: Filled | None, renamed: dict[tuple[str, str], str], *given: str) -> Updates:
        if filled is None:
            return {panel.renamed: renamed}
        others = {key: text for key, text in renamed.items() if key[0] != filled.model}
        named = zip(filled.names, given, strict=False)
        # An empty field gives a direction its first name back.
        return {panel.renamed: others | {(filled.model, name): text for name, text in named if text}}

    return rename


def connect_directions(session: Session, panel: DirectionsPanel, model: gr.Radio) -> None:
    """Fills the sliders when they are first looked at, and after a change of model while they are."""
    fill = make_fill(session, panel)
    inputs = [model, panel.filled, panel.renamed]
    outputs = [*panel.rows, *panel.names, *panel.sliders, panel.filled, panel.note, panel.reset]
    lane: dict[str, Any] = {"show_progress": "hidden", **LANE, **PRIVATE}

    @plain
    def refill(unfolded: bool, *known: Any) -> Updates:
        return fill(*known) if unfolded else {panel.note: gr.skip()}

    panel.accordion.expand(lambda: True, None, panel.unfolded, **CHEAP)
    panel.accordion.collapse(lambda: False, None, panel.unfolded, **CHEAP)
    panel.accordion.expand(fill, inputs, outputs, **lane)
    model.change(refill, [panel.unfolded, *inputs], outputs, **lane)
    # `input` comes with the key, before the letter is in the field.
    gr.on(
        [name.change for name in panel.names],
        make_rename(panel),
        [panel.filled, panel.renamed, *panel.names],
        [panel.renamed],
        **{**QUICK, "trigger_mode": "always_last"},
    )
