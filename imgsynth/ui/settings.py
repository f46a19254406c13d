"""What the controls of a tab ask for, by the names of the interface page: one table for links and records.

A link's text, a record's value and a control's value are three spellings of a request's field. Whatever comes
from outside passes the task's own request model, so no limit is written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

import gradio as gr

from imgsynth.errors import BadRequest
from imgsynth.families import Model
from imgsynth.tasks.requests import (
    Request,
    make_request,
    parse_keyframes,
    parse_seeds,
    show_seeds,
)
from imgsynth.ui.directions import DirectionsPanel, Filled, filled_of
from imgsynth.ui.latents import number_of
from imgsynth.ui.named_sliders import REACH, spoken
from imgsynth.ui.noise import USUAL

Updates = dict[Any, Any]
Values = Mapping[Any, Any]

DIRECTIONS = "directions"


def as_it_is(value: Any) -> Any:
    return value


def as_text(value: Any) -> str:
    """A plain value as a link spells it."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Spelling:
    """How a value is written.

    Attributes:
        read: a link's text → what the request model takes.
        write: a checked value → a link's text.
        show: a checked value → a control's value.
        ask: a control's value → what the request model takes; None where it asks for nothing.
    """

    read: Callable[[str], Any] = as_it_is
    write: Callable[[Any], str] = as_text
    show: Callable[[Any], Any] = as_it_is
    ask: Callable[[Any], Any] = as_it_is


def seeds_and_latents(text: str) -> list[int | str]:
    """Keyframes that need no photo.

    Raises:
        BadRequest: there are others.
    """
    try:
        return parse_keyframes(text, is_photo=lambda _: False)[0]
    except BadRequest as error:
        raise BadRequest("Keyframes in a link are seeds such as 1,5,9, for photos stay with you.") from error


def show_keyframes(keyframes: list[int | str]) -> str:
    """`[1, 2, 3, 9]` → `1,2,3,9`: each stands for itself, for it can be moved or taken out."""
    return ",".join(str(point) for point in keyframes)


def read_moves(text: str) -> dict[str, str]:
    """`smile:1.5,age:-2` → {"smile": "1.5", "age": "-2"}; names are quoted, for they may hold anything."""
    moves = {}
    for part in filter(None, text.split(",")):
        name, _, amount = part.rpartition(":")
        moves[unquote(name)] = amount
    return moves


def write_moves(moves: Mapping[str, float]) -> str:
    return ",".join(f"{quote(name, safe=' ')}:{amount:g}" for name, amount in moves.items())


PLAIN = Spelling()
WHOLE = Spelling(ask=lambda value: None if value is None else int(value))
SEEDS = Spelling(parse_seeds, show_seeds, show_seeds, parse_seeds)
KEYFRAMES = Spelling(seeds_and_latents, show_keyframes, show_keyframes, seeds_and_latents)
CLASS = Spelling(ask=lambda chosen: chosen if isinstance(chosen, int) else None)
NOISE = Spelling(ask=lambda chosen: None if chosen == USUAL else chosen)
MOVES = Spelling(read_moves, write_moves)


@dataclass(frozen=True)
class Setting:
    """A control, and the name of what it asks for.

    Attributes:
        fit: for choices that depend on the model: the control for a model and a value, or for None.
        stand_in: the same for a value while the model is not loaded; the tab's own event completes it.
    """

    name: str
    control: Any
    spelling: Spelling = PLAIN
    fit: Callable[[Model, Any], Any] | None = None
    stand_in: Callable[[Any], Any] = as_it_is

    def shown(self, wanted: Mapping[str, Any], model: Model | None) -> Updates:
        """Sets the control to its value among those wanted; it stays as it is where there is none."""
        value = wanted.get(self.name)
        if self.fit is None:
            return {} if value is None else {self.control: self.spelling.show(value)}
        if model is not None:
            return {self.control: self.fit(model, value)}
        return {} if value is None else {self.control: self.stand_in(value)}


