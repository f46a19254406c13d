"""What all verbs share: their common options, messages, and the way to a model."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgsynth.errors import BadRequest

if TYPE_CHECKING:
    from tqdm import tqdm

    from imgsynth.checkpoints import catalog
    from imgsynth.families import Model
    from imgsynth.imaging.read import Photo

PICTURES = (".png", ".webp", ".jpg", ".jpeg")
LOSSLESS = (".png", ".webp")
VIDEOS = (".mp4", ".webm", ".webp", ".gif")

# Numbers and choices are taken as text: the requests check them, with the sentences that all doors share.
Checkpoint = Annotated[
    str,
    typer.Option(metavar="WHAT", help="A catalog id, a file, or owner/name[:file][@revision]."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Psi = Annotated[
    str, typer.Option(metavar="0..2", help="Truncation: less stays nearer to the average picture.")
]
Label = Annotated[
    str | None, typer.Option(metavar="N", help="Class to draw, for checkpoints that know classes.")
]
Noise = Annotated[
    str | None,
    typer.Option(
        metavar="random|constant|none",
        help="Noise of each seed's own, the same for all, or none, for checkpoints with noise inputs.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(metavar="auto|cpu|cuda|cuda:N|mps", help="Where to run; else IMGSYNTH_DEVICE, else auto."),
]
Precision = Annotated[
    str | None,
    typer.Option(metavar="auto|fp32|bf16|fp16", help="Number type; else IMGSYNTH_PRECISION, else auto."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error came from.")]


@dataclass
class Common:
    """The options that every verb takes, None where they were not given, and whether JSON was asked for."""

    device: str | None = None
    precision: str | None = None
    debug: bool = False
    json: bool = False

    def add(self, device: str | None, precision: str | None, debug: bool, json: bool = False) -> None:
        """Takes what was given before or after the verb; the latter counts where both were."""
        self.device = device or self.device
        self.precision = precision or self.precision
        self.debug = debug or self.debug
        self.json = json or self.json


def verb(function: Callable[..., None]) -> Callable[..., None]:
    """A function of `Common` and its own options, as typer takes it: with the options that fill `Common`."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

    @functools.wraps(function)
    def run(ctx: typer.Context, device: Device, precision: Precision, debug: Debug, **options: Any) -> None:
        common: Common = ctx.obj
        common.add(device, precision, debug, options.get("as_json", False))
        check_place(common)
        function(common, **options)

    keyword = inspect.Parameter.KEYWORD_ONLY
    added = {"device": (Device, None), "precision": (Precision, None), "debug": (Debug, False)}
    parameters = [
        inspect.Parameter("ctx", keyword, annotation=typer.Context),
        *(parameter.replace(kind=keyword) for parameter in own),
        *(inspect.Parameter(n, keyword, default=d, annotation=a) for n, (a, d) in added.items()),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def check_place(common: Common) -> None:
    """Refuses a device or precision that was asked for and cannot be had, even if the verb uses none."""
    if common.device or common.precision:
        from imgsynth.runtime.device import pick_device, pick_precision

        pick_precision(common.precision, pick_device(common.device))


def printable(text: str) -> str:
    """One line that no terminal takes for a command: records and file names come from strangers."""
    return "".join(char if char.isprintable() else " " for char in text)


def say(text: str) -> None:
    """A message on stderr, as one line that ends in a full stop."""
    line = " ".join(printable(text).split())
    print(line if line.endswith((".", "!", "?")) else f"{line}.", file=sys.stderr, flush=True)


def put(result: object) -> None:
    """A result on stdout; a progress bar on the same terminal steps aside for it."""
    from tqdm import tqdm

    tqdm.write(str(result), file=sys.stdout)
    sys.stdout.flush()


def progress_bar(total: int, unit: str) -> tqdm[Any]:
    """A bar on stderr, shown only where that is a terminal."""
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, disable=None, leave=False, dynamic_ncols=True)


def check_ending(out: Path, endings: tuple[str, ...]) -> None:
    """Refuses a name that could not be written in the end, before the work begins."""
    if out.suffix.lower() not in endings:
        listed = f"{', '.join(endings[:-1])} or {endings[-1]}"
        raise BadRequest(f"{out.name or 'The result'} cannot be written; let the name end in {listed}.")


def check_video_name(out: Path) -> None:
    """As `check_ending`; a folder for numbered frames will do too."""
    if out.suffix and not out.is_dir():
        check_ending(out, VIDEOS)


def read_photos(paths: list[Path]) -> list[Photo]:
    """Opens photos and says what was changed in decoding them."""
    return [read_one(path) for path in paths]


def read_one(path: Path) -> Photo:
    from imgsynth.imaging.read import read_photo

    photo = read_photo(path)
    for note in photo.notes:
        say(f"{path.name}: {note}")
    return photo


@contextmanager
def download_bar() -> Iterator[Callable[[int, int], None]]:
    """A progress callback whose bar appears with the first byte."""
    bars: list[tqdm[Any]] = []

    def report(done: int, total: int) -> None:
        if not bars:
            say(f"Downloading {total / 1e6:.1f} MB." if total else "Downloading the checkpoint.")
            bars.append(progress_bar(total, "B"))
            bars[0].unit_scale = True
        bars[0].total = total or None
        bars[0].update(done - bars[0].n)

    try:
        yield report
    finally:
        for bar in bars:
            bar.close()


def open_model(common: Common, what: str) -> Model:
    """Opens a checkpoint on the device asked for, and says what a person should know of it.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    from imgsynth.checkpoints.naming import resolve

    return open_resolved(common, resolve(what))


def open_resolved(common: Common, checkpoint: catalog.Checkpoint) -> Model:
    """`open_model` once it is known what was named."""
    from imgsynth.runtime.device import pick_device, pick_precision
    from imgsynth.runtime.opening import load

    device = pick_device(common.device)
    precision = pick_precision(common.precision, device)
    with download_bar() as report:
        model = load(checkpoint, device, precision, report)
    for warning in model.opened.warnings:
        say(warning)
    return model
