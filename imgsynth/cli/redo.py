"""`redo`: a result made again from its record."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgsynth.cli.make import write_film
from imgsynth.cli.shared import (
    PICTURES,
    Common,
    check_ending,
    check_video_name,
    open_model,
    open_resolved,
    put,
    read_photos,
    say,
)
from imgsynth.cli.walk import write_walk
from imgsynth.errors import CheckpointNotFound, ImgsynthError

if TYPE_CHECKING:
    from imgsynth.families import Model
    from imgsynth.imaging.record import Record
    from imgsynth.tasks.redo import Inputs


def redo(
    common: Common,
    *,
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="A picture, video or folder of frames made here.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the new one goes.")],
    photos: Annotated[
        list[Path] | None,
        typer.Option("--input", metavar="PHOTO", help="A photo that was used; once each, in order."),
    ] = None,
    mask: Annotated[Path | None, typer.Option(metavar="MASK", help="The mask that was used.")] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="The checkpoint, if it is neither in the catalog nor on the Hub."),
    ] = None,
) -> None:
    """Make a picture or video again from its record."""
    from imgsynth.imaging.record import read_record
    from imgsynth.imaging.write import write_image
    from imgsynth.tasks.redo import Walk, check_photos, is_video
    from imgsynth.tasks.redo import redo as make_again

    record = read_record(image)
    check_out(record, out)
    if is_video(record):
        return redo_video(common, record, photos or [], out, checkpoint)
    inputs = read_inputs(photos or [], mask)
    check_photos(record, inputs.photos)
    model = open_recorded(common, record, checkpoint)
    say_differences(model, record)
    result = make_again(model, record, inputs)
    if isinstance(result, Walk):
        write_walk(out, result.frames, result.record["request"]["frames"], result.fps, result.record)
    else:
        put(write_image(out, result.image, result.record, result.icc))


def redo_video(common: Common, record: Record, clips: list[Path], out: Path, checkpoint: str | None) -> None:
    from imgsynth.imaging.clips import read_clip
    from imgsynth.imaging.write import write_image
    from imgsynth.tasks.pictures import Picture
    from imgsynth.tasks.redo import check_photos
    from imgsynth.tasks.redo import redo_video as make_again

    opened = [read_clip(path) for path in clips]
    check_photos(record, opened)
    model = open_recorded(common, record, checkpoint)
    say_differences(model, record)
    result = make_again(model, record, opened[0])
    if isinstance(result, Picture):
        put(write_image(out, result.image, result.record, result.icc))
    else:
        write_film(out, result)


def check_out(record: Record, out: Path) -> None:
    """Refuses a name of the wrong kind before anything is loaded."""
    from imgsynth.tasks.redo import is_video

    request = record.get("request")
    one_frame = isinstance(request, dict) and "frame" in request
    if (record["task"] == "interpolate" or is_video(record)) and not one_frame:
        check_video_name(out)
    else:
        check_ending(out, PICTURES)


def read_inputs(paths: list[Path], mask: Path | None) -> Inputs:
    from imgsynth.imaging.masks import read_mask
    from imgsynth.tasks.redo import Inputs

    photos = read_photos(paths)
    size = (photos[0].width, photos[0].height) if photos else None
    return Inputs(photos, None if mask is None else read_mask(mask, size))


def open_recorded(common: Common, record: Record, checkpoint: str | None) -> Model:
    """The record's checkpoint where it ran, as far as this machine allows."""
    from imgsynth.checkpoints.naming import resolve
    from imgsynth.tasks.redo import checkpoint_name, recorded

    name = checkpoint_name(record)
    place = place_of(common, record)
    if checkpoint is not None:
        return open_model(place, checkpoint)
    if record["checkpoint"].get("source") in ("file", "upload"):
        file = Path(str(record["checkpoint"].get("file") or name)).name
        raise CheckpointNotFound(f"This was made with the file {file}; name it with --checkpoint.")
    # A record comes from a stranger, who has no say in which of this machine's files are opened.
    return open_resolved(place, recorded(resolve(name, paths_allowed=False), record))


def place_of(common: Common, record: Record) -> Common:
    """The device and precision that were asked for, else the record's own where they are here, else auto."""
    from imgsynth.runtime.device import pick_device, pick_precision

    device = asked(common.device, "IMGSYNTH_DEVICE") or if_usable(record.get("device"), pick_device)
    chosen = pick_device(device or "auto")
    own_precision = if_usable(record.get("precision"), lambda name: pick_precision(name, chosen))
    precision = asked(common.precision, "IMGSYNTH_PRECISION") or own_precision
    return Common(device or "auto", precision or "auto")


def asked(option: str | None, variable: str) -> str | None:
    """`auto` leaves the choice to us, and what made the picture is the best one."""
    value = option or os.environ.get(variable)
    return None if value == "auto" else value


def if_usable(name: Any, pick: Callable[[str], object]) -> str | None:
    try:
        pick(str(name))
    except ImgsynthError:
        return None
    return str(name)


def say_differences(model: Model, record: Record) -> None:
    """Equal pixels are promised only for the same device, precision and versions."""
    import torch

    from imgsynth.version import VERSION

    here = {
        "device": str(model.device),
        "precision": model.precision,
        "torch": torch.__version__,
        "imgsynth": VERSION,
    }
    differing = {name: own for name, own in here.items() if record.get(name) != own}
    changed = [f"{name} {record.get(name)} there, {own} here" for name, own in differing.items()]
    if changed:
        say(f"Pixels may differ a little from the original ({'; '.join(changed)}).")
