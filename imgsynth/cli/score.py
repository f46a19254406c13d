"""`score`: the quality figures of a checkpoint against real pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgsynth.cli.shared import Common, Json, Label, Psi, open_model, say
from imgsynth.cli.show import table
from imgsynth.errors import ImgsynthError

if TYPE_CHECKING:
    from imgsynth.families import Model

What = Annotated[str, typer.Argument(metavar="WHAT", help="A checkpoint: an id, a file, or a Hub name.")]
Data = Annotated[
    list[Path],
    typer.Option(metavar="PATH", help="Folder or tar of real images; repeatable (translators: photos)."),
]
DataB = Annotated[
    list[Path] | None,
    typer.Option(metavar="PATH", help="Images of a translator's target domain; repeatable."),
]
Back = Annotated[
    str | None,
    typer.Option(metavar="WHAT", help="Checkpoint that undoes a translator; else the catalog's pair."),
]
Count = Annotated[str, typer.Option(metavar="N", help="Pictures of a draw, or photos.")]
Draws = Annotated[str, typer.Option(metavar="N", help="How often sets of pictures are drawn.")]
Size = Annotated[str, typer.Option(metavar="PIXELS", help="Side to which sets of pictures are scaled.")]
PhotoSize = Annotated[
    str, typer.Option(metavar="PIXELS", help="Largest side of photos to rebuild, repaint or fill.")
]
Holdout = Annotated[
    str, typer.Option(metavar="0..1", help="Part of the images, last by name, that training left out.")
]
All = Annotated[bool, typer.Option("--all", help="Measure on every image, not only the held-back part.")]
Seed = Annotated[str, typer.Option(metavar="N", help="Where all randomness starts.")]
InceptionFile = Annotated[
    Path | None, typer.Option("--inception", metavar="FILE", help="torch-fidelity's Inception weights.")
]
Card = Annotated[
    Path | None, typer.Option(metavar="FILE.md", help="Checkpoint's card to put the figures into.")
]

COLUMNS = ("figure", "value", "95 % interval", "real", "× real", "others")


def score(
    common: Common,
    *,
    what: What,
    data: Data,
    data_b: DataB = None,
    back: Back = None,
    count: Count = "200",
    draws: Draws = "5",
    size: Size = "64",
    photo_size: PhotoSize = "256",
    holdout: Holdout = "0.1",
    whole: All = False,
    seed: Seed = "0",
    psi: Psi = "1",
    label: Label = None,
    inception: InceptionFile = None,
    card: Card = None,
    as_json: Json = False,
) -> None:
    """Measure a checkpoint on real images that it was not trained on."""
    from imgsynth.metrics.card import write_figures
    from imgsynth.metrics.pool import open_pool
    from imgsynth.metrics.request import ScoreRequest
    from imgsynth.metrics.score import Material
    from imgsynth.metrics.score import score as measure
    from imgsynth.tasks.requests import make_request

    numbers = {"count": count, "draws": draws, "size": size, "photo_size": photo_size}
    request = make_request(
        ScoreRequest, **numbers, holdout=holdout, all=whole, seed=seed, psi=psi, label=label
    )
    pool = open_pool(data, request)
    pool_b = open_pool(data_b, request) if data_b else None
    model = open_model(common, what)
    material = Material(pool, pool_b, open_back(common, model, back), inception)
    document = measure(model, material, request, tracked)
    if card is not None:
        write_figures(card, document, COLUMNS, rows_of(document))
    print(json.dumps(document, indent=2) if as_json else "\n".join(lines_of(document)))


def open_back(common: Common, model: Model, back: str | None) -> Model | None:
    """The checkpoint that undoes a translator: the one named, or the catalog's pair where it can be had."""
    from imgsynth.checkpoints.catalog import load_catalog

    if back is not None:
        return open_model(common, back)
    known = load_catalog().get(model.identity.id)
    if known is None or known.pair is None:
        return None
    try:
        return open_model(common, known.pair)
    except ImgsynthError as error:
        say(f"There is no way back: {error}")
        return None


def tracked(items: Sequence[Any], what: str) -> Iterable[Any]:
    """A bar on stderr, shown only where that is a terminal."""
    from tqdm import tqdm

    return tqdm(items, unit=what, disable=None, leave=False, dynamic_ncols=True)


def lines_of(document: Mapping[str, Any]) -> Iterator[str]:
    """The document for a person to read."""
    sources = [*document["data"], *document["data_b"]]
    listed = ", ".join(f"{s['pictures']:,} of {s['of']:,} in {s['name']}" for s in sources)
    every = document["settings"]["all"]
    part = "every picture, trained on or not" if every else "held back from training"
    yield f"{document['checkpoint']['id']} ({document['architecture']}), on {listed}: {part}."
    yield ""
    yield from table([COLUMNS, *rows_of(document)])
    yield ""
    yield from document["notes"]
    for sentence, names in missing_by_reason(document["not_measured"]).items():
        yield f"Not measured: {', '.join(names)}. {sentence}"


def rows_of(document: Mapping[str, Any]) -> list[list[str]]:
    return [row_of(name, figure) for name, figure in document["figures"].items()]


def row_of(name: str, figure: Mapping[str, Any]) -> list[str]:
    bounds = (figure["low"], figure["high"])
    floor, ratio = figure["floor"], figure["ratio"]
    return [
        name,
        f"{shown(figure['mean'])} {figure['unit']}".strip(),
        "–" if None in bounds else " to ".join(map(shown, bounds)),
        "–" if floor is None else shown(floor["mean"]),
        "–" if ratio is None else f"{ratio:.2f}",
        ", ".join(f"{other} {shown(value['mean'])}" for other, value in figure["against"].items()) or "–",
    ]


def shown(value: float) -> str:
    """Three or four digits, which is what the draws can tell."""
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def missing_by_reason(not_measured: Mapping[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, sentence in not_measured.items():
        reasons.setdefault(sentence, []).append(name)
    return reasons
