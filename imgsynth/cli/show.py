"""Verbs that show and change nothing: `models`, `inspect`, `record`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgsynth.cli.shared import Common, Json, download_bar, printable
from imgsynth.errors import BadRequest

if TYPE_CHECKING:
    from imgsynth.checkpoints.catalog import Checkpoint
    from imgsynth.runtime.opening import Inspected

TASKS = ("sample", "interpolate", "translate", "inpaint")


def models(
    common: Common,
    *,
    task: Annotated[
        str | None, typer.Option(metavar="|".join(TASKS), help="Only checkpoints that can do this.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the checkpoints that are known by an id."""
    from imgsynth.checkpoints.catalog import available

    if task is not None and task not in TASKS:
        raise BadRequest(f"The task must be one of {', '.join(TASKS)}, not {task[:40]}.")
    rows = [model_row(c) for c in available().values() if task is None or task in c.tasks]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    columns = ("id", "title", "tasks", "size", "available", "licence")
    cells = [[cell(row, name) for name in columns] for row in rows]
    print("\n".join(table([list(columns), *cells])))


def model_row(checkpoint: Checkpoint) -> dict[str, Any]:
    from imgsynth.checkpoints.catalog import availability, bundled_path

    bundled = checkpoint.source == "bundled"
    return {
        "id": checkpoint.id,
        "title": checkpoint.title,
        "tasks": list(checkpoint.tasks),
        "source": checkpoint.source,
        "architecture": checkpoint.architecture,
        "resolution": checkpoint.resolution,
        "licence": checkpoint.licence,
        "bytes": bundled_path(checkpoint).stat().st_size if bundled else checkpoint.bytes,
        "available": availability(checkpoint),
    }


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
    from imgsynth.runtime.opening import open_file

    checkpoint = resolve(what)
    with download_bar() as report:
        inspected = open_file(checkpoint, report)
    facts = describe(checkpoint, inspected)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    told = {**facts, "title": inspected.opened.architecture.title, "unwrapped": list(inspected.unwrapped)}
    print("\n".join(table([[name, show(value)] for name, value in flattened(told)])))


def describe(checkpoint: Checkpoint, inspected: Inspected) -> dict[str, Any]:
    """What `inspect --json` prints; the keys are part of the interface."""
    opened, fetched = inspected.opened, inspected.fetched
    architecture, sizes = opened.architecture, opened.hyperparameters
    latent = architecture.latent_shape(sizes)
    return {
        "architecture": architecture.name,
        "family": architecture.family,
        "hyperparameters": sizes,
        "parameters": opened.parameters,
        "resolution": architecture.image_size(sizes),
        "latent": None if latent is None else list(latent),
        "value_range": architecture.output_range.name,
        "sha256": fetched.sha256,
        "bytes": fetched.bytes,
        "tasks": tasks_of(checkpoint, inspected),
        "warnings": inspected.warnings,
    }


def tasks_of(checkpoint: Checkpoint, inspected: Inspected) -> list[str]:
    """What the network would be offered for, as its family says."""
    import torch

    from imgsynth.families import Identity, wrap

    fetched = inspected.fetched
    identity = Identity(checkpoint.id, checkpoint.source, fetched.file, fetched.revision, fetched.sha256)
    return list(wrap(inspected.opened, identity, torch.device("cpu"), "fp32").tasks)


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
