"""What is known of a checkpoint, in words that need no other page: HTML for the Models tab.

Files, repositories and their configurations are written by strangers: whatever comes from them passes `text`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from imgsynth.architectures.registry import architectures
from imgsynth.checkpoints.catalog import Checkpoint, load_catalog
from imgsynth.checkpoints.hub import Plan
from imgsynth.errors import UnknownArchitecture
from imgsynth.families import Model
from imgsynth.runtime.device import describe
from imgsynth.ui.languages import Say, english

Facts = Mapping[str, Any]  # as `summaries.inspection` gives them
Row = tuple[str, str]  # a plain name, and HTML

LONGEST_SHOWN = 500
USUAL_STEMS = ("model", "pytorch_model", "diffusion_pytorch_model", "generator", "netG")
FAMILIES = {
    "generator": "draws pictures from random numbers",
    "autoencoder": "turns pictures into a few numbers and back",
    "translator": "repaints photos",
    "inpainter": "fills holes in photos",
}
NO_MODEL = "No model is in memory yet."
IN_MEMORY = "In memory now"
BUNDLED = "It comes with imgsynth."
DROPPED = "Unverified: you dropped this file, and nobody else vouches for it."
HELD = "The Hub's own checksum, which the download is held to; the catalog does not pin these bytes."
TRUST = {
    "catalog": "Pinned: these are exactly the bytes that the catalog promises.",
    "hub": "The Hub's own checksum agrees; the catalog does not pin these bytes.",
    "unverified": "Unverified: nobody vouches for these bytes. Later copies are held to this one.",
}
NO_COMMERCE = re.compile(
    r"non-?commercial|no commercial|forbids? commercial|NVIDIA Source Code", re.IGNORECASE
)
PERMISSIVE = re.compile(r"(Apache|MIT|BSD|CC0)")


def text(value: object) -> str:
    """Anything as HTML that shows it letter by letter, cut where it is endless."""
    shown = str(value)
    return html.escape(shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + "…")


def megabytes(count: int) -> str:
    """`204 MB`, `4.7 MB`, `1.2 GB`, `38 kB`."""
    if count < 10**5:
        return f"{count / 1e3:.0f} kB"
    if count >= 10**9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 10**7 else f"{count / 1e6:.1f} MB"


def architecture_title(name: str | None) -> str:
    """An architecture's short name in the literature; empty where the catalog does not tell it."""
    titles = {a.name: a.title for a in architectures()}
    return re.split(r" \(|,", titles.get(name or "", name or ""))[0]


def terms(licence: str) -> str:
    """What a licence comes down to, in one sentence; empty where only its own words will do."""
    if NO_COMMERCE.search(licence):
        return "Not for commercial use."
    if "unstated" in licence.lower():
        return "Nobody states what is allowed: ask its author before you publish what it makes."
    return "Free for any use, as long as its notice is kept." if PERMISSIVE.match(licence) else ""


def about_card(checkpoint: Checkpoint, here: bool) -> str:
    """A row of the catalog, before its file is looked into."""
    c = checkpoint
    rows: list[Row] = [("Licence", with_note(c.licence, terms(c.licence)))]
    rows += [("Learnt from", text(c.trained_on))] if c.trained_on else []
    rows += [("Bytes", promise(c)), ("Where", text(place(c, here)))]
    return card(c.title, text(c.description), rows)


def place(checkpoint: Checkpoint, here: bool) -> str:
    if checkpoint.source != "hub":
        return "Bundled with imgsynth." if checkpoint.source == "bundled" else "A file that you dropped."
    state = "on this machine" if here else "not downloaded yet"
    return f"{checkpoint.repo} on the Hugging Face Hub; {state}."


def promise(checkpoint: Checkpoint) -> str:
    """What can be said of a row's bytes before they are here."""
    if checkpoint.source == "bundled":
        return BUNDLED
    if checkpoint.sha256:
        return "Pinned: a file with other bytes is not opened."
    return "Unverified: the catalog does not pin these bytes."


def found_card(checkpoint: Checkpoint, facts: Facts, most_bytes: int | None = None) -> str:
    """What a file turned out to be."""
    size = megabytes(facts["bytes"]) if facts["bytes"] else "size unknown"
    state = size if facts["downloaded"] else not_here(facts["bytes"], most_bytes)
    rows: list[Row] = [
        ("Architecture", text(facts["title"])),
        ("What it does", what_it_does(facts)),
        ("Pictures", pictures(facts)),
        ("Parameters", f"{facts['parameters']:,}"),
        ("Value range", text(value_range(facts["value_range"]))),
        ("File", f"{text(file_name(checkpoint, facts['file']))} · {state}"),
        ("sha256", checksum(checkpoint, facts)),
    ]
    if checkpoint.source != "upload":
        rows.append(("Licence", with_note(checkpoint.licence, terms(checkpoint.licence))))
    rows += [("Unwrapped", listed(facts["unwrapped"]))] if facts["unwrapped"] else []
    rows += [("Note", text(warning)) for warning in facts["warnings"]]
    more = folded("Hyper-parameters", hyperparameters(facts["hyperparameters"]))
    return card(title_of(checkpoint), text(checkpoint.description), rows, more)


