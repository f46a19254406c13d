"""The Sample tab: seeds in, pictures out; one of them large, with all that can be done with it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.errors import ImgsynthError
from imgsynth.seeds import LARGEST_SEED
from imgsynth.tasks.requests import parse_seeds, show_seeds
from imgsynth.ui.classes import fitting_classes, make_class_picker
from imgsynth.ui.directions import connect_directions, make_directions_panel
from imgsynth.ui.downloads import download_made, zipped
from imgsynth.ui.invert_panel import STOPPED, make_photo_panel
from imgsynth.ui.mixing_panel import MixingControls, MixingPanel, connect_mixing, make_mixing_panel
from imgsynth.ui.noise import fitting_noise, make_noise_choice
from imgsynth.ui.picked import PickedPanel, make_picked_panel
from imgsynth.ui.picker import make_picker
from imgsynth.ui.sample_events import MOST_SHOWN, SampleEvents, SampleParts
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, QUICK, Session, plain
from imgsynth.ui.tray import Tray, connect_tray, make_tray

FIRST_VIEW = 16


@dataclass(frozen=True)
class Buttons:
    """What the tab is driven with."""

    count: gr.Slider
    go: gr.Button
    dice: gr.Button
    cancel: gr.Button
    grid: gr.Button
    zip: gr.Button
    to_keyframes: gr.Button


@dataclass(frozen=True)
class SampleTab:
    """What other tabs and the page need of this one.

    Attributes:
        fit: the event that brings class, noise and mixing in line with the chosen model.
    """

    parts: SampleParts
    buttons: Buttons
    mixing: MixingPanel
    draw: Any
    fit: Any

    @property
    def fit_inputs(self) -> list[Any]:
        return [self.parts.model, self.parts.label, self.parts.noise, self.mixing.layers]

    @property
    def fit_outputs(self) -> list[Any]:
        return [self.parts.label, self.parts.noise, self.mixing.part, self.mixing.layers]

    @property
    def model(self) -> gr.Radio:
        return self.parts.model

    @property
    def seeds(self) -> gr.Textbox:
        return self.parts.seeds

    @property
    def label(self) -> gr.Dropdown:
        return self.parts.label

    @property
    def shown(self) -> gr.State:
        return self.parts.shown

    @property
    def picked(self) -> PickedPanel:
        return self.parts.picked

    @property
    def tray(self) -> Tray:
        return self.parts.tray

    @property
    def to_keyframes(self) -> gr.Button:
        return self.buttons.to_keyframes

    def draw_after(self, event: Any) -> Any:
        """Draws as the controls stand once an event is through; Cancel ends that too."""
        drawing = event.then(
            self.draw, self.parts.controls, self.parts.results, **shown_on(self.parts.status)
        )
        self.buttons.cancel.click(None, cancels=[drawing], **CHEAP)
        return drawing


def shown_on(status: gr.Markdown) -> dict[str, Any]:
    """How drawing runs: in the device's lane, with its progress in one place."""
    return {"show_progress_on": [status], **LANE, **PRIVATE}


def spread(seeds: str, count: float) -> str:
    """`count` seeds in a row, from the first one in the field on."""
    first = min(parse_seeds(seeds)[0], LARGEST_SEED - int(count) + 1)
    return show_seeds(range(first, first + int(count)))


def roll(count: float) -> str:
    """`count` seeds in a row from a random first one, small enough to be remembered."""
    first = secrets.randbelow(1_000_000)
    return show_seeds(range(first, first + int(count)))


def make_sample_tab(session: Session, opened: gr.State) -> SampleTab:
    """Builds the tab inside the current Blocks."""
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=1, elem_classes="controls"):
            inputs, count, (psi, noise) = make_inputs(opened)
            directions, photo = make_directions_panel(), make_photo_panel()
            go, dice, cancel = make_go()
        with gr.Column(scale=2):
            gallery, status = make_results()
            with gr.Row():
                grid = gr.Button("Download as one picture", elem_id="sample-download")
                zip_all = gr.Button("Download all as ZIP", elem_id="sample-zip")
                to_keyframes = gr.Button("Use as keyframes", elem_id="sample-to-keyframes")
            picked, tray, mixing = make_picked_panel(), make_tray(), make_mixing_panel()
    shown: gr.State = gr.State(())
    parts = SampleParts(*inputs, psi, noise, directions, photo, gallery, status, shown, picked, tray)
    buttons = Buttons(count, go, dice, cancel, grid, zip_all, to_keyframes)
    events = SampleEvents(session, parts)
    connect_drawing(events, buttons)
    connect_sliders(events, buttons)
    connect_pictures(events, buttons)
    connect_photo(events)
    connect_tray(tray, picked)
    connect_directions(session, directions, parts.model)
    connect_mixing(session, MixingControls(parts.model, psi, noise), mixing)
    tab = SampleTab(parts, buttons, mixing, plain(events.draw), make_fit(session, parts, mixing))
    parts.model.change(tab.fit, tab.fit_inputs, tab.fit_outputs, **QUICK)
    return tab


