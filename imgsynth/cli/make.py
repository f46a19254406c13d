"""Verbs that make pictures: `sample`, `translate`, `inpaint`, `outpaint`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgsynth.cli.shared import (
    LOSSLESS,
    PICTURES,
    Checkpoint,
    Common,
    Label,
    Noise,
    Psi,
    check_ending,
    open_model,
    progress_bar,
    put,
    read_one,
    say,
)
from imgsynth.errors import BadImage, BadRequest, ImgsynthError

if TYPE_CHECKING:
    from PIL import Image
    from tqdm import tqdm

    from imgsynth.families import Model
    from imgsynth.imaging.write import Job
    from imgsynth.tasks.pictures import Picture
    from imgsynth.tasks.requests import SampleRequest, TranslateRequest
    from imgsynth.tasks.translate_video import Film


Seeds = Annotated[str, typer.Option(metavar="1,2,5-10", help="One picture is drawn per seed.")]
Folder = Annotated[Path, typer.Option(metavar="DIR", help="Folder for seed00000000.png and so on.")]
Grid = Annotated[Path | None, typer.Option(metavar="FILE", help="All pictures on one sheet, too.")]
VariationSeed = Annotated[
    str | None, typer.Option(metavar="N", help="Draw the variation of each picture towards this seed's.")
]
VariationAmount = Annotated[
    str, typer.Option(metavar="0..1", help="How far a variation goes from the picture itself.")
]
Direction = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=AMOUNT", help="Go along a direction, such as Smiling=2 or 'component 1=2'."),
]


def sample(
    common: Common,
    *,
    checkpoint: Checkpoint,
    seeds: Seeds,
    out: Folder,
    psi: Psi = "1",
    label: Label = None,
    grid: Grid = None,
    variation_seed: VariationSeed = None,
    variation_amount: VariationAmount = "0",
    direction: Direction = None,
    noise: Noise = None,
) -> None:
    """Draw one picture per seed."""
    from imgsynth.imaging.write import write_image
    from imgsynth.tasks.requests import SampleRequest, make_request, parse_seeds
    from imgsynth.tasks.sample import check_grid, grid_of

    request = make_request(
        SampleRequest,
        seeds=parse_seeds(seeds),
        psi=psi,
        label=label,
        variation_seed=variation_seed,
        variation_amount=variation_amount,
        directions=parse_directions(direction or []),
        noise=noise,
    )
    if grid is not None:
        check_ending(grid, PICTURES)
    model = open_model(common, checkpoint)
    if grid is not None:
        check_grid(model, request)
    drawn = draw(model, request, out, keep=grid is not None)
    if grid is not None:
        sheet = grid_of(model, request, drawn)
        put(write_image(grid, sheet.image, sheet.record))
    say(f"Drew {counted(len(request.seeds), 'picture')} with {model.identity.id}.")


def draw(model: Model, request: SampleRequest, out: Path, keep: bool) -> list[Picture]:
    """Writes each picture as it comes, and says where; returns them if they are to be kept."""
    from imgsynth.imaging.write import encode_all
    from imgsynth.tasks.sample import sample as draw_each

    kept: list[Picture] = []

    def jobs() -> Iterator[Job]:
        for picture in draw_each(model, request):
            if keep:
                kept.append(picture)
            yield out / f"{picture.name}.png", picture.image, picture.record, None

    with progress_bar(len(request.seeds), "picture") as bar:
        for path in encode_all(jobs()):
            put(path)
            bar.update()
    return kept


def parse_directions(texts: Sequence[str]) -> dict[str, str]:
    """`NAME=AMOUNT` each → the amounts by name, still as text."""
    parts = [text.rpartition("=") for text in texts]
    for name, _, amount in parts:
        if not name:
            raise BadRequest(f"A direction is given as NAME=AMOUNT, such as 'component 1=2', not {amount!r}.")
    return {name.strip(): amount.strip() for name, _, amount in parts}


def translate(
    common: Common,
    *,
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos of any size.")],
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for one PNG per photo.")],
    strength: Annotated[
        str, typer.Option(metavar="0..1", help="0 keeps the photo, 1 takes the translation.")
    ] = "1",
    tiles: Annotated[
        str | None,
        typer.Option(metavar="PIXELS", help="Side of tiles; 0 for none; as memory demands if unsaid."),
    ] = None,
    all_frames: Annotated[
        bool, typer.Option("--all-frames", help="Keep animated pictures animated; else their first frame.")
    ] = False,
) -> None:
    """Repaint photos in another style, at their own size; short videos, too."""
    from imgsynth.tasks.batch import run_batch
    from imgsynth.tasks.requests import TranslateRequest, make_request
    from imgsynth.tasks.translate import translator

    request = make_request(TranslateRequest, strength=strength, tiles=tiles)
    model = open_model(common, checkpoint)
    translator(model)

    def work(file: Path, name: str) -> Path:
        # Writes at once, for a disk that refuses one picture must not lose the others.
        target = translate_one(model, request, file, out / name, all_frames, photos)
        if name != file.stem:
            say(f"{file.name} became {target.name}, for another photo has the same name.")
        return target

    failures: list[ImgsynthError] = []
    with progress_bar(len(photos), "photo") as bar:
        for outcome in run_batch(work, photos):
            failures += [outcome.error] if outcome.error else []
            bar.update()
    report(failures, len(photos))


def translate_one(
    model: Model, request: TranslateRequest, file: Path, out: Path, all_frames: bool, photos: Sequence[Path]
) -> Path:
    """Translates a file into `out`, given without its ending, and puts the result."""
    from imgsynth.imaging.clips import is_clip, is_film, read_clip
    from imgsynth.imaging.write import write_png
    from imgsynth.tasks.translate import translate as repaint
    from imgsynth.tasks.translate_video import translate_video

    if is_film(file) or (all_frames and is_clip(file)):
        film = translate_video(model, request, read_clip(file))
        target = out.with_name(out.name + film.ending)
        check_not_a_photo(target, photos)
        write_film(target, film)
        return target
    target = out.with_name(f"{out.name}.png")
    check_not_a_photo(target, photos)
    picture = repaint(model, request, read_one(file))
    put(write_png(target, picture.image, picture.record, picture.icc))
    return target


def write_film(out: Path, film: Film) -> None:
    """Writes a translated video as its frames are made."""
    from imgsynth.imaging.video import write_clip

    with progress_bar(film.total, "frame") as bar:
        count = write_clip(out, counting(film.frames, bar), film.pace, film.record)
    put(out)
    say(f"Wrote {counted(count, 'frame')} without sound.")


def counting(images: Iterator[Image.Image], bar: tqdm[Any]) -> Iterator[Image.Image]:
    for image in images:
        yield image
        bar.update()


def check_not_a_photo(target: Path, photos: Sequence[Path]) -> None:
    if target.exists() and any(p.exists() and target.samefile(p) for p in photos):
        raise BadRequest(
            f"{target.name} is one of the photos; choose another --out, which leaves it as it is."
        )


def report(failures: Sequence[ImgsynthError], photos: int) -> None:
    """Raises the one failure, or says all of them and raises their number."""
    if not failures:
        say(f"Translated {counted(photos, 'photo')}.")
    elif len(failures) == 1:
        raise failures[0]
    else:
        for failure in failures:
            say(str(failure))
        raise BadImage(f"{len(failures)} of {photos} photos could not be translated, for the reasons above.")


def inpaint(
    common: Common,
    *,
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo of any size.")],
    checkpoint: Checkpoint,
    mask: Annotated[
        Path,
        typer.Option(metavar="MASK", help="A picture; what is not black (or transparent) is filled."),
    ],
    out: Annotated[Path, typer.Option(metavar="OUT.png", help="The filled photo; .png or .webp (lossless).")],
    grow: Annotated[str, typer.Option(metavar="PIXELS", help="Widens the hole.")] = "0",
    feather: Annotated[str, typer.Option(metavar="PIXELS", help="Lets the fill fade into the photo.")] = "0",
) -> None:
    """Fill a hole of a photo; all else stays as it is."""
    from imgsynth.imaging.masks import read_mask
    from imgsynth.tasks.inpaint import inpaint as fill
    from imgsynth.tasks.requests import InpaintRequest, make_request

    request = make_request(InpaintRequest, grow=grow, feather=feather)
    check_lossless(out)
    opened = read_one(photo)
    hole = read_mask(mask, (opened.width, opened.height))
    model = open_model(common, checkpoint)
    put_filled(fill(model, request, opened, hole), out)
    say(f"Filled {hole.mean():.1%} of {photo.name}.")


def outpaint(
    common: Common,
    *,
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo of any size.")],
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option(metavar="OUT.png", help="The larger photo; .png or .webp (lossless).")],
    left: Annotated[str, typer.Option(metavar="N", help="Pixels to add on the left.")] = "0",
    top: Annotated[str, typer.Option(metavar="N", help="Pixels to add above.")] = "0",
    right: Annotated[str, typer.Option(metavar="N", help="Pixels to add on the right.")] = "0",
    bottom: Annotated[str, typer.Option(metavar="N", help="Pixels to add below.")] = "0",
) -> None:
    """Extend the canvas of a photo and fill what is new; the photo stays as it is."""
    from imgsynth.tasks.outpaint import outpaint as extend
    from imgsynth.tasks.requests import OutpaintRequest, make_request

    request = make_request(OutpaintRequest, left=left, top=top, right=right, bottom=bottom)
    check_lossless(out)
    opened = read_one(photo)
    picture = extend(open_model(common, checkpoint), request, opened)
    put_filled(picture, out)
    say(f"Extended {photo.name} to {picture.image.width}×{picture.image.height} pixels.")


def put_filled(picture: Picture, out: Path) -> None:
    from imgsynth.imaging.write import write_image

    put(write_image(out, picture.image, picture.record, picture.icc))
    if picture.image.mode == "I;16" and out.suffix.lower() != ".png":
        say(f"{out.name} has 8 of the photo's 16 bits; a .png keeps them all.")


def check_lossless(out: Path) -> None:
    if out.suffix.lower() in (".jpg", ".jpeg"):
        raise BadRequest(f"A JPEG would change pixels outside the hole; let {out.name} end in .png or .webp.")
    check_ending(out, LOSSLESS)


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