def title_of(checkpoint: Checkpoint) -> str:
    """What a card calls a file: by its row of the catalog, its repository, or its own stem."""
    c = checkpoint
    if c.repo is None or c.id in load_catalog():
        return c.title
    repo, stem = c.repo.partition("/")[2], PurePosixPath(c.file).stem
    return repo if stem in ("", *USUAL_STEMS) else f"{repo} · {stem}"


def file_name(checkpoint: Checkpoint, file: str) -> str:
    return f"{file} of {checkpoint.repo}" if checkpoint.repo else file


def not_here(size: int | None, most_bytes: int | None) -> str:
    """The words for a file that only Open would download."""
    sized = f", {megabytes(size)}" if size else ""
    limited = size is not None and most_bytes is not None and size > most_bytes
    limit = f"; this server downloads at most {megabytes(most_bytes)}" if limited and most_bytes else ""
    return f"not downloaded yet{sized}{limit}"


def waiting_card(plan: Plan, most_bytes: int | None = None) -> str:
    """A file on the Hub that tells nothing before it is read whole."""
    c = plan.checkpoint
    rows: list[Row] = [("File", f"{text(file_name(c, c.file))} · {not_here(plan.bytes, most_bytes)}")]
    expected = architecture_title(c.architecture)
    rows += [("Expected", text(f"{expected}, as the catalog has it"))] if expected else []
    rows += [("Bytes", promise(c)), ("Licence", with_note(c.licence, terms(c.licence)))]
    rows += [("Note", text(note)) for note in plan.notes]
    lead = "A file of this kind tells what it holds only when it is read whole: Open downloads it and looks."
    return card(title_of(c), lead, rows)


def unknown_card(checkpoint: Checkpoint, error: UnknownArchitecture) -> str:
    """A file that belongs to no network we know, and, folded, the network that it is most like."""
    title = title_of(checkpoint)
    if error.nearest is None:
        return card(title, text(error), [])
    rows: list[Row] = [("Nearest", text(architecture_title(error.nearest)))]
    rows += [("It lacks", listed(error.missing))] if error.missing else []
    rows += [("It also has", listed(error.unexpected))] if error.unexpected else []
    return card(title, text(error), [], folded("Compare it with the nearest network", definitions(rows)))


def note_card(sentence: str) -> str:
    """One sentence where a card would be."""
    return f'<div class="facts empty"><p>{text(sentence)}</p></div>'


def memory_card(models: Sequence[Model], say: Say = english) -> str:
    """What is in memory now; the names of dropped files are their visitors' own."""
    if not models:
        return f'<div class="facts memory"><p>{say(NO_MODEL)}</p></div>'
    rows = [
        (
            "A dropped file" if m.identity.source == "upload" else text(m.identity.id),
            f"{megabytes(m.bytes_in_memory)} · {text(describe(m.device))}",
        )
        for m in reversed(models)
    ]
    return f'<div class="facts memory"><h4>{say(IN_MEMORY)}</h4>{definitions(rows)}</div>'


def what_it_does(facts: Facts) -> str:
    does = FAMILIES.get(facts["family"], "makes pictures").capitalize()
    tabs = " and ".join(task.capitalize() for task in facts["tasks"])
    return f"{does}; {f'for {tabs}' if tabs else 'no tab can use it, for its pictures have other channels'}."


def pictures(facts: Facts) -> str:
    size = f"{facts['resolution']} × {facts['resolution']} pixels" if facts["resolution"] else "any size"
    return text(f"{size}, {facts['classes']} classes" if facts["classes"] else size)


def value_range(name: str) -> str:
    """`[-1, 1] (tanh)` → `−1 to 1 (tanh)`."""
    return re.sub(r"\[(-?\d+), (\d+)\]", r"\1 to \2", name).replace("-1", "−1")


def checksum(checkpoint: Checkpoint, facts: Facts) -> str:
    """The sum of a file's bytes, and who vouches for it."""
    if checkpoint.source != "hub":
        word = DROPPED if checkpoint.source == "upload" else BUNDLED
    elif facts["downloaded"]:
        word = TRUST[facts["verified"] or "unverified"]
    else:
        word = HELD if facts["sha256"] and not checkpoint.sha256 else promise(checkpoint)
    sum_ = f"<code>{text(facts['sha256'])}</code>" if facts["sha256"] else "Told after the download."
    return f"{sum_}<small>{word}</small>"


def hyperparameters(values: Mapping[str, Any]) -> str:
    return definitions([(text(k.replace("_", " ")), text(shown_value(v))) for k, v in values.items()])


def shown_value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(shown_value(v) for v in value) or "none"
    return "none" if value is None else str(value)


def with_note(value: str, note: str) -> str:
    return f"{text(value)}<small>{note}</small>" if note else text(value)


def listed(values: Iterable[str]) -> str:
    return "<br>".join(f"<code>{text(value)}</code>" for value in values)


def definitions(rows: Sequence[Row]) -> str:
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{value}</dd>' for name, value in rows)}</dl>"


def folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>{body}</details>"


def card(title: str, lead: str, rows: Sequence[Row], more: str = "") -> str:
    lead = f'<p class="lead">{lead}</p>' if lead else ""
    return f'<div class="facts"><h3>{text(title)}</h3>{lead}{definitions(rows) if rows else ""}{more}</div>'
