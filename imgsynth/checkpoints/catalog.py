"""The checkpoints that are known by an id, read from catalog.toml."""

from __future__ import annotations

import os
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

Task = Literal["sample", "interpolate", "translate", "inpaint"]
Source = Literal["bundled", "hub", "file", "upload"]
Availability = Literal["bundled", "cached", "download"]

# Where a row leaves the file to the repository, it is one of these.
USUAL_FILES = ("model.safetensors", "diffusion_pytorch_model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Checkpoint:
    """One file of weights and what is known of it before it is opened.

    Attributes:
        id: what a person types; for a file its stem, for a Hub file `owner/name[:file]`.
        tasks: what it can do; empty where only the file itself will tell.
        source: "bundled" in `weights/`, on the "hub", or a "file" or "upload" on this disk.
        file: path inside the repository, or the bare file name; "" where the repository's
            most likely weights file is still to be chosen.
        revision: the Hub commit, branch or tag asked for; None stands for the main branch.
        sha256: of the file, where it has been promised; checked before the file is opened.
        bytes: size of the file, where it is known without downloading.
        architecture, resolution: what the file will turn out to be; None where unknown.
        licence: in plain words, forbidden uses included.
        description: one sentence on what it draws.
        hints: facts that no key or shape in the file can tell.
        pair: id of the checkpoint for the opposite direction.
        path: where a "file" or "upload" lies; never shown to a person.
    """

    id: str
    title: str
    tasks: tuple[Task, ...]
    source: Source
    file: str
    repo: str | None = None
    revision: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    architecture: str | None = None
    resolution: int | None = None
    licence: str = "Unstated"
    description: str = ""
    trained_on: str = ""
    hints: Mapping[str, Any] = field(default_factory=dict, hash=False)
    pair: str | None = None
    path: Path | None = field(default=None, repr=False)


def load_catalog() -> dict[str, Checkpoint]:
    """All rows by id, in the catalog's order, whether or not their files are here."""
    return dict(_shipped_catalog())


def available() -> dict[str, Checkpoint]:
    """The rows that can be offered: those of the Hub, and the bundled ones whose file is here."""
    return {c.id: c for c in load_catalog().values() if c.source != "bundled" or bundled_path(c).is_file()}


def bundled_path(checkpoint: Checkpoint) -> Path:
    """Where a bundled file belongs: `weights/` beside the package, or `$IMGSYNTH_WEIGHTS`."""
    beside = Path(__file__).resolve().parents[2] / "weights"
    return Path(os.environ.get("IMGSYNTH_WEIGHTS") or beside) / checkpoint.file


def availability(checkpoint: Checkpoint) -> Availability:
    """Whether the weights are "bundled", "cached" on this disk, or need a "download"; asks no network."""
    if checkpoint.source == "bundled":
        return "bundled"
    if checkpoint.source != "hub":
        return "cached"
    return "cached" if _in_hub_cache(checkpoint) else "download"


def _in_hub_cache(checkpoint: Checkpoint) -> bool:
    import huggingface_hub

    files = [checkpoint.file] if checkpoint.file else USUAL_FILES
    found = (
        huggingface_hub.try_to_load_from_cache(str(checkpoint.repo), file, revision=checkpoint.revision)
        for file in files
    )
    return any(isinstance(path, str) for path in found)


@cache
def _shipped_text() -> str:
    return Path(__file__).with_name("catalog.toml").read_text(encoding="utf-8")


@cache
def _shipped_catalog() -> dict[str, Checkpoint]:
    return parse_catalog(_shipped_text())


def known_file(sha256: str) -> Mapping[str, Any]:
    """Facts about a file that is known by its sha256 alone, wherever it comes from; {} for any other."""
    return _known_files().get(sha256, {})


@cache
def _known_files() -> dict[str, Mapping[str, Any]]:
    return parse_known_files(_shipped_text())


def parse_known_files(text: str) -> dict[str, Mapping[str, Any]]:
    """Reads `[[known_file]]` tables: hints by sha256.

    Raises:
        ValueError: naming the row that is wrong.
    """
    known: dict[str, Mapping[str, Any]] = {}
    for number, row in enumerate(tomllib.loads(text).get("known_file", []), start=1):
        sha256, hints = row.get("sha256", ""), row.get("hints")
        if not re.fullmatch(r"[0-9a-f]{64}", sha256) or not isinstance(hints, dict) or "about" not in row:
            raise ValueError(f"Known file {number} of the catalog needs a sha256, 'about' and hints.")
        known[sha256] = hints
    return known


def parse_catalog(text: str) -> dict[str, Checkpoint]:
    """Reads `[[checkpoint]]` tables.

    Raises:
        ValueError: naming the row and the field that is wrong.
    """
    rows = tomllib.loads(text).get("checkpoint", [])
    checkpoints = [_parse_row(number, row) for number, row in enumerate(rows, start=1)]
    counted = Counter(c.id for c in checkpoints)
    for repeated in (i for i, times in counted.items() if times > 1):
        raise ValueError(f"The catalog has more than one row with the id '{repeated}'.")
    catalog = {c.id: c for c in checkpoints}
    for checkpoint in checkpoints:
        _require_pair(checkpoint, catalog)
    return catalog


def _parse_row(number: int, row: Mapping[str, Any]) -> Checkpoint:
    from pydantic import TypeAdapter, ValidationError

    name = f"Row {number} of the catalog ('{row.get('id', 'without an id')}')"
    if unknown := sorted(set(row) - set(Checkpoint.__dataclass_fields__)):
        raise ValueError(f"{name} has an unknown field '{unknown[0]}'.")
    try:
        checkpoint = TypeAdapter(Checkpoint).validate_python(dict(row))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{name} is wrong at '{where}': {first['msg']}.") from error
    if broken := [rule for rule, kept in _rules(checkpoint).items() if not kept]:
        raise ValueError(f"{name} breaks a rule: {broken[0]}.")
    return checkpoint


def _rules(checkpoint: Checkpoint) -> dict[str, bool]:
    """What types cannot say about a row."""
    c = checkpoint
    return {
        "an id is made of a-z, 0-9 and '-'": bool(re.fullmatch(r"[a-z0-9-]+", c.id)),
        "a row names at least one task": bool(c.tasks),
        "a bundled row names its file": bool(c.file) or c.source != "bundled",
        "a row is 'bundled' or on the 'hub'": c.source in ("bundled", "hub"),
        "exactly the rows of the hub name a repo": (c.source == "hub") == bool(c.repo),
        "a pinned revision has 40 hex digits": bool(re.fullmatch(r"[0-9a-f]{40}", c.revision or "0" * 40)),
        "a sha256 has 64 hex digits": bool(re.fullmatch(r"[0-9a-f]{64}", c.sha256 or "0" * 64)),
    }


def _require_pair(checkpoint: Checkpoint, catalog: Mapping[str, Checkpoint]) -> None:
    other = catalog.get(checkpoint.pair or "")
    if checkpoint.pair and (other is None or other.pair != checkpoint.id):
        raise ValueError(
            f"In the catalog '{checkpoint.id}' is paired with '{checkpoint.pair}', which does not pair back."
        )
