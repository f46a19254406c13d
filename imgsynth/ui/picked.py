"""The picture that was clicked: large, with its recipe and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.ui.session import literal
from imgsynth.ui.shown import Pictures, Shown, details

Updates = dict[Any, Any]

KEEP, KEPT = "Keep", "Remove from kept"


@dataclass(frozen=True)
class PickedPanel:
    """Hidden until a picture is clicked.

    Attributes:
        picked: a State with the picture, or None.
        amount: how far variations go.
    """

    panel: gr.Column
    picked: gr.State
    image: gr.Image
    line: gr.Markdown
    recipe: gr.JSON
    amount: gr.Slider
    vary: gr.Button
    keep: gr.Button
    to_keyframe: gr.Button
    to_translate: gr.Button
    to_inpaint: gr.Button
    download: gr.DownloadButton
    close: gr.Button

    @property
    def outputs(self) -> list[Any]:
        return [self.panel, self.picked, self.image, self.line, self.recipe, self.keep, self.download]

    def show(self, shown: Shown, kept: Pictures) -> Updates:
        """A picture in the panel.

        Raises:
            BadRequest: its file is no longer there.
        """
        record = shown.record
        model = f"**{literal(record['checkpoint']['id'])}**"
        return {
            self.panel: gr.Column(visible=True),
            self.picked: shown,
            self.image: shown.path,
            self.line: " · ".join([*details(shown), model]),
            self.recipe: record,
            self.keep: gr.Button(KEPT if is_among(shown, kept) else KEEP),
            self.download: gr.DownloadButton(value=shown.path),
        }

    def hide(self) -> Updates:
        return {self.panel: gr.Column(visible=False), self.picked: None}


def is_among(shown: Shown | None, pictures: Pictures) -> bool:
    return shown is not None and any(other.path == shown.path for other in pictures)


def clicked(pictures: Pictures, event: gr.SelectData) -> Shown | None:
    """The picture that was clicked; None where the gallery has changed meanwhile."""
    return pictures[event.index] if 0 <= event.index < len(pictures) else None


def make_picked_panel() -> PickedPanel:
    """Builds the panel inside the current Blocks."""
    picked: gr.State = gr.State(None)
    with gr.Column(visible=False, elem_id="sample-picked") as panel, gr.Row(elem_classes="columns"):
        with gr.Column(scale=1):
            image = gr.Image(
                show_label=False,
                label="Picked picture",
                interactive=False,
                format="png",
                height=380,
                buttons=["fullscreen"],
                elem_id="sample-picked-image",
            )
            with gr.Accordion("Recipe", open=False):
                recipe = gr.JSON(show_label=False, label="Recipe", max_height=280, elem_id="sample-recipe")
        with gr.Column(scale=1, elem_classes="actions"):
            line = gr.Markdown(elem_classes="status", elem_id="sample-picked-line")
            amount = make_amount()
            vary = gr.Button("Variations", variant="primary", elem_id="sample-vary", elem_classes="go")
            with gr.Row():
                keep = gr.Button(KEEP, elem_id="sample-keep", min_width=120)
                to_keyframe = gr.Button("Add as keyframe", elem_id="sample-add-keyframe", min_width=120)
            with gr.Row():
                to_translate = gr.Button("Use in Translate", elem_id="sample-to-translate", min_width=120)
                to_inpaint = gr.Button("Use in Inpaint", elem_id="sample-to-inpaint", min_width=120)
            with gr.Row():
                download = gr.DownloadButton("Download PNG", elem_id="sample-picked-download", min_width=120)
                close = gr.Button("Close", elem_id="sample-picked-close", min_width=120)
    uses = (to_keyframe, to_translate, to_inpaint)
    return PickedPanel(panel, picked, image, line, recipe, amount, vary, keep, *uses, download, close)


def make_amount() -> gr.Slider:
    return gr.Slider(
        0,
        1,
        0.3,
        step=0.05,
        label="How far",
        info="Variations lie so far from this picture: 0 is itself, 1 are other pictures.",
    )
