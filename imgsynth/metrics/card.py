"""Figures in a checkpoint's card, each set of settings between two marks so that it can be measured anew."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from imgsynth.errors import BadRequest

Rows = Sequence[Sequence[str]]
MACHINE = ("device", "precision", "torch")
END = "<!-- end of figures -->"


def write_figures(card: Path, document: Mapping[str, Any], columns: Sequence[str], rows: Rows) -> None:
    """Puts a table of figures into a card, in place of one with the same settings.

    Args:
        card: a Markdown file.
        document: what `score` found (see `report.py`).
        columns, rows: the figures as a person reads them.

    Raises:
        BadRequest: there is no such card.
    """
    if not card.is_file():
        raise BadRequest(f"There is no card {card.name}; give --card the .md file beside the checkpoint.")
    text, begin = card.read_text("utf-8"), beginning(document["settings"])
    section = "\n".join([begin, *lines(document, columns, rows), END])
    old = re.compile(re.escape(begin) + ".*?" + re.escape(END), re.DOTALL)
    replaced, times = old.subn(lambda _: section, text)
    card.write_text(replaced if times else f"{text.rstrip()}\n\n{section}\n", "utf-8")


def beginning(settings: Mapping[str, Any]) -> str:
    """The mark in front of figures; where they were measured makes no others of them."""
    chosen = {name: value for name, value in sorted(settings.items()) if name not in MACHINE}
    told = " ".join(f"{name}={value}" for name, value in chosen.items() if value is not None)
    return f"<!-- figures: {told} -->"


def lines(document: Mapping[str, Any], columns: Sequence[str], rows: Rows) -> Iterator[str]:
    settings = document["settings"]
    sources = ", ".join(source["name"] for source in (*document["data"], *document["data_b"]))
    drawn = any(figure["over"] == "draws" for figure in document["figures"].values())
    times = f" a time, {settings['draws']} times" if drawn else ""
    yield f"Measured on {sources}, {settings['count']:,} pictures{times}:"
    yield ""
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    for note in document["notes"]:
        yield ""
        yield note
