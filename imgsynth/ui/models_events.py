"""What the Models tab does: choose, inspect, open, remove."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.checkpoints.catalog import Checkpoint, availability, load_catalog
from imgsynth.checkpoints.headers import has_header
from imgsynth.checkpoints.hub import make_plan
from imgsynth.errors import ImgsynthError, UnknownArchitecture
from imgsynth.summaries import TASKS, inspection
from imgsynth.ui.catalog_table import chosen_id, rows, size_of
from imgsynth.ui.facts import (
    about_card,
    architecture_title,
    found_card,
    megabytes,
    note_card,
    title_of,
    unknown_card,
    waiting_card,
)
from imgsynth.ui.picker import Offer, Opened, about, refreshed, without
from imgsynth.ui.removal import confirmation_button, removal_button, remove_for
from imgsynth.ui.session import Session, download_bar, literal

EMPTY = "Choose a row, paste a name, or drop a file. Nothing is downloaded before you press Open."
UNTOLD = "Inspect tells what this is. Nothing is downloaded before you press Open."
OPEN = "Open"
OPENING, STOPPING = "Opening", "Stopping …"
STOPPED = "Stopped; nothing has changed."
TEXT, FILE = "text", "file"

Updates = dict[Any, Any]  # by component


@dataclass(frozen=True)
class Parts:
    """The components that the events of the tab change.

    Attributes:
        what: the paste box.
        token: the secret name of the dropped file; "" while there is none.
        source: which of the two counts: the one that was touched last.
        told_of: the text that `found` tells of, so that a change by the page itself is told from a visitor's.
        armed: what a second click on `remove` would remove.
        pickers: those of the tabs, in the order of `TASKS`; `go` the buttons that lead there.
        address: what the page's address shall name.
    """

    task: gr.Radio
    table: gr.Dataframe
    what: gr.Textbox
    token: gr.State
    source: gr.State
    told_of: gr.State
    armed: gr.State
    found: gr.HTML
    status: gr.Markdown
    open: gr.Button
    remove: gr.Button
    opened: gr.State
    pickers: tuple[gr.Radio, ...]
    go: tuple[gr.Button, ...]
    address: gr.Textbox


class ModelsEvents:
    """The functions behind the tab, over its components."""

    def __init__(self, session: Session, parts: Parts) -> None:
        self.session = session
        self.parts = parts

    def shown(self, checkpoint: Checkpoint | None, size: int | None, request: gr.Request | None) -> Updates:
        """The buttons for a checkpoint.

        Args:
            size: what opening it would download; None where nothing, or where that is not known.
        """
        p = self.parts
        return {
            p.open: gr.Button(open_label(checkpoint, size)),
            p.remove: removal_button(checkpoint, request),
            p.armed: "",
        }

    def pick(self, event: gr.SelectData, request: gr.Request) -> Updates:
        """A row of the table was clicked."""
        name = chosen_id(event)
        if name is None:
            return {self.parts.source: gr.skip()}
        return {self.parts.what: name, **self.tell(name, request)}

    def typed(self, what: str, told_of: str, request: gr.Request) -> Updates:
        """The paste box has changed."""
        return self.tell(what, request) if what != told_of else {self.parts.told_of: what}

    def tell(self, what: str, request: gr.Request) -> Updates:
        """What the catalog knows of a name, at once and without the network."""
        p, row = self.parts, load_catalog().get(what.strip())
        here = row is not None and availability(row) != "download"
        found = about_card(row, here) if row else note_card(UNTOLD if what.strip() else EMPTY)
        size = size_of(row) if row and not here else None
        return {p.source: TEXT, p.told_of: what, p.found: found, **self.shown(row, size, request)}

    def drop(self, path: str) -> Updates:
        """A file was dropped: it gets its secret name."""
        return {self.parts.token: self.session.uploads.add(path), self.parts.source: FILE}

    def examine(self, what: str, token: str, source: str, request: gr.Request) -> Updates:
        """Inspect was pressed, or a file was dropped."""
        if source == FILE:
            return self.look(token, request)
        return {**self.look(what, request), self.parts.told_of: what}

    def look(self, what: str, request: gr.Request | None) -> Updates:
        """Tells what a checkpoint is, downloading no more than the header of its file.

        Raises:
            ImgsynthError: it is not there, or cannot be read; an unknown network is told in the card.
        """
        checkpoint = self.session.checkpoint(what)
        try:
            card, size = self.looked_into(checkpoint)
        except UnknownArchitecture as error:
            card, size = unknown_card(checkpoint, error), None
        return {self.parts.found: card, **self.shown(checkpoint, size, request)}

    def looked_into(self, checkpoint: Checkpoint) -> tuple[str, int | None]:
        """The card of a checkpoint, and what opening it would download."""
        access = self.session.access
        if checkpoint.source != "hub":
            return found_card(checkpoint, inspection(checkpoint, access)), None
        plan = make_plan(checkpoint, access)
        size = None if plan.cached else plan.bytes
        if not plan.cached and not has_header(plan.checkpoint.file):
            return waiting_card(plan, access.most_bytes), size
        facts = inspection(plan.pinned, access)
        facts["warnings"] = [*plan.notes, *facts["warnings"]]
        return found_card(plan.checkpoint, facts, access.most_bytes), size

    def open_chosen(
        self,
        what: str,
        token: str,
        source: str,
        opened: Opened,
        task: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[Updates]:
        """Open was pressed."""
        p, name = self.parts, token if source == FILE else what
        checkpoint = self.session.checkpoint(name)
        yield {p.status: f"{OPENING} {literal(title_of(checkpoint))} …", p.armed: ""}
        try:
            yield self.opened(name, opened, task, request, progress)
        except UnknownArchitecture as error:
            yield {p.found: unknown_card(checkpoint, error), p.status: ""}

    def opened(
        self,
        what: str,
        opened: Opened,
        task: str,
        request: gr.Request | None,
        progress: gr.Progress,
    ) -> Updates:
        """Downloads where need be, loads, and offers the model in the tabs of this session.

        Raises:
            ImgsynthError: with the reason in one sentence.
        """
        p, checkpoint = self.parts, self.session.checkpoint(what)
        facts, model = self.session.open(what, download_bar(progress))
        offer = opened_offer(checkpoint, canonical(what, checkpoint), facts)
        mine = (*(o for o in opened if o.name != offer.name), offer)
        return {
            p.found: found_card(checkpoint, facts),
            **self.shown(checkpoint, None, request),
            p.status: told(offer, facts),
            p.opened: mine,
            p.address: offer.name if checkpoint.source != "upload" else gr.skip(),
            p.table: rows(task),
            **dict(zip(p.pickers, refreshed(mine, offer), strict=True)),
            **{b: gr.Button(visible=t in model.tasks) for t, b in zip(TASKS, p.go, strict=True)},
        }

    def remove(
        self,
        what: str,
        armed: str,
        opened: Opened,
        task: str,
        sample: str | None,
        interpolate: str | None,
        translate: str | None,
        inpaint: str | None,
        request: gr.Request,
    ) -> Updates:
        """Remove was pressed: the first click asks, the second removes."""
        p, checkpoint = self.parts, self.session.checkpoint(what)
        if armed != what:
            return {p.armed: what, p.remove: confirmation_button(checkpoint)}
        freed, name = remove_for(checkpoint, request), canonical(what, checkpoint)
        mine = tuple(o for o in opened if o.name != name)
        pickers = without(name, mine, (sample, interpolate, translate, inpaint))
        return {
            **self.tell(what, request),
            p.status: f"Removed: {megabytes(freed)} of this machine's disk are free again.",
            p.opened: mine,
            p.table: rows(task),
            **dict.fromkeys(p.go, gr.Button(visible=False)),
            **dict(zip(p.pickers, pickers, strict=True)),
        }

    def refused(self, what: str, error: ImgsynthError) -> Updates:
        """A name of the page's address that leads nowhere: it stands in the paste box, with the reason."""
        p = self.parts
        return {p.what: what, p.source: TEXT, p.told_of: what, p.found: note_card(str(error))}


