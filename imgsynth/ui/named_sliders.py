"""Sliders whose names a model tells, as many as it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import gradio as gr

Updates = dict[Any, Any]

REACH = 4.0  # standard deviations; what lies further looks broken in most models


@dataclass(frozen=True)
class NamedSliders:
    """A group that is hidden while it has no names.

    Attributes:
        part: what holds the sliders.
        sliders: as many as there can be.
    """

    part: gr.Column | gr.Accordion
    sliders: list[gr.Slider]

    def showing(self, names: Sequence[str]) -> Updates:
        """The sliders of a model, all at 0."""
        updates: Updates = {self.part: type(self.part)(visible=bool(names))}
        for slider, name in zip_longest(self.sliders, names[: len(self.sliders)]):
            if name is None:
                updates[slider] = gr.Slider(value=0, visible=False)
            else:
                updates[slider] = gr.Slider(label=spoken(name), value=0, visible=True)
        return updates

    def amounts(self, values: Mapping[Any, Any], names: Sequence[str]) -> dict[str, float]:
        """How far to go along each, by name."""
        return {n: float(values[slider] or 0) for n, slider in zip(names, self.sliders, strict=False)}


def spoken(name: str) -> str:
    return name[:1].upper() + name[1:]


def make_slider(label: str, **options: Any) -> gr.Slider:
    return gr.Slider(-REACH, REACH, 0, step=0.1, label=label, **options)


def make_sliders(count: int, label: str) -> list[gr.Slider]:
    """Hidden ones, inside the current Blocks."""
    return [
        make_slider(f"{label} {number}", visible=False, min_width=140, elem_classes="named-slider")
        for number in range(1, count + 1)
    ]
