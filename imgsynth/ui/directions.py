"""Sliders along directions of a model: what was shipped with it, what its pictures differ in most, and the
single latents of an autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.errors import ImgsynthError
from imgsynth.families import Autoencoder, Model
from imgsynth.tasks.directions import directions_of
from imgsynth.ui.latents import LatentSliders, make_latent_sliders
from imgsynth.ui.named_sliders import NamedSliders, make_slider, make_sliders
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, QUICK, Session, literal, plain

Updates = dict[Any, Any]

MOST = 8
MOST_ATTRIBUTES = 40  # as many as CelebA has
HELP = "What the pictures differ in most. Drag to see what each one changes, and give it a name."
SHIPPED = "Found by the model's author. Drag towards more or less of each."


@dataclass(frozen=True)
class Filled:
    """Whose directions the sliders stand for, by the core's names.

    Attributes:
        names: of its components.
        attributes: what was shipped with it.
        latents: the single numbers of an autoencoder's latents, most used first.
    """

    model: str
    names: tuple[str, ...]
    attributes: tuple[str, ...] = ()
    latents: tuple[str, ...] = ()


@dataclass(frozen=True)
class DirectionsPanel:
    """A folded part of the controls, filled when it is opened.

    Attributes:
        filled: a State with `Filled`, or None.
        renamed: a State with the names that a visitor gave, by model and by the core's name.
        unfolded: a State that tells whether the part is open.
    """

    accordion: gr.Accordion
    attributes: NamedSliders
    note: gr.Markdown
    rows: list[gr.Column]
    names: list[gr.Textbox]
    sliders: list[gr.Slider]
    latents: LatentSliders
    reset: gr.Button
    filled: gr.State
    renamed: gr.State
    unfolded: gr.State

    @property
    def every_slider(self) -> list[gr.Slider]:
        return [*self.attributes.sliders, *self.sliders, *self.latents.every_slider]

    @property
    def inputs(self) -> set[Any]:
        return {self.filled, *self.every_slider, self.latents.number}

    def amounts(self, values: Mapping[Any, Any], model: str) -> dict[str, float]:
        """How far to go along each direction, by the core's names; nowhere while they are another model's."""
        filled: Filled | None = values[self.filled]
        if filled is None or filled.model != model:
            return {}
        moved = {
            **self.attributes.amounts(values, filled.attributes),
            **dict(zip(filled.names, (float(values[slider]) for slider in self.sliders), strict=False)),
            **self.latents.amounts(values, filled.latents),
        }
        return {name: amount for name, amount in moved.items() if amount}

    def empty(self, note: str) -> Updates:
        hidden: Updates = {row: gr.Column(visible=False) for row in self.rows}
        hidden |= self.attributes.showing(()) | self.latents.showing(())
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
            **self.attributes.showing(filled.attributes),
            **self.latents.showing(filled.latents),
        }

    @property
    def outputs(self) -> list[Any]:
        groups = [self.attributes.part, *self.latents.parts, self.latents.number]
        return [*self.rows, *self.names, *self.every_slider, *groups, self.filled, self.note, self.reset]


def make_directions_panel() -> DirectionsPanel:
    """Builds the part inside the current Blocks."""
    states = gr.State(None), gr.State({}), gr.State(False)
    rows, names, sliders = [], [], []
    with gr.Accordion("Directions", open=False, elem_id="sample-directions") as accordion:
        attributes = make_attributes()
        note = gr.Markdown("Looking for them …", elem_classes="about", elem_id="sample-directions-note")
        for number in range(1, MOST + 1):
            with gr.Column(visible=False, elem_classes="direction", min_width=100) as row:
                names.append(make_name(number))
                sliders.append(make_slider(f"Direction {number}", show_label=False))
            rows.append(row)
        latents = make_latent_sliders()
        reset = gr.Button("Reset", visible=False, size="sm", elem_id="sample-directions-reset")
    return DirectionsPanel(accordion, attributes, note, rows, names, sliders, latents, reset, *states)


def make_attributes() -> NamedSliders:
    """What was shipped with a model; hidden where nothing was."""
    with gr.Column(visible=False, elem_id="sample-attributes") as part:
        gr.Markdown(SHIPPED, elem_classes="about")
        with gr.Row(elem_classes="slider-grid"):
            sliders = make_sliders(MOST_ATTRIBUTES, "Attribute")
    return NamedSliders(part, sliders)


def make_name(number: int) -> gr.Textbox:
    return gr.Textbox(
        label=f"Name of direction {number}",
        show_label=False,
        container=False,
        max_lines=1,
        max_length=60,
        elem_classes="direction-name",
    )


def filled_of(name: str, model: Model) -> Filled:
    """What the sliders stand for with a model; computed where need be.

    Args:
        name: what the model is chosen by.

    Raises:
        ImgsynthError: it has no directions.
    """
    found = directions_of(model)
    attributes = tuple(found.attributes)[:MOST_ATTRIBUTES]
    latents = found.latents if isinstance(model, Autoencoder) else ()
    return Filled(name, found.components[:MOST], attributes, latents)


def make_fill(session: Session, panel: DirectionsPanel) -> Any:
    """The event that finds the directions of a model, unless its sliders are there already."""

    @plain
    def fill(name: str | None, filled: Filled | None, renamed: dict[tuple[str, str], str]) -> Updates:
        if not name:
            return panel.empty("Choose a model first.")
        if filled is not None and filled.model == name:
            return {panel.note: gr.skip()}
        try:
            return panel.fitting(filled_of(name, session.model(name)), renamed)
        except ImgsynthError as error:
            return panel.empty(literal(str(error)))

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
    inputs, outputs = [model, panel.filled, panel.renamed], panel.outputs
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
