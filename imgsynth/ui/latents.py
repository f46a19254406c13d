"""The single numbers of an autoencoder's latents as sliders: the most used, and any other by its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.ui.named_sliders import NamedSliders, make_slider, make_sliders

Updates = dict[Any, Any]

MOST = 8
ABOUT = "The numbers that a picture is made from, one at a time; those that change the most come first."


@dataclass(frozen=True)
class LatentSliders:
    """A folded group, hidden for models whose latents mean nothing one by one.

    Attributes:
        used: sliders of those that the network makes most of.
        others: holds the number of any other one, and its slider; hidden where there are no others.
    """

    used: NamedSliders
    others: gr.Row
    number: gr.Number
    slider: gr.Slider

    @property
    def every_slider(self) -> list[gr.Slider]:
        return [*self.used.sliders, self.slider]

    @property
    def parts(self) -> list[Any]:
        return [self.used.part, self.others]

    def showing(self, names: Sequence[str]) -> Updates:
        """The sliders of a model, all at 0; its latents are given most used first."""
        others = names[MOST:]
        return {
            **self.used.showing(names[:MOST]),
            self.others: gr.Row(visible=bool(others)),
            self.number: gr.Number(value=number_of(others[0]) if others else 1, maximum=max(1, len(names))),
            self.slider: 0,
        }

    def amounts(self, values: Mapping[Any, Any], names: Sequence[str]) -> dict[str, float]:
        """How far to go along each, by name; two sliders of one latent add up."""
        amounts = self.used.amounts(values, names[:MOST])
        number, amount = values[self.number], values[self.slider]
        if len(names) > MOST and number is not None and amount:
            name = f"latent {int(number)}"
            amounts[name] = amounts.get(name, 0.0) + float(amount)
        return amounts


def number_of(name: str) -> int:
    return int(name.rpartition(" ")[2])


def make_latent_sliders() -> LatentSliders:
    """Builds the group inside the current Blocks."""
    with gr.Accordion("Single latents", open=False, visible=False, elem_id="sample-latents") as part:
        gr.Markdown(ABOUT, elem_classes="about")
        with gr.Row(elem_classes="slider-grid"):
            sliders = make_sliders(MOST, "Latent")
        with gr.Row(visible=False, elem_classes="slider-grid") as others:
            number = gr.Number(
                1,
                label="Another latent",
                info="Its number, from 1 on.",
                precision=0,
                minimum=1,
                min_width=140,
                elem_id="sample-latent-number",
            )
            slider = make_slider("Its amount", info="In standard deviations.", min_width=140)
    return LatentSliders(NamedSliders(part, sliders), others, number, slider)
