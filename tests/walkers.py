"""A visitor of the Interpolate tab without a server: the values of its controls, as events change them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from imgsynth.ui.interpolate_tab import make_controls
from imgsynth.ui.runs import begin
from imgsynth.ui.session import Session
from imgsynth.ui.strip import Strip, StripEvents, add_photos, make_strip_panel

FRAMES = 20


class Walker:
    """One visitor."""

    def __init__(self, session: Session) -> None:
        self.session = session
        with gr.Blocks():
            self.controls, _ = make_controls(gr.State(()))
            self.panel = make_strip_panel()
            self.run = gr.State(None)
        self.events = StripEvents(session, self.controls, self.panel)
        c = self.controls
        self.values: dict[Any, Any] = {c.model: "tiny-gan", c.keyframes: "1,2", c.photos: (), c.label: None}
        self.values |= {c.frames: FRAMES, c.path: "slerp", c.easing: "none", c.loop: False, c.fps: 20}
        self.values |= {c.psi: 1.0, c.kind: "mp4", self.panel.strip: Strip(), self.panel.chosen: None}
        self.values[self.run] = begin(None)

    def having(self, **values: Any) -> dict[Any, Any]:
        """The values, once some controls are set by the names that `WalkControls` has for them."""
        self.values |= {getattr(self.controls, name): value for name, value in values.items()}
        return self.values

    def take(self, updates: dict[Any, Any]) -> dict[Any, Any]:
        """Remembers States, and what plain values say."""
        plain = {key: value for key, value in updates.items() if not isinstance(value, gr.blocks.Block)}
        self.values |= {key: value for key, value in plain.items() if value != gr.skip()}
        return updates

    def refresh(self, **values: Any) -> dict[Any, Any]:
        return self.take(self.events.refresh(self.having(**values)))

    def choose(self, index: int) -> dict[Any, Any]:
        event = gr.SelectData(None, {"index": index, "value": None})
        return self.take(self.events.choose(self.strip, event))

    def move(self, by: int) -> dict[Any, Any]:
        return self.take(self.events.move(self.strip, self.chosen, self.text, by))

    def remove(self) -> dict[Any, Any]:
        return self.take(self.events.remove(self.strip, self.chosen, self.text))

    def add_photos(self, *paths: str) -> None:
        c = self.controls
        text, photos, upload = add_photos(self.text, self.values[c.photos], list(paths))
        assert upload is None
        self.having(keyframes=text, photos=photos)

    @property
    def text(self) -> str:
        return str(self.values[self.controls.keyframes])

    @property
    def strip(self) -> Strip:
        strip: Strip = self.values[self.panel.strip]
        return strip

    @property
    def chosen(self) -> int | None:
        chosen: int | None = self.values[self.panel.chosen]
        return chosen

    @property
    def captions(self) -> list[str]:
        return [point.caption for point in self.strip.points]


def given(component: Any, name: str = "value") -> Any:
    """What an update sets."""
    return component.constructor_args.get(name)
