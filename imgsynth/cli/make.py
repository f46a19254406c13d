"""Verbs that make pictures: `sample`, `interpolate`, `translate`, `inpaint`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgsynth.cli.shared import (
    LOSSLESS,
    PICTURES,
    Checkpoint,
    Common,
    Label,
    Psi,
    check_ending,
    check_video_name,
    open_model,
    progress_bar,
    put,
    read_one,
    read_photos,
    say,
)
from imgsynth.errors import BadImage, BadRequest, ImgsynthError

if TYPE_CHECKING:
    from PIL import Image

    from imgsynth.families import Model
    from imgsynth.imaging.record import Record
    from imgsynth.imaging.write import Job
    from imgsynth.tasks.pictures import Picture
    from imgsynth.tasks.requests import TranslateRequest


def sample(
    common: Common,
    *,
    checkpoint: Checkpoint,
    seeds: Annotated[str, typer.Option(metavar="1,2,5-10", help="One picture is drawn per seed.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for seed00000000.png and so on.")],
    psi: Psi = "1",
    label: Label = None,
    grid: Annotated[Path | None, typer.Option(metavar="FILE", help="All pictures on one sheet, too.")] = None,
) -> None:
    """Draw one picture per seed."""
    from imgsynth.imaging.write import encode_all, write_image
    from imgsynth.tasks.requests import SampleRequest, make_request, parse_seeds
    from imgsynth.tasks.sample import grid_of
    from imgsynth.tasks.sample import sample as draw

    request = make_request(SampleRequest, seeds=parse_seeds(seeds), psi=psi, label=label)
    if grid is not None:
        check_ending(grid, PICTURES)
    model = open_model(common, checkpoint)
    drawn: list[Picture] = []

    def jobs() -> Iterator[Job]:
        for picture in draw(model, request):
            if grid is not None:
                drawn.append(picture)
            yield out / f"{picture.name}.png", picture.image, picture.record, None

    with progress_bar(len(request.seeds), "picture") as bar:
        for path in encode_all(jobs()):
            put(path)
            bar.update()
    if grid is not None:
        sheet = grid_of(model, request, drawn)
        put(write_image(grid, sheet.image, sheet.record))
    say(f"Drew {counted(len(request.seeds), 'picture')} with {model.identity.id}.")


def interpolate(
    common: Common,
    *,
    checkpoint: Checkpoint,
    keyframes: Annotated[
        str, typer.Option(metavar="1,5,photo.jpg", help="Points to pass through: seeds, or photos.")
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="A .mp4, .webm, .webp, .gif, or a folder for numbered PNGs."),
    ],
    frames: Annotated[str, typer.Option(metavar="N", help="Number of frames in all.")] = "120",
    path: Annotated[
        str, typer.Option(metavar="slerp|lerp|spline", help="How to go from point to point.")
    ] = "slerp",
    loop: Annotated[bool, typer.Option("--loop", help="Let the last point lead back to the first.")] = False,
    fps: Annotated[str, typer.Option(metavar="N", help="Frames per second.")] = "30",
    psi: Psi = "1",
    label: Label = None,
) -> None:
    """Walk through the latents of seeds and photos, as a video."""
    from imgsynth.tasks.interpolate import interpolate as walk
    from imgsynth.tasks.interpolate import walk_record
    from imgsynth.tasks.requests import InterpolateRequest, make_request, parse_keyframes

    points, paths = parse_keyframes(keyframes, lambda part: Path(part).is_file())  # a file wins over a seed
    request = make_request(
        InterpolateRequest,
        keyframes=points,
        frames=frames,
        path=path,
        loop=loop,
        fps=fps,
        psi=psi,
        label=label,
    )
    check_video_name(out)
    photos = read_photos([Path(path) for path in paths])
    model = open_model(common, checkpoint)
    images = walk(model, request, photos)
    write_walk(out, images, request.frames, request.fps, walk_record(model, request, photos))


def write_walk(out: Path, images: Iterator[Image.Image], frames: int, fps: int, record: Record) -> None:
    """Writes a walk's frames as they are drawn."""
    from imgsynth.imaging.video import write_video

    with progress_bar(frames, "frame") as bar:

        def counting() -> Iterator[Image.Image]:
            for image in images:
                yield image
                bar.update()

        count = write_video(out, counting(), fps, record)
    put(out)
    say(f"Wrote {counted(count, 'frame')}, {count / fps:.1f} seconds at {fps} a second.")


def translate(
    common: Common,
    *,
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos of any size.")],
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for one PNG per photo.")],
    strength: Annotated[
        str, typer.Option(metavar="0..1", help="0 keeps the photo, 1 takes the translation.")
    ] = "1",
) -> None:
    """Repaint photos in another style, at their own size."""
    from imgsynth.families import require_task
    from imgsynth.tasks.requests import TranslateRequest, make_request

    request = make_request(TranslateRequest, strength=strength)
    model = open_model(common, checkpoint)
    require_task(model, "translate")
    failures: list[ImgsynthError] = []
    with progress_bar(len(photos), "photo") as bar:
        for photo, name in zip(photos, names_for(photos), strict=True):
            try:
                translate_one(model, request, photo, out / name, photos)
            except ImgsynthError as error:  # one bad photo must not lose the others
                failures.append(error)
            bar.update()
    report(failures, len(photos))


def translate_one(
    model: Model, request: TranslateRequest, photo: Path, target: Path, photos: Sequence[Path]
) -> None:
    from imgsynth.imaging.write import write_png
    from imgsynth.tasks.translate import translate as repaint

    if target.exists() and any(p.exists() and target.samefile(p) for p in photos):
        raise BadRequest(
            f"{target.name} is one of the photos; choose another --out, which leaves it as it is."
        )
    picture = repaint(model, request, read_one(photo))
    put(write_png(target, picture.image, picture.record, picture.icc))
    if target.stem != photo.stem:
        say(f"{photo.name} became {target.name}, for another photo has the same name.")


def names_for(photos: Sequence[Path]) -> list[str]:
    """A file name per photo: its own stem, or with -2, -3 … where an earlier photo has it already."""
    # Case is left out, for many disks cannot tell Photo.png from photo.png.
    taken = {photo.stem.casefold() for photo in photos}
    seen: set[str] = set()
    names = []
    for photo in photos:
        stem, number = photo.stem, 1
        while stem.casefold() in (taken if number > 1 else seen):
            number += 1
            stem = f"{photo.stem}-{number}"
        taken.add(stem.casefold())
        seen.add(stem.casefold())
        names.append(f"{stem}.png")
    return names


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
    from imgsynth.imaging.write import write_image
    from imgsynth.tasks.inpaint import inpaint as fill
    from imgsynth.tasks.requests import InpaintRequest, make_request

    request = make_request(InpaintRequest, grow=grow, feather=feather)
    check_lossless(out)
    opened = read_one(photo)
    hole = read_mask(mask, (opened.width, opened.height))
    model = open_model(common, checkpoint)
    picture = fill(model, request, opened, hole)
    put(write_image(out, picture.image, picture.record, picture.icc))
    say(f"Filled {hole.mean():.1%} of {photo.name}.")


def check_lossless(out: Path) -> None:
    if out.suffix.lower() in (".jpg", ".jpeg"):
        raise BadRequest(f"A JPEG would change pixels outside the hole; let {out.name} end in .png or .webp.")
    check_ending(out, LOSSLESS)


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
