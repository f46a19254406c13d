"""Verbs that show and change nothing: `models`, `inspect`, `record`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from imgsynth.cli.shared import Common, Json, download_bar, printable

METAVAR = "sample|interpolate|translate|inpaint"


def models(
    common: Common,
    *,
    task: Annotated[
        str | None, typer.Option(metavar=METAVAR, help="Only checkpoints that can do this.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the checkpoints that are known by an id."""
    from imgsynth.summaries import list_models

    rows = list_models(task)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    columns = ("id", "title", "tasks", "size", "available", "licence")
    cells = [[cell(row, name) for name in columns] for row in rows]
    print("\n".join(table([list(columns), *cells])))


def cell(row: Mapping[str, Any], name: str) -> str:
    if name == "tasks":
        return ", ".join(row["tasks"])
    if name == "size":
        return "" if row["bytes"] is None else f"{row['bytes'] / 1e6:.1f} MB"
    return str(row[name])


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of cells → lines whose columns stand below one another."""
    widths = [max(len(text) for text in column) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def inspect(
    common: Common,
    *,
    what: Annotated[str, typer.Argument(metavar="WHAT", help="A checkpoint: an id, a file, or a Hub name.")],
    as_json: Json = False,
) -> None:
    """Tell what a checkpoint is, from its own keys and shapes."""
    from imgsynth.checkpoints.naming import resolve
    from imgsynth.summaries import inspection

    checkpoint = resolve(what)
    with download_bar() as report:
        facts = inspection(checkpoint, progress=report)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    print("\n".join(table([[name, show(value)] for name, value in flattened(facts)])))


def record(
    common: Common,
    *,
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="A picture, video or folder of frames made here.")
    ],
    as_json: Json = False,
) -> None:
    """Print what made a picture or video."""
    from imgsynth.imaging.record import read_record

    found = read_record(image)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print("\n".join(table([[printable(name), show(value)] for name, value in flattened(found)])))


def flattened(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Nested facts as (name, value), the names of the outer ones in front."""
    for name, value in facts.items():
        if isinstance(value, dict) and value:
            yield from flattened(value, f"{above}{name} ")
        else:
            yield f"{above}{name}", value


def show(value: Any) -> str:
    """A value in plain text, on one line."""
    if value is None or value == [] or value == {}:
        return "–"
    if isinstance(value, list):
        return ", ".join(show(item) for item in value)
    return printable(str(value))