@dataclass(frozen=True)
class TabSettings:
    """The settings of one tab.

    Attributes:
        task: the tab's id.
        request: checks values by name.
        part: the folded part of the tab that they belong to, where it is not the whole tab.
        model: the tab's picker.
        settings: all but the model and the directions.
        least: what `request` cannot do without, so that one value can be checked alone.
        directions: the sliders along a model's directions, where the tab has any.
    """

    task: str
    request: type[Request]
    model: gr.Radio
    settings: tuple[Setting, ...]
    least: dict[str, Any] = field(default_factory=dict)
    directions: DirectionsPanel | None = None
    part: gr.Accordion | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """In the order in which a link lists them."""
        moves = () if self.directions is None else (DIRECTIONS,)
        return (*(s.name for s in self.settings), *moves)

    @property
    def controls(self) -> list[Any]:
        """Every component that `asked` reads."""
        moves = [] if self.directions is None else sorted(self.directions.inputs, key=lambda c: c._id)
        return [self.model, *(s.control for s in self.settings), *moves]

    @property
    def outputs(self) -> list[Any]:
        """Every component that `shown` may change."""
        moves = [] if self.directions is None else self.directions.outputs
        parts = [] if self.part is None else [self.part]
        return [self.model, *(s.control for s in self.settings), *moves, *parts]

    def spelling(self, name: str) -> Spelling:
        return next((s.spelling for s in self.settings if s.name == name), MOVES)

    def checked(self, name: str, value: Any) -> Any:
        """A value of one setting, as the task takes it and the tab can show it.

        Raises:
            BadRequest: with the reason in one sentence.
        """
        if name not in self.names:
            raise BadRequest(f"The page has no control for {name[:40]!r}.")
        request = make_request(self.request, **{**self.least, name: value})
        taken = getattr(request, name)
        if name == DIRECTIONS and any(abs(amount) > REACH for amount in taken.values()):
            raise BadRequest(f"directions can be {-REACH:g} to {REACH:g} on the page.")
        for setting in self.settings:
            if setting.name == name:
                check_reach(setting, taken)
        return taken

    def asked(self, values: Values) -> dict[str, Any]:
        """What the controls ask for, by name, each value checked.

        Raises:
            BadRequest: a field holds something that the task does not take.
        """
        found = {s.name: s.spelling.ask(values[s.control]) for s in self.settings}
        if self.directions is not None:
            found[DIRECTIONS] = self.directions.amounts(values, values[self.model])
        return {name: self.checked(name, value) for name, value in found.items() if value not in (None, {})}

    def shown(self, wanted: Mapping[str, Any], model: Model | None = None) -> Updates:
        """Updates that set controls to checked values; settings that are not named stay as they are.

        Args:
            model: what the tab has chosen, whose classes are then listed. Directions, which have to be
                computed, are left to `fit_directions`.
        """
        updates: Updates = {} if self.part is None else {self.part: gr.Accordion(open=True, visible=True)}
        for setting in self.settings:
            updates |= setting.shown(wanted, model)
        return updates


def check_reach(setting: Setting, value: Any) -> None:
    """Refuses what the task takes and the control cannot show.

    Raises:
        BadRequest: with the control's limits.
    """
    control = setting.control
    if setting.fit is not None:
        return
    if isinstance(control, gr.Slider) and not control.minimum <= value <= control.maximum:
        limits = f"{control.minimum:g} to {control.maximum:g}"
        raise BadRequest(f"{setting.name} can be {limits} on the page, not {value:g}.")
    if isinstance(control, gr.Radio) and value not in [choice for _, choice in control.choices]:
        raise BadRequest(f"{setting.name} has no choice {value} on the page.")


def fit_directions(
    tab: TabSettings,
    name: str,
    model: Model,
    moves: Mapping[str, float],
    renamed: Mapping[Any, str],
    before: Filled | None = None,
) -> Updates:
    """The sliders of a model's directions, which are computed where need be, moved as asked.

    Args:
        name: what the model is chosen by.
        renamed: what the visitor calls directions.
        before: what the sliders stand for so far.

    Raises:
        BadRequest: one of them has no slider.
    """
    panel = tab.directions
    if panel is None:
        return {}
    filled = filled_of(name, model)
    sliders = sliders_of(panel, filled)
    amounts: Updates = {slider: moves.get(name, 0) for name, slider in sliders.items()}
    for other in (name for name in moves if name not in sliders):
        if other not in filled.latents or panel.latents.number in amounts:
            raise BadRequest(f"The page has no slider for the direction {other[:60]!r} of this model.")
        amounts |= {panel.latents.number: number_of(other), panel.latents.slider: moves[other]}
    fitted = panel.fitting(filled, renamed)
    if before is not None and before.model == name:
        fitted.pop(panel.latents.number)  # a change of it has what is shown drawn anew
    return fitted | labelled(panel, filled, amounts)


def sliders_of(panel: DirectionsPanel, filled: Filled) -> dict[str, gr.Slider]:
    """The slider of each direction that has one of its own."""
    groups = (
        (filled.attributes, panel.attributes.sliders),
        (filled.names, panel.sliders),
        (filled.latents, panel.latents.used.sliders),
    )
    return {name: slider for names, sliders in groups for name, slider in zip(names, sliders, strict=False)}


def labelled(panel: DirectionsPanel, filled: Filled, amounts: Updates) -> Updates:
    """Amounts of sliders that are named and shown together with them."""
    named = sliders_of(panel, filled)
    grouped = {*panel.attributes.sliders, *panel.latents.used.sliders}
    return amounts | {
        slider: gr.Slider(label=spoken(name), value=amounts[slider], visible=True)
        for name, slider in named.items()
        if slider in grouped
    }
