"""The tray: pictures that a visitor keeps for the session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.ui.picked import KEEP, KEPT, PickedPanel, clicked, is_among
from imgsynth.ui.session import QUICK, plain
from imgsynth.ui.shown import Pictures, Shown, caption
from imgsynth.ui.viewers import thumbnail_row

Updates = dict[Any, Any]

MOST_KEPT = 64


@dataclass(frozen=True)
class Tray:
    """A strip below the gallery, hidden while it is empty.

    Attributes:
        kept: a State with the pictures, oldest first.
    """

    panel: gr.Column
    kept: gr.State
    strip: gr.Gallery
    clear: gr.Button
    to_keyframes: gr.Button
    zip: gr.Button

    def holding(self, pictures: Pictures) -> Updates:
        captioned = [(shown.path, caption(shown)) for shown in pictures]
        return {
            self.panel: gr.Column(visible=bool(pictures)),
            self.kept: pictures,
            self.strip: gr.Gallery(captioned, selected_index=None, label=f"Kept: {len(pictures)}"),
        }

    @property
    def outputs(self) -> list[Any]:
        return [self.panel, self.kept, self.strip]


def toggled(shown: Shown, kept: Pictures) -> Pictures:
    """With a picture if it was not kept, else without it; the oldest makes room."""
    without = tuple(other for other in kept if other.path != shown.path)
    return without if len(without) < len(kept) else (*kept, shown)[-MOST_KEPT:]


def make_tray() -> Tray:
    """Builds the tray inside the current Blocks."""
    kept: gr.State = gr.State(())
    with gr.Column(visible=False, elem_id="sample-tray") as panel:
        strip = thumbnail_row("Kept", 175, "sample-kept")
        with gr.Row():
            to_keyframes = gr.Button(
                "Use kept as keyframes", elem_id="sample-kept-to-keyframes", min_width=120
            )
            zip_all = gr.Button("Download kept as ZIP", elem_id="sample-kept-zip", min_width=120)
            clear = gr.Button("Clear", elem_id="sample-kept-clear", min_width=120)
    return Tray(panel, kept, strip, clear, to_keyframes, zip_all)


def connect_tray(tray: Tray, panel: PickedPanel) -> None:
    """Keep and remove, clear, and a kept picture that is clicked."""

    @plain
    def keep(shown: Shown, kept: Pictures) -> Updates:
        pictures = toggled(shown, kept)
        return {**tray.holding(pictures), panel.keep: KEPT if is_among(shown, pictures) else KEEP}

    @plain
    def pick(kept: Pictures, event: gr.SelectData) -> Updates:
        shown = clicked(kept, event)
        return {panel.picked: gr.skip()} if shown is None else panel.show(shown, kept)

    def clear() -> Updates:
        return {**tray.holding(()), panel.keep: KEEP}

    panel.keep.click(keep, [panel.picked, tray.kept], [*tray.outputs, panel.keep], **QUICK)
    tray.strip.select(pick, tray.kept, panel.outputs, **QUICK)
    tray.clear.click(clear, None, [*tray.outputs, panel.keep], **QUICK)
