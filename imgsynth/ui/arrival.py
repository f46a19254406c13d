"""What a visitor finds: the page's address may name a model, as in `?model=avatars-gan`."""

from __future__ import annotations

from typing import Any

import gradio as gr

from imgsynth.checkpoints.catalog import Checkpoint, availability
from imgsynth.checkpoints.hub import make_plan
from imgsynth.errors import ImgsynthError
from imgsynth.summaries import TASKS
from imgsynth.ui.catalog_table import rows
from imgsynth.ui.models_events import TEXT, ModelsEvents, Updates
from imgsynth.ui.picker import refreshed
from imgsynth.ui.session import Session

PARAMETER = "model"
MODELS = "models"


def is_here(checkpoint: Checkpoint, session: Session) -> bool:
    """Whether opening a checkpoint downloads nothing."""
    if availability(checkpoint) == "download":
        return False
    return checkpoint.source != "hub" or make_plan(checkpoint, session.access).cached


class Arrival:
    """The events of a page that has just been loaded.

    Attributes:
        asked: what is still to be looked into, for it is not on this machine; "" where there is nothing.
    """

    def __init__(self, session: Session, events: ModelsEvents, tabs: gr.Tabs) -> None:
        self.session, self.events, self.tabs = session, events, tabs
        self.asked = gr.State("")

    def arrive(self, request: gr.Request) -> Updates:
        """Shows what is on this machine by now, and opens what the address names if it is here."""
        p = self.events.parts
        what = (dict(request.query_params).get(PARAMETER) or "").strip()
        updates: Updates = {p.table: rows(), **dict(zip(p.pickers, refreshed(()), strict=True))}
        if not what:
            return updates
        try:
            return updates | self.led_to(what, request)
        except ImgsynthError as error:
            return updates | self.events.refused(what, error) | {self.tabs: gr.Tabs(selected=MODELS)}

    def led_to(self, what: str, request: gr.Request) -> Updates:
        """What the address names, opened in its tab; or in the Models tab, still to be downloaded."""
        p = self.events.parts
        if not is_here(self.session.checkpoint(what), self.session):
            named = {p.what: what, p.source: TEXT, p.told_of: what, self.asked: what}
            return {**named, self.tabs: gr.Tabs(selected=MODELS)}
        opened = self.events.opened(what, (), p.task.value, request, gr.Progress())
        offering = [offer for offer in opened[p.opened] if offer.tasks]
        tab = next((t for t in TASKS if offering and t in offering[-1].tasks), MODELS)
        named = {p.what: what, p.source: TEXT, p.told_of: what}
        return {**named, **opened, self.tabs: gr.Tabs(selected=tab)}

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
        return [*described, *p.go, p.opened, p.address, p.table, *p.pickers, self.asked, self.tabs]