def make_fit(session: Session, parts: SampleParts, mixing: MixingPanel) -> Any:
    """The event that shows what the chosen model can be asked for, loading it if need be."""

    def fit(name: str | None, label: Any, noise: Any, layers: Any) -> dict[Any, Any]:
        try:
            model = session.model(name or "")
        except ImgsynthError:  # drawing with it will tell
            hidden = {parts.label: gr.Dropdown(visible=False), parts.noise: gr.Radio(visible=False)}
            return {**hidden, **mixing.hide()}
        return {
            parts.label: fitting_classes(model, label, all_in_turn=True),
            parts.noise: fitting_noise(model, noise),
            **mixing.fitting(model, layers),
        }

    return fit


def make_inputs(
    opened: gr.State,
) -> tuple[tuple[gr.Radio, gr.Textbox, gr.Dropdown], gr.Slider, tuple[gr.Slider, gr.Radio]]:
    """Model, seeds and class; how many; psi and noise."""
    model = make_picker("sample", opened)
    seeds = gr.Textbox(
        "0-15",
        label="Seeds",
        info="Each seed is one picture, the same every time: 7 or 1,2,5-10.",
        elem_id="sample-seeds",
    )
    label = make_class_picker("sample-class")
    count = gr.Slider(1, MOST_SHOWN, FIRST_VIEW, step=1, label="Count", info="How many seeds in a row.")
    with gr.Accordion("Options", open=False, elem_id="sample-options"):
        psi = gr.Slider(
            0,
            1.5,
            1.0,
            step=0.05,
            label="Truncation (psi)",
            info="1 draws from the whole model; less gives more typical, less varied pictures.",
        )
        noise = make_noise_choice()
    return (model, seeds, label), count, (psi, noise)


def make_go() -> tuple[gr.Button, gr.Button, gr.Button]:
    with gr.Row():
        go = gr.Button("Draw", variant="primary", elem_id="sample-go", elem_classes="go", scale=2)
        dice = gr.Button("Random", elem_id="sample-dice", scale=1)
        cancel = gr.Button("Cancel", elem_id="sample-cancel", scale=1)
    return go, dice, cancel


def make_results() -> tuple[gr.Gallery, gr.Markdown]:
    gallery = gr.Gallery(
        label="Samples",
        show_label=False,
        columns=4,
        height=812,
        object_fit="contain",
        allow_preview=False,
        interactive=False,
        elem_id="sample-gallery",
        format="png",
        buttons=[],
    )
    return gallery, gr.Markdown("", elem_classes="status", elem_id="sample-status")


def connect_drawing(events: SampleEvents, buttons: Buttons) -> None:
    """Draw, Random, a change of model or class, and Cancel."""
    p, draw = events.parts, plain(events.draw)
    shown = shown_on(p.status)
    triggers = (buttons.go.click, p.seeds.submit, p.model.input, p.label.input)
    runs: list[Any] = [event(draw, p.controls, p.results, **shown) for event in triggers]
    rolled = buttons.dice.click(roll, buttons.count, p.seeds, **CHEAP)
    runs.append(rolled.then(draw, p.controls, p.results, **shown))
    buttons.cancel.click(None, cancels=runs, **CHEAP)
    buttons.count.release(plain(spread), [p.seeds, buttons.count], p.seeds, **QUICK)


def connect_sliders(events: SampleEvents, buttons: Buttons) -> None:
    """Pictures follow psi, noise and the directions."""
    p = events.parts
    moving = p.directions.every_slider
    sliders = [p.psi, *moving]
    inputs, outputs = p.controls | p.all_pictures, [*p.results, *p.picked.outputs]
    dragging = {"show_progress": "hidden", "trigger_mode": "always_last", **LANE, **PRIVATE}
    gr.on([slider.input for slider in sliders], plain(events.drag), inputs, outputs, **dragging)
    release = plain(events.release)
    settled = [*(s.release for s in sliders), p.noise.input, p.directions.latents.number.change]
    resting = gr.on(settled, release, inputs, outputs, **shown_on(p.status))
    reset = p.directions.reset.click(lambda: [0] * len(moving), None, moving, **CHEAP)
    again = reset.then(release, inputs, outputs, **shown_on(p.status))
    buttons.cancel.click(None, cancels=[resting, again], **CHEAP)


def connect_pictures(events: SampleEvents, buttons: Buttons) -> None:
    """A click on a picture, its variations, and files of all of them."""
    p, panel = events.parts, events.parts.picked
    p.gallery.select(plain(events.pick), p.all_pictures, [*panel.outputs, p.status], **QUICK)
    origin: set[Any] = {panel.picked, panel.amount}
    varying = panel.vary.click(plain(events.vary), origin, p.results, **shown_on(p.status))
    buttons.cancel.click(None, cancels=[varying], **CHEAP)
    closed = [panel.panel, panel.picked, p.gallery]
    panel.close.click(
        lambda: panel.hide() | {p.gallery: gr.Gallery(selected_index=None)}, None, closed, **CHEAP
    )
    download_made(buttons.grid, events.grid, p.shown)
    download_made(buttons.zip, zipped, p.shown)
    download_made(p.tray.zip, zipped, p.tray.kept)


def connect_photo(events: SampleEvents) -> None:
    """The search for a photo, and its end before time."""
    p, panel = events.parts, events.parts.photo
    inputs: set[Any] = {p.model, p.label, panel.photo, p.tray.kept}
    outputs = [*panel.outputs, *p.results, *p.picked.outputs]
    run = panel.go.click(plain(events.find), inputs, outputs, **shown_on(panel.status))
    panel.cancel.click(lambda: STOPPED, None, panel.status, cancels=[run], **CHEAP)
