"""Verbs that go between keyframes: `interpolate`, `blend`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgsynth.cli.make import counted, counting
from imgsynth.cli.shared import (
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
    read_photos,
    say,
)
from imgsynth.errors import BadRequest

if TYPE_CHECKING:
    from PIL import Image

    from imgsynth.imaging.record import Record

FRAMES = "120"
FPS = "30"


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
    frames: Annotated[
        str | None, typer.Option(metavar="N", help=f"Number of frames in all; {FRAMES} if unsaid.")
    ] = None,
    seconds: Annotated[str | None, typer.Option(metavar="S", help="Length, in place of --frames.")] = None,
    path: Annotated[
        str, typer.Option(metavar="slerp|lerp|spline", help="How to go from point to point.")
    ] = "slerp",
    easing: Annotated[
        str, typer.Option(metavar="none|smoothstep", help="Constant speed, or a rest at every point.")
    ] = "none",
    loop: Annotated[bool, typer.Option("--loop", help="Let the last point lead back to the first.")] = False,
    fps: Annotated[str, typer.Option(metavar="N", help="Frames per second.")] = FPS,
    psi: Psi = "1",
    label: Label = None,
    noise: Annotated[
        str | None,
        typer.Option(metavar="constant|none", help="none draws without noise, where there are noise inputs."),
    ] = None,
) -> None:
    """Walk through the latents of seeds and photos, as a video."""
    from imgsynth.tasks.interpolate import interpolate as walk
    from imgsynth.tasks.interpolate import walk_record
    from imgsynth.tasks.requests import InterpolateRequest, make_request

    points, paths = parse_points(keyframes)
    length = frames_in(frames, seconds, fps)
    options = {"path": path, "easing": easing, "loop": loop, "fps": fps, "psi": psi, "label": label}
    request = make_request(InterpolateRequest, keyframes=points, frames=length, noise=noise, **options)
    check_video_name(out)
    photos = read_photos(paths)
    model = open_model(common, checkpoint)
    images = walk(model, request, photos)
    write_walk(out, images, request.frames, request.fps, walk_record(model, request, photos))


def parse_points(keyframes: str) -> tuple[list[int | str], list[Path]]:
    """The keyframes of a request, and the photos among them."""
    from imgsynth.tasks.requests import parse_keyframes

    points, paths = parse_keyframes(keyframes, lambda part: Path(part).is_file())  # a file wins over a seed
    return points, [Path(path) for path in paths]


def frames_in(frames: str | None, seconds: str | None, fps: str) -> str | int:
    """The length in frames, however it was given."""
    from imgsynth.tasks.requests import LengthRequest, make_request

    if seconds is None:
        return FRAMES if frames is None else frames
    if frames is not None:
        raise BadRequest("The length was given in frames and in seconds; give one of the two.")
    return make_request(LengthRequest, seconds=seconds, fps=fps).frames


def write_walk(out: Path, images: Iterator[Image.Image], frames: int, fps: int, record: Record) -> None:
    """Writes a walk's frames as they are drawn."""
    from imgsynth.imaging.video import write_video

    with progress_bar(frames, "frame") as bar:
        count = write_video(out, counting(images, bar), fps, record)
    put(out)
    say(f"Wrote {counted(count, 'frame')}, {count / fps:.1f} seconds at {fps} a second.")


def blend(
    common: Common,
    *,
    checkpoint: Checkpoint,
    keyframes: Annotated[
        str,
        typer.Option(
            metavar="1,5,9,photo.jpg", help="The corners: top left, top right, bottom left, bottom right."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The sheet; .png, .webp or .jpg.")],
    columns: Annotated[str, typer.Option(metavar="N", help="Pictures in each row.")] = "5",
    rows: Annotated[str, typer.Option(metavar="N", help="Pictures in each column.")] = "5",
    path: Annotated[
        str, typer.Option(metavar="slerp|lerp", help="How to go from corner to corner.")
    ] = "slerp",
    psi: Psi = "1",
    label: Label = None,
) -> None:
    """Blend four seeds or photos into a sheet of pictures, one in each corner."""
    from imgsynth.imaging.write import write_image
    from imgsynth.tasks.blend import blend as make_sheet
    from imgsynth.tasks.requests import BlendRequest, make_request

    points, paths = parse_points(keyframes)
    options = {"columns": columns, "rows": rows, "path": path, "psi": psi, "label": label}
    request = make_request(BlendRequest, keyframes=points, **options)
    check_ending(out, PICTURES)
    photos = read_photos(paths)
    model = open_model(common, checkpoint)
    with progress_bar(request.columns * request.rows, "picture") as bar:

        def follow(done: int, _: int) -> None:
            bar.update(done - bar.n)

        sheet = make_sheet(model, request, photos, follow)
    put(write_image(out, sheet.image, sheet.record))
    say(f"Blended {counted(request.columns * request.rows, 'picture')} with {model.identity.id}.")
