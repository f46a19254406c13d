"""The components of the recipe panel, and those of the tabs that it fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.ui.uploads import FileInput, PhotoInput
from imgsynth.ui.walk_controls import WalkControls


@dataclass(frozen=True)
class RecipeParts:
    """The components of the panel.

    Attributes:
        recipe: a State with the `Recipe` that is shown, or None.
        ordered: a State with what the Sample tab is to draw next: a model's name and the recipe, or None.
        press: the id of the button to be pressed next, or "".
        lead: leads to the Models tab, where the recipe's model has to be opened.
    """

    panel: gr.Accordion
    recipe: gr.State
    file: FileInput
    image: gr.Image
    video: gr.Video
    card: gr.HTML
    more: gr.Accordion
    raw: gr.JSON
    note: gr.Markdown
    needed: gr.Row
    photos: FileInput
    mask: FileInput
    apply: gr.Button
    again: gr.Button
    cancel: gr.Button
    lead: gr.Button
    status: gr.Markdown
    made_image: gr.Image
    made_video: gr.Video
    download: gr.DownloadButton
    ordered: gr.State
    press: gr.Textbox

    @property
    def shown(self) -> list[Any]:
        """What a dropped file changes."""
        told = [self.recipe, self.image, self.video, self.card, self.more, self.raw, self.note, self.status]
        given = [self.needed, self.photos, self.mask, self.apply, self.again, self.cancel, self.lead]
        return [*told, *given, *self.made]

    @property
    def offered(self) -> list[Any]:
        """What depends on the models that are open."""
        return [self.note, self.apply, self.again, self.cancel, self.lead]

    @property
    def made(self) -> list[Any]:
        return [self.made_image, self.made_video, self.download]


@dataclass(frozen=True)
class Targets:
    """Where photos and masks go in the tabs.

    Attributes:
        hole: the editor, its number and its history.
    """

    walk: WalkControls
    translate: PhotoInput
    inpaint: PhotoInput
    hole: Sequence[Any]

    @property
    def outputs(self) -> list[Any]:
        return [self.walk.keyframes, self.walk.photos, self.translate, self.inpaint, *self.hole]
