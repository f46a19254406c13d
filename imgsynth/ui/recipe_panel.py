"""'Open a recipe': a folded part at the top of the page that takes any file imgsynth made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from imgsynth.ui.arrival import Arrival
from imgsynth.ui.facts import note_card
from imgsynth.ui.models_tab import LOOKING
from imgsynth.ui.recipe_events import RecipeEvents, RecipeParts, Targets
from imgsynth.ui.recipe_words import EMPTY
from imgsynth.ui.sample_events import SampleEvents
from imgsynth.ui.sample_tab import SampleTab, shown_on
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, QUICK, plain
from imgsynth.ui.uploads import FileInput
from imgsynth.ui.viewers import film_to_come, picture_to_come

TITLE = "Open a recipe"
SCRIPT = Path(__file__).with_name("recipe.js").read_text("utf-8")
LISTEN, PRESS = (f"(...given) => ({SCRIPT}).{name}(...given)" for name in ("listen", "press"))


def make_recipe_panel() -> RecipeParts:
    """Builds the panel inside the current Blocks, folded."""
    with gr.Accordion(TITLE, open=False, elem_id="recipe") as panel, gr.Row(elem_classes="columns"):
        with gr.Column(scale=1, elem_classes="controls"):
            dropped = make_dropped()
        with gr.Column(scale=2):
            told, given = make_told(), make_given()
            with gr.Row(elem_classes="tools"):
                apply = gr.Button("Apply", variant="primary", visible=False, elem_id="recipe-apply")
                again = gr.Button("Make it again here", visible=False, elem_id="recipe-again")
                cancel = gr.Button("Cancel", visible=False, elem_id="recipe-cancel")
                lead = gr.Button("Open its model in Models", visible=False, elem_id="recipe-lead")
            status = gr.Markdown("", elem_classes="status", elem_id="recipe-status")
            made = make_made()
    shown = (*dropped, *told, *given, apply, again, cancel, lead, status, *made)
    return RecipeParts(panel, gr.State(None), *shown, gr.State(None), gr.Textbox(visible=False))


def make_dropped() -> tuple[FileInput, gr.Image, gr.Video]:
    """Where a file is dropped, and what it looks like."""
    file = FileInput(label="A picture, video or GIF made by imgsynth", height=120, elem_id="recipe-file")
    image = picture_to_come("The file", "recipe-image", height=240, fullscreen=False)
    video = film_to_come("The file", "recipe-video", height=240)
    return file, image, video


def make_told() -> tuple[gr.HTML, gr.Accordion, gr.JSON, gr.Markdown]:
    """The recipe in words, and, folded, letter by letter."""
    card = gr.HTML(note_card(EMPTY), elem_id="recipe-card")
    with gr.Accordion(
        "As it is written in the file", open=False, visible=False, elem_id="recipe-more"
    ) as more:
        raw = gr.JSON(show_label=False, label="Recipe", max_height=280, elem_id="recipe-raw")
    return card, more, raw, gr.Markdown("", elem_classes="about", elem_id="recipe-note")


def make_given() -> tuple[gr.Row, FileInput, FileInput]:
    """What a recipe knows only by its checksum, shown where there is any."""
    with gr.Row(visible=False, elem_classes="tools") as needed:
        photos = FileInput(
            label="The photo",
            file_count="multiple",
            allow_reordering=True,
            height=120,
            elem_id="recipe-photos",
        )
        mask = FileInput(label="The mask", visible=False, height=120, elem_id="recipe-mask")
    return needed, photos, mask


def make_made() -> tuple[gr.Image, gr.Video, gr.DownloadButton]:
    """What was made again."""
    image = picture_to_come("Made again", "recipe-made", height=360)
    video = film_to_come("Made again", "recipe-made-video", height=360)
    return image, video, gr.DownloadButton("Download", visible=False, elem_id="recipe-download")


def connect_recipe(
    page: gr.Blocks,
    parts: RecipeParts,
    arrival: Arrival,
    targets: Targets,
    sampling: SampleTab,
) -> Any:
    """Binds the panel to the tabs; a file that is dropped anywhere on the page goes into it.

    Returns the event that sets a tab to a recipe.
    """
    e = RecipeEvents(arrival, parts, targets, SampleEvents(arrival.session, sampling.parts))
    p, models = parts, arrival.events.parts
    opened = models.opened
    working: dict[str, Any] = {"show_progress_on": [p.status], **LANE, **PRIVATE}
    opened.change(plain(e.offer), [p.recipe, opened], p.offered, **QUICK)
    given: set[Any] = {p.recipe, p.photos, p.mask, opened}
    remaking = p.again.click(plain(e.again), given, [*p.made, p.status], **working)
    changed = [*arrival.outputs, *targets.outputs, p.panel, p.status, p.press, p.ordered]
    directions = sampling.parts.directions
    inputs = given | {models.task, targets.hole[-1], directions.filled, directions.renamed}
    applied = p.apply.click(plain(e.apply), inputs, list(dict.fromkeys(changed)), **working)
    p.cancel.click(lambda: "Stopped.", None, p.status, cancels=[applied, remaking], **CHEAP)
    # What is still being done for the file before would end up beside the recipe of this one.
    read: dict[str, Any] = {"cancels": [applied, remaking], "trigger_mode": "always_last", **QUICK}
    p.file.change(plain(e.read), [p.file, opened], p.shown, **read)
    applied.success(None, p.press, None, js=PRESS, **CHEAP)
    s = sampling.parts
    drawn = [*s.results, *s.picked.outputs]
    drawing = applied.success(plain(e.draw), {p.ordered, s.tray.kept}, drawn, **shown_on(s.status))
    sampling.buttons.cancel.click(None, cancels=[drawing], **CHEAP)
    looked = p.lead.click(plain(e.look_up), [p.recipe, opened], arrival.outputs, **QUICK)
    found: dict[str, Any] = {"show_progress_on": [models.found], **LOOKING}
    looked.then(plain(arrival.look), arrival.asked, arrival.outputs, **found)
    page.load(None, None, None, js=LISTEN, **CHEAP)
    return applied
