"""What a visitor finds: the page's address may name a tab, a model and settings (see links.py)."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import gradio as gr

from imgsynth.checkpoints.catalog import Checkpoint, availability
from imgsynth.checkpoints.hub import make_plan
from imgsynth.errors import ImgsynthError
from imgsynth.summaries import TASKS
from imgsynth.ui.catalog_table import rows
from imgsynth.ui.links import MODEL, MODELS, SHOWN, TAB, TABS, Link, read_link
from imgsynth.ui.models_events import TEXT, ModelsEvents, Updates
from imgsynth.ui.picker import refreshed
from imgsynth.ui.session import Session
from imgsynth.ui.settings import DIRECTIONS, TabSettings, fit_directions

FIRST_TAB = TASKS[0]
NOT_ITS_MODEL = "Directions belong to their model; open it, and follow the link again."


def is_here(checkpoint: Checkpoint, session: Session) -> bool:
    """Whether opening a checkpoint downloads nothing."""
    if availability(checkpoint) == "download":
        return False
    return checkpoint.source != "hub" or make_plan(checkpoint, session.access).cached


def tell(sentence: str) -> None:
    """Says in passing what could not be done; a toast shows HTML, and addresses are written by strangers."""
    if sentence:
        gr.Warning(html.escape(sentence), title="Followed in part")


class Arrival:
    """The events of a page that has just been loaded.

    Attributes:
        settings: of the tabs, by their ids; what an address may set.
        asked: what is still to be looked into, for it is not on this machine; "" where there is nothing.
        moves: how far to go along directions, which are computed after the page is shown.
        landed: changes where the tab was led to, so that a tab that draws when it is first seen does.
    """

    def __init__(
        self,
        session: Session,
        events: ModelsEvents,
        tabs: gr.Tabs,
        settings: Mapping[str, TabSettings] | None = None,
    ) -> None:
        self.session, self.events, self.tabs = session, events, tabs
        self.settings = settings or {}
        self.asked, self.moves = gr.State(""), gr.State(None)
        self.landed = gr.Textbox(visible=False)

    def arrive(self, request: gr.Request) -> Updates:
        """Shows what is on this machine by now, opens what the address names and restores the rest."""
        p, query = self.events.parts, dict(request.query_params)
        what = (query.get(MODEL) or "").strip()
        updates: Updates = {p.table: rows(), **dict(zip(p.pickers, refreshed(()), strict=True))}
        if what:
            try:
                updates |= self.led_to(what, request)
            except ImgsynthError as error:
                updates |= self.events.refused(what, error) | {self.tabs: gr.Tabs(selected=MODELS)}
        return updates | self.restored(query, updates)

    def led_to(self, what: str, request: gr.Request) -> Updates:
        """What the address names, opened in its tab; or in the Models tab, still to be downloaded."""
        p = self.events.parts
        if not is_here(self.session.checkpoint(what), self.session):
            return {**self.named(what), self.asked: what, self.tabs: gr.Tabs(selected=MODELS)}
        opened = self.events.opened(what, (), p.task.value, request, gr.Progress())
        offering = [offer for offer in opened[p.opened] if offer.tasks]
        tab = next((t for t in TASKS if offering and t in offering[-1].tasks), MODELS)
        return {**self.named(what), **opened, self.tabs: gr.Tabs(selected=tab)}

    def named(self, what: str) -> Updates:
        """A name in the paste box of the Models tab."""
        p = self.events.parts
        return {p.what: what, p.source: TEXT, p.told_of: what}

    def restored(self, query: Mapping[str, str], updates: Updates) -> Updates:
        """The tab and the settings that the address names; what cannot be used is told in one sentence."""
        selected = updates[self.tabs].selected if self.tabs in updates else None
        asked, told = query.get(TAB) or "", Link()
        task = asked if asked in TABS else selected or FIRST_TAB
        if asked not in (*TABS, ""):
            told.refused[TAB] = f"There is no tab {asked[:SHOWN]!r}."
        unused = self.unused(task, selected, updates)
        told.refused |= {MODEL: unused} if unused else {}
        # A model that is not here, or not anywhere, is told of in the Models tab.
        moved = task != selected and selected != MODELS and asked in TABS
        restored: Updates = {self.tabs: gr.Tabs(selected=task)} if moved else {}
        restored |= {self.landed: task} if asked else {}
        if task in self.settings:
            link = read_link(self.settings[task], query)
            restored |= self.settings[task].shown(link.wanted)
            restored |= self.moving(task, link, elsewhere=bool(unused) or selected == MODELS)
            told.refused |= link.refused
        tell(told.sentence)
        return restored

    def moving(self, task: str, link: Link, elsewhere: bool) -> Updates:
        """How far to go along directions, which mean something only in the model that the address names.

        Args:
            elsewhere: whether the tab shows another model.
        """
        moves = link.wanted.pop(DIRECTIONS, None)
        if moves and elsewhere:
            link.refused[DIRECTIONS] = NOT_ITS_MODEL
        return {self.moves: (task, moves)} if moves and not elsewhere else {}

    def unused(self, task: str, selected: str | None, updates: Updates) -> str:
        """Why the tab that is asked for cannot have the model that is; empty where it can."""
        p = self.events.parts
        if task not in TASKS or selected in (None, MODELS):
            return ""
        offer = updates[p.opened][-1]
        return "" if task in offer.tasks else f"{offer.title} cannot be used in {task.capitalize()}."

    def move(self, moves: tuple[str, dict[str, float]] | None, name: str | None) -> Updates:
        """The sliders of directions as the address has them; they are computed where need be."""
        asked: Updates = {self.moves: moves}
        if moves is None or not name:
            return asked
        task, amounts = moves
        try:
            return asked | fit_directions(self.settings[task], name, self.session.model(name), amounts, {})
        except ImgsynthError as error:
            tell(Link(refused={DIRECTIONS: str(error)}).sentence)
            return asked

    def look(self, asked: str, request: gr.Request) -> Updates:
        """Looks into what is not here; asking the Hub takes a while, so the page is shown first."""
        if not asked:
            return {self.asked: ""}
        try:
            return self.events.look(asked, request)
        except ImgsynthError as error:
            return self.events.refused(asked, error)

    @property
    def outputs(self) -> list[Any]:
        p = self.events.parts
        described = [p.what, p.source, p.told_of, p.found, p.open, p.remove, p.armed, p.status]
        chosen = [p.opened, p.address, p.table, *p.pickers, self.asked, self.moves, self.landed, self.tabs]
        return [*described, *p.go, *chosen, *self.controls]

    @property
    def moved(self) -> list[Any]:
        """What `move` changes."""
        return [self.moves, *self.settings[FIRST_TAB].outputs]

    @property
    def controls(self) -> list[Any]:
        """What settings change, but for the pickers."""
        pickers = self.events.parts.pickers
        every = [control for tab in self.settings.values() for control in tab.outputs]
        return [control for control in dict.fromkeys(every) if control not in pickers]
