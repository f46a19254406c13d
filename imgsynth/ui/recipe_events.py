"""What the recipe panel does: show a dropped file's recipe, set a tab to it, make the file again."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from pathlib import Path

import gradio as gr

from imgsynth.errors import BadRequest, CheckpointNotFound, ImgsynthError, NoRecord
from imgsynth.families import Model, require_task
from imgsynth.imaging.masks import read_mask
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.tasks.mixing import layers_of, styled_model
from imgsynth.tasks.redo import check_photos
from imgsynth.tasks.requests import PHOTO
from imgsynth.tasks.sample import singles
from imgsynth.ui.arrival import Arrival, is_here
from imgsynth.ui.facts import note_card
from imgsynth.ui.keyframes import Photos, free_name
from imgsynth.ui.links import MODELS
from imgsynth.ui.mask_tools import put
from imgsynth.ui.picker import Opened, offered
from imgsynth.ui.recipe_parts import RecipeParts, Targets
from imgsynth.ui.recipe_words import EMPTY, FOREIGN, beyond, notes, recipe_card
from imgsynth.ui.recipes import Recipe, Wish, drawing_of, name_of, read_recipe, tab_of, wish_of
from imgsynth.ui.remaking import compared, remade, seen
from imgsynth.ui.runs import counting_bar
from imgsynth.ui.sample_events import MOST_SHOWN, SampleEvents
from imgsynth.ui.session import Session, literal
from imgsynth.ui.settings import DIRECTIONS, TabSettings, Updates, Values, fit_directions
from imgsynth.ui.uploads import FileInput

NOTHING = "There is no recipe yet; drop a picture, video or GIF that imgsynth made."
OTHER_WEIGHTS = "{} has other weights here than the ones that made this, so the result will differ."
NOT_HERE = "{} is not on this machine yet: open it in the Models tab first."
ADD_PHOTO = "Everything but the photo is set; add it in the tab, and press its button."
ADD_MASK = "Everything but the mask is set; add it under Mask from a file, and press Fill."
ADD_VIDEO = "Model and strength are set; add the video under A video or GIF, and press its button."
MAKING = "Making it again"
OTHER_PHOTOS = "The record in this file does not say where its photos stood among the keyframes."


class RecipeEvents:
    """The events of one page; a visitor's own values come with each call."""

    def __init__(
        self,
        arrival: Arrival,
        parts: RecipeParts,
        targets: Targets,
        sampling: SampleEvents,
    ) -> None:
        self.session: Session = arrival.session
        self.arrival, self.parts, self.settings = arrival, parts, arrival.settings
        self.targets, self.sampling = targets, sampling

    def read(self, path: str | None, opened: Opened) -> Updates:
        """A file was dropped, or taken away: its recipe, or why there is none."""
        p = self.parts
        if path is None:
            return self.blank(note_card(EMPTY))
        try:
            recipe = read_recipe(path)
        except NoRecord:
            return self.blank(note_card(FOREIGN))
        except ImgsynthError as error:
            return self.blank(note_card(str(error)))
        several = recipe.photos > 1
        label = "The video" if recipe.filmed else "The photos, in their order" if several else "The photo"
        return {
            **self.blank(recipe_card(recipe)),
            **seen(p.image, p.video, path),
            p.recipe: recipe,
            p.more: gr.Accordion(visible=True),
            p.raw: recipe.record,
            p.needed: gr.Row(visible=bool(recipe.photos)),
            p.photos: FileInput(label=label, value=None),
            p.mask: FileInput(visible=recipe.masked, value=None),
            **self.offer(recipe, opened),
        }

    def offer(self, recipe: Recipe | None, opened: Opened) -> Updates:
        """What can be done with the recipe while these models are open."""
        p = self.parts
        if recipe is None:
            return {p.note: ""}
        here, missing = self.missing(recipe, opened)
        tab = tab_of(recipe)
        return {
            p.note: " ".join(filter(None, [missing, notes(recipe, self.session.runtime)])),
            p.apply: gr.Button(f"Apply in {(tab or '').capitalize()}", visible=here and tab is not None),
            p.again: gr.Button(visible=here),
            p.cancel: gr.Button(visible=here),
            p.lead: gr.Button(visible=not here),
        }

    def blank(self, card: str) -> Updates:
        """The panel with nothing but a card."""
        p = self.parts
        gone = dict.fromkeys((p.needed, p.again, p.cancel, p.lead, p.apply), gr.update(visible=False))
        unseen = {part: gr.update(value=None, visible=False) for part in (p.image, p.video, *p.made)}
        told = {p.recipe: None, p.card: card, p.more: gr.Accordion(visible=False), p.note: "", p.status: ""}
        return {**gone, **unseen, **told, p.raw: None, p.photos: None, p.mask: None}

    def missing(self, recipe: Recipe, opened: Opened) -> tuple[bool, str]:
        """Whether the model is here, and what to do where it is not."""
        try:
            name = name_of(recipe, self.session, opened)
            if is_here(self.session.checkpoint(name), self.session):
                return True, ""
            return False, NOT_HERE.format(literal(name))
        except ImgsynthError as error:
            return False, literal(str(error))

    def look_up(self, recipe: Recipe | None, opened: Opened) -> Updates:
        """Leads to the Models tab, with the recipe's model named there where it has a name."""
        p, led = self.arrival.events.parts, {self.arrival.tabs: gr.Tabs(selected=MODELS)}
        try:
            name = name_of(chosen(recipe), self.session, opened)
        except CheckpointNotFound:
            return {**led, self.arrival.asked: ""}
        return {**led, **self.arrival.named(name), self.arrival.asked: name, p.found: gr.skip()}

    def apply(
        self,
        values: Values,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Updates:
        """Sets the recipe's tab to the recipe; what draws it follows, where everything is there.

        Raises:
            ImgsynthError: with the reason in one sentence.
        """
        p, recipe = self.parts, chosen(values[self.parts.recipe])
        progress(0.1, desc="Loading the model")
        wish = wish_of(recipe, self.settings)
        if recipe.task == "sample":
            drawing_of(recipe)  # refused before anything is changed
        name, opening, model = self.opened(recipe, wish, values, request, progress)
        if recipe.task == "mix":
            layers_of(styled_model(model), wish.values["layers"])  # or nothing would come of the button
        # A picker that has just been given the model must keep its new choices.
        updates = self.set_controls(wish, name, model, values) | opening
        given, lacking = self.given(recipe, wish, values)
        drawn = (name, recipe) if recipe.task == "sample" else None
        # Folded away only where nothing is left to be said.
        unsaid = lacking or beyond(wish.beyond)
        return {
            **updates,
            **given,
            self.arrival.tabs: gr.Tabs(selected=wish.tab),
            p.panel: gr.Accordion(open=bool(unsaid)),
            p.status: unsaid,
            p.press: "" if lacking else wish.button,
            p.ordered: drawn,
        }

    def opened(
        self, recipe: Recipe, wish: Wish, values: Values, request: gr.Request, progress: gr.Progress
    ) -> tuple[str, Updates, Model]:
        """The recipe's model, offered in its tab."""
        p, mine = self.arrival.events.parts, values[self.arrival.events.parts.opened]
        name = name_of(recipe, self.session, mine)
        checkpoint = self.session.checkpoint(name)
        if not is_here(checkpoint, self.session):
            raise CheckpointNotFound(NOT_HERE.format(name))
        updates: Updates = {}
        if name not in [offer.name for offer in offered(wish.tab, mine)]:
            updates = self.arrival.events.opened(name, mine, values[p.task], request, progress)
            name = updates[p.opened][-1].name
        model = self.session.model(name)
        require_task(model, wish.tab)
        if model.identity.sha256 != recipe.checkpoint.get("sha256"):
            gr.Warning(html.escape(OTHER_WEIGHTS.format(model.identity.id)), title="Other weights")
        return name, updates, model

    def set_controls(self, wish: Wish, name: str, model: Model, values: Values) -> Updates:
        """The tab's model and settings."""
        tab = wish.settings
        updates = {tab.model: name} | tab.shown(wish.values, model)
        if tab.directions is None:
            return updates
        moves, filled = wish.values.get(DIRECTIONS, {}), values[tab.directions.filled]
        if not moves and (filled is None or filled.model != name):
            return updates
        try:
            renamed = values[tab.directions.renamed]
            return updates | fit_directions(tab, name, model, moves, renamed, filled)
        except BadRequest:  # drawn all the same, from the recipe itself
            return updates

    def given(self, recipe: Recipe, wish: Wish, values: Values) -> tuple[Updates, str]:
        """The photos and the mask in their tab, and what to do where one of them is not there.

        Raises:
            ImgsynthError: a file is not the one that was used.
        """
        p, t = self.parts, self.targets
        paths, mask = list(values[p.photos] or ()), values[p.mask]
        if not recipe.photos:
            return {}, ""
        if recipe.filmed:
            return {}, ADD_VIDEO
        if not paths:
            return {}, ADD_PHOTO
        photos = [read_photo(path) for path in paths]
        check_photos(recipe.record, photos)
        if wish.tab == "interpolate":
            return self.given_keyframes(recipe, wish.settings, paths), ""
        if recipe.task == "translate":
            return {t.translate: paths[0]}, ""
        if recipe.task == "outpaint":
            return {t.inpaint: paths[0]}, ""
        if not mask:
            return {t.inpaint: paths[0]}, ADD_MASK
        return self.given_hole(paths[0], photos[0], mask, values), ""

    def given_keyframes(self, recipe: Recipe, tab: TabSettings, paths: Sequence[str]) -> Updates:
        """Photos as keyframes, each in its place.

        Raises:
            NoRecord: there are more or fewer photos than places.
            BadRequest: others of the keyframes cannot be used.
        """
        keyframes = tab.checked("keyframes", recipe.request.get("keyframes"))
        if keyframes.count(PHOTO) != len(paths):
            raise NoRecord(OTHER_PHOTOS)
        photos: Photos = ()
        for path in paths:
            photos = (*photos, (free_name(Path(path).name, dict(photos)), path))
        names = iter(photos)
        text = ",".join(next(names)[0] if point == PHOTO else str(point) for point in keyframes)
        return {self.targets.walk.keyframes: text, self.targets.walk.photos: photos}

    def given_hole(self, path: str, photo: Photo, mask: str, values: Values) -> Updates:
        """The photo in its tab, with its hole under the brush at full size."""
        t, history = self.targets, values[self.targets.hole[-1]]
        hole = read_mask(mask, (photo.width, photo.height))
        # The tab takes a photo that its history ends with for shown already, and leaves the hole on it.
        return {t.inpaint: path, **dict(zip(t.hole, put(history, path, photo, hole), strict=True))}

    def draw(
        self,
        values: Values,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[Updates]:
        """What the Sample tab was set to, drawn from the recipe itself; a single picture is picked."""
        s, ordered = self.sampling.parts, values[self.parts.ordered]
        if ordered is None:
            yield {s.status: gr.skip()}
            return
        name, recipe = ordered
        requests = singles(drawing_of(recipe))[:MOST_SHOWN]
        last: Updates = {}
        for last in self.sampling.drawing(name, requests, recipe.mentioned, progress):
            yield last
        if len(requests) == 1:
            yield s.picked.show(last[s.shown][0], values[s.tray.kept])

    def again(
        self,
        values: Values,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Updates:
        """Makes the file again from its whole recipe.

        Raises:
            ImgsynthError: with the reason in one sentence.
        """
        p, recipe = self.parts, chosen(values[self.parts.recipe])
        progress(0.1, desc="Loading the model")
        opened = values[self.arrival.events.parts.opened]
        model = self.session.recorded(name_of(recipe, self.session, opened), recipe.record)
        progress(0.3, desc=MAKING)
        made = remade(
            model,
            recipe,
            list(values[p.photos] or ()),
            values[p.mask],
            counting_bar(progress, MAKING, "pieces"),
        )
        ready = gr.DownloadButton(value=made, visible=True)
        return {
            **seen(p.made_image, p.made_video, made),
            p.status: compared(recipe.path, made),
            p.download: ready,
        }


def chosen(recipe: Recipe | None) -> Recipe:
    """The recipe that is shown.

    Raises:
        BadRequest: there is none.
    """
    if recipe is None:
        raise BadRequest(NOTHING)
    return recipe
