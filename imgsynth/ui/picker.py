"""Picking a model by a strip of its own samples, or by a plain card where it has none."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from imgsynth.checkpoints.catalog import Checkpoint, availability, available, bundled_path
from imgsynth.summaries import TASKS
from imgsynth.ui.session import CHEAP, literal

NOTHING = "No checkpoint for this task is on this machine yet: open one in the Models tab."

STRIP = (
    'content: ""; display: block; aspect-ratio: 3 / 1; border-radius: 6px; '
    "background-size: cover; background-position: left center;"
)
BELOW_STRIP = "flex: none; min-height: 0; padding: 4px 2px 0; background: none; white-space: normal;"


@dataclass(frozen=True)
class Offer:
    """A checkpoint as a picker shows it.

    Attributes:
        name: what it is chosen by: a catalog id, a Hub name, or the token of a dropped file.
        title: what the card says.
        tasks: the tabs that offer it.
        resolution: side of its pictures; None where any size goes, or where it is not known.
        about: one line on what it draws and its licence.
    """

    name: str
    title: str
    tasks: tuple[str, ...]
    resolution: int | None
    about: str


# What a session has opened itself, oldest first; a tuple, so that no two sessions can share one.
Opened = tuple[Offer, ...]


def as_offer(checkpoint: Checkpoint) -> Offer:
    """A row of the catalog."""
    c = checkpoint
    return Offer(c.id, c.title, c.tasks, c.resolution, about(c))


def about(checkpoint: Checkpoint) -> str:
    """One line on what a model draws, its size and its licence."""
    size = f"{checkpoint.resolution} px · " if checkpoint.resolution else ""
    return f"{checkpoint.description} {size}Licence: {checkpoint.licence}"


def offered(task: str, opened: Opened = ()) -> list[Offer]:
    """What a tab offers: what is on this machine already, and what this session has opened."""
    here = [as_offer(c) for c in available().values() if availability(c) != "download"]
    every = {offer.name: offer for offer in (*here, *opened)}
    return [offer for offer in every.values() if task in offer.tasks]


def strip_path(checkpoint: Checkpoint) -> Path:
    """A row of samples that ships beside a bundled checkpoint."""
    return bundled_path(checkpoint).with_suffix(".strip.jpg")


def has_strip(name: str) -> bool:
    checkpoint = available().get(name)
    return checkpoint is not None and checkpoint.source == "bundled" and strip_path(checkpoint).is_file()


def strips_css() -> str:
    """Rules for the bundled checkpoints: samples on the card, embedded so that no request is needed."""
    rules = []
    for name, checkpoint in available().items():
        if has_strip(name):
            data = base64.b64encode(strip_path(checkpoint).read_bytes()).decode()
            card = f'.picker label:has(input[value="{name}"])'
            rules.append(
                f'{card}::before {{ {STRIP} background-image: url("data:image/jpeg;base64,{data}"); }}'
            )
            rules.append(f"{card} span {{ {BELOW_STRIP} }}")
            rules.append(f"{card} span::first-line {{ font: inherit; color: inherit; }}")
    return "\n".join(rules)


def card(offer: Offer) -> str:
    """The words on a card; one without a strip begins with a line on its size, which CSS makes small."""
    if has_strip(offer.name):
        return offer.title
    return f"{f'{offer.resolution} px' if offer.resolution else 'Any size'}\n{offer.title}"


def choices(task: str, opened: Opened = ()) -> list[tuple[str, str]]:
    return [(card(offer), offer.name) for offer in offered(task, opened)]


def refreshed(opened: Opened, picked: Offer | None = None) -> list[gr.Radio]:
    """The pickers of all tabs, in the order of `TASKS`, with what is on offer now.

    Args:
        picked: what the pickers that offer it shall choose; the others keep what they have.
    """
    return [refreshed_picker(task, opened, picked) for task in TASKS]


def refreshed_picker(task: str, opened: Opened, picked: Offer | None) -> gr.Radio:
    cards = choices(task, opened)
    info = None if cards else NOTHING
    if picked and task in picked.tasks:
        return gr.Radio(cards, value=picked.name, info=info)
    return gr.Radio(cards, info=info)


def without(gone: str, opened: Opened, chosen: Sequence[str | None]) -> list[gr.Radio]:
    """The pickers after a checkpoint has gone; one that had chosen it takes the first that is left."""
    pickers = []
    for task, value in zip(TASKS, chosen, strict=True):
        cards = choices(task, opened)
        first = cards[0][1] if cards else None
        pickers.append(
            gr.Radio(cards, value=first if value == gone else value, info=None if cards else NOTHING)
        )
    return pickers


def make_picker(task: str, opened: gr.State) -> gr.Radio:
    """The radio group of a tab, with a line on the chosen model below it."""
    cards = choices(task)
    first = cards[0][1] if cards else None

    def describe(chosen: str | None, mine: Opened) -> str:
        return next((literal(o.about) for o in offered(task, mine) if o.name == chosen), "")

    picker = gr.Radio(
        cards,
        value=first,
        label="Model",
        elem_classes="picker",
        elem_id=f"{task}-model",
        info=None if cards else NOTHING,
    )
    line = gr.Markdown(describe(first, ()), elem_classes="about")
    picker.change(describe, [picker, opened], line, **CHEAP)
    return picker