def stopping(status: str) -> str:
    """Cancel was pressed; the piece of a download that is on its way is still awaited."""
    return STOPPING if status.startswith(OPENING) else status


def settled(status: str) -> str:
    """What is left to say when an opening has come to its end: nothing new, unless it did not get there."""
    if status == STOPPING:
        return STOPPED
    return "" if status.startswith(OPENING) else status


def open_label(checkpoint: Checkpoint | None, size: int | None) -> str:
    """`Open`, or `Open (download 204 MB)` where that is known."""
    if size:
        return f"{OPEN} (download {megabytes(size)})"
    to_download = checkpoint is not None and availability(checkpoint) == "download"
    return f"{OPEN} (download)" if to_download else OPEN


def canonical(what: str, checkpoint: Checkpoint) -> str:
    """The id for a row of the catalog, however it was named; else the name as it was typed."""
    row = load_catalog().get(checkpoint.id)
    return checkpoint.id if row == checkpoint else what.strip()


def opened_offer(checkpoint: Checkpoint, name: str, facts: Mapping[str, Any]) -> Offer:
    """A checkpoint that was opened, as the pickers of its session show it."""
    resolution = facts["resolution"]
    if name in load_catalog():
        return Offer(name, checkpoint.title, tuple(facts["tasks"]), resolution, about(checkpoint))
    origin = (
        "A file that you dropped" if checkpoint.source == "upload" else f"From {checkpoint.repo} on the Hub"
    )
    line = f"{facts['title']}. {origin}."
    return Offer(name, title_of(checkpoint), tuple(facts["tasks"]), resolution, line)


def told(offer: Offer, facts: Mapping[str, Any]) -> str:
    """One line on what was opened and which tabs have it now."""
    tabs = " and ".join(task.capitalize() for task in offer.tasks)
    state = f"**{literal(offer.title)}** is open: {architecture_title(facts['architecture'])}."
    if not tabs:
        return f"{state} No tab can use it."
    return f"{state} {tabs} now {'has' if len(offer.tasks) == 1 else 'have'} it."
