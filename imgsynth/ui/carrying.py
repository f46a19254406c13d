"""What the Sample tab hands over to others: keyframes and photos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from imgsynth.errors import BadRequest
from imgsynth.tasks.requests import parse_seeds, show_seeds
from imgsynth.ui.classes import fitting_classes
from imgsynth.ui.keyframes import EXAMPLE
from imgsynth.ui.session import Session
from imgsynth.ui.shown import Pictures, Shown, keyframe_of

FEWEST, MOST_KEYFRAMES = 2, 6
OTHERS_LEFT_OUT = "A walk stays in one model: pictures of other models were left out."


class Carrier:
    """Events whose outputs are Interpolate's model, keyframes and class, and the page's tabs."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def seeds(self, name: str, seeds: str, label: Any, shown: Pictures) -> tuple[Any, ...]:
        """The first pictures: by the seeds in the field, or as they are where sliders have moved them."""
        chosen = parse_seeds(seeds)[:MOST_KEYFRAMES]
        if any(not s.request.seeds or s.request.edits for s in shown):
            return self.pictures(shown[:MOST_KEYFRAMES])
        if len(chosen) < FEWEST:
            chosen = [chosen[0], chosen[0] + 1]
        return self.led_to(name, show_seeds(chosen), label)

    def pictures(self, pictures: Pictures) -> tuple[Any, ...]:
        """Pictures in their order, of the first one's model.

        Raises:
            BadRequest: there are fewer than two.
        """
        alike = [shown for shown in pictures if shown.model == pictures[0].model]
        if len(alike) < FEWEST:
            raise BadRequest("A walk needs two pictures or more of one model; keep another one first.")
        if len(alike) < len(pictures):
            gr.Info(OTHERS_LEFT_OUT)
        return self.led_to(alike[0].model, self.text(alike), alike[0].label)

    def text(self, pictures: Sequence[Shown]) -> str:
        return ",".join(keyframe_of(self.session, shown) for shown in pictures)

    def led_to(self, name: str, keyframes: str, label: Any) -> tuple[Any, ...]:
        classes = fitting_classes(self.session.model(name), label, all_in_turn=False)
        return name, keyframes, classes, gr.Tabs(selected="interpolate")

    def appended(self, shown: Shown, name: str | None, keyframes: str) -> tuple[Any, ...]:
        """A picture behind the keyframes that are there, but for the example's and another model's."""
        before = keyframes.strip().strip(",") if name == shown.model and keyframes != EXAMPLE else ""
        text = ",".join(filter(None, [before, self.text([shown])]))
        count = text.count(",") + 1
        gr.Info(f"Keyframes in Interpolate now: {count}.", duration=4)
        classes = fitting_classes(self.session.model(shown.model), shown.label, all_in_turn=False)
        return shown.model, text, classes, gr.skip()


def photo_of(shown: Shown, tab: str) -> tuple[Any, ...]:
    """A picture as another tab's photo; and that tab."""
    return str(shown.file), gr.Tabs(selected=tab)
