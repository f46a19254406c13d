"""Making a result again from its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.naming import as_recorded
from imgsynth.errors import BadImage, BadMask, BadRequest, ChecksumMismatch, NoRecord
from imgsynth.families import Model
from imgsynth.families.tiling import Progress
from imgsynth.imaging.clips import Clip
from imgsynth.imaging.masks import mask_sha256
from imgsynth.imaging.read import Photo
from imgsynth.imaging.record import Record
from imgsynth.tasks.blend import blend
from imgsynth.tasks.inpaint import fill_weights, inpaint, unheard
from imgsynth.tasks.interpolate import interpolate, still, walk_record
from imgsynth.tasks.mixing import mix, run_mix
from imgsynth.tasks.outpaint import outpaint
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.requests import (
    BlendRequest,
    InpaintRequest,
    InterpolateRequest,
    MixRequest,
    OutpaintRequest,
    SampleRequest,
    TranslateRequest,
    make_request,
)
from imgsynth.tasks.round_trip import difference
from imgsynth.tasks.sample import grid_of, sample
from imgsynth.tasks.translate import IN_ONE_PIECE, translate
from imgsynth.tasks.translate_video import Film, translate_frame, translate_video


@dataclass(frozen=True)
class Walk:
    """An interpolation made again: its frames, to be written at the record's speed."""

    frames: Iterator[Image.Image]
    record: Record
    fps: int


@dataclass(frozen=True)
class Inputs:
    """What a record knows only by sha256: the photos in order, and the mask.

    Attributes:
        progress: called with (pieces done, pieces in all), where there are several; what it raises stops all.
    """

    photos: Sequence[Photo] = ()
    mask: np.ndarray | None = None
    progress: Progress = unheard


Result = Picture | Walk


def checkpoint_name(record: Record) -> str:
    """How to ask for the record's checkpoint again: its id, or its Hub file at its revision.

    Raises:
        NoRecord: the record names no checkpoint.
    """
    checkpoint = record.get("checkpoint")
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("id"), str):
        raise NoRecord("The record in this file names no checkpoint, so it cannot be made again.")
    name: str = checkpoint["id"]
    revision = checkpoint.get("revision")
    if "/" in name and isinstance(revision, str):
        name = f"{name.partition('@')[0]}@{revision}"
    return name


def recorded(checkpoint: Checkpoint, record: Record) -> Checkpoint:
    """What `checkpoint_name` names, with the file and commit that made the record's result."""
    made_with = record["checkpoint"]
    return as_recorded(checkpoint, made_with.get("file"), made_with.get("revision"))


def redo(model: Model, record: Record, inputs: Inputs | None = None) -> Result:
    """Makes a result again.

    Raises:
        ChecksumMismatch: the checkpoint's sha256 is not the record's.
        BadImage: a photo is missing or is not the one that was used.
        NoRecord: the record cannot be understood.
    """
    inputs = inputs or Inputs()
    check_checkpoint(model, record)
    check_photos(record, inputs.photos)
    request = record.get("request")
    maker = MAKERS.get(str(record.get("task")))
    if maker is None or not isinstance(request, dict):
        raise NoRecord("The record in this file is of a task that this version does not know.")
    return maker(model, record, dict(request), inputs)


def check_checkpoint(model: Model, record: Record) -> None:
    recorded = record.get("checkpoint")
    if not isinstance(recorded, dict) or recorded.get("sha256") != model.identity.sha256:
        raise ChecksumMismatch(
            f"{model.identity.id} is not the checkpoint that made this picture: "
            "its sha256 differs from the record's."
        )


def check_photos(record: Record, photos: Sequence[Photo | Clip]) -> None:
    wanted = record.get("input_sha256") or []
    if not isinstance(wanted, list):
        raise NoRecord("The record in this file does not say which photos were used.")
    if not photos and holds_latent(record):
        return
    if len(photos) != len(wanted):
        raise BadImage(
            f"This picture was made from {len(wanted)} photos and {len(photos)} were given; add them."
        )
    for photo, sha256 in zip(photos, wanted, strict=True):
        if photo.sha256 != sha256:
            raise BadImage(
                f"{photo.name} is not the photo that was used: its pixels differ from the record's sha256."
            )


def holds_latent(record: Record) -> bool:
    """Whether the record holds what was found from a photo, so that the photo itself is not needed again."""
    request = record.get("request")
    return record.get("task") == "sample" and isinstance(request, dict) and "latent" in request


def redo_sample(model: Model, record: Record, request: dict[str, Any], inputs: Inputs) -> Picture:
    columns = request.pop("columns", None)
    if holds_latent(record):
        found = next(sample(model, make_request(SampleRequest, **request), inputs.photos))
        found.record["input_sha256"] = record.get("input_sha256") or []
        return found
    if "seeds" not in request:
        return next(sample(model, make_request(SampleRequest, seeds=[request.pop("seed", None)], **request)))
    made = make_request(SampleRequest, **request)
    if columns is not None and (not isinstance(columns, int) or columns < 1):
        raise BadRequest("The record's number of columns is not a positive number.")
    return grid_of(model, made, sample(model, made), columns)


def redo_interpolate(model: Model, record: Record, request: dict[str, Any], inputs: Inputs) -> Result:
    index, kept = pop_frame(request), request.pop("kept", None)
    made = make_request(InterpolateRequest, **request)
    if index is not None:
        return still(model, made, index, inputs.photos)
    remade = walk_record(model, made, inputs.photos)
    if kept is not None:
        if not isinstance(kept, int) or not 1 <= kept <= made.frames:
            raise BadRequest("The record's number of kept frames is none that its walk can have.")
        remade["request"]["kept"] = kept
    return Walk(islice(interpolate(model, made, inputs.photos), kept), remade, made.fps)


def redo_blend(model: Model, record: Record, request: dict[str, Any], inputs: Inputs) -> Picture:
    return blend(model, make_request(BlendRequest, **request), inputs.photos, inputs.progress)


def redo_mix(model: Model, record: Record, request: dict[str, Any], inputs: Inputs) -> Picture:
    if request.keys() & {"sources", "destinations"}:
        return run_mix(model, make_request(MixRequest, **request)).table
    pair = {f"{side}s": [request.pop(side, None)] for side in ("source", "destination")}
    return next(mix(model, make_request(MixRequest, **pair, **request)))


def redo_translate(model: Model, record: Record, request: dict[str, Any], inputs: Inputs) -> Picture:
    if "difference" in request:
        return redo_difference(model, request, inputs)
    if request.get("video"):
        raise BadImage("This video was made from another video, not from a photo; give that video.")
    # Whether memory demands tiles differs from day to day; a record without any was made in one piece.
    made = make_request(TranslateRequest, **{"tiles": IN_ONE_PIECE, **request})
    return translate(model, made, one_photo(inputs), inputs.progress)


def is_video(record: Record) -> bool:
    """Whether it is of a video or animated picture that was translated frame by frame (see `redo_video`)."""
    request = record.get("request")
    return record.get("task") == "translate" and isinstance(request, dict) and bool(request.get("video"))


def redo_video(model: Model, record: Record, clip: Clip) -> Film | Picture:
    """Makes a translated video again, frame by frame, or the one frame that the record is of.

    Raises:
        ChecksumMismatch: the checkpoint's sha256 is not the record's.
        BadImage: the clip is not the one that was used.
        NoRecord: the record is of no translated video.
    """
    check_checkpoint(model, record)
    if not is_video(record):
        raise NoRecord("The record in this file is not of a video that was translated.")
    check_photos(record, [clip])
    values = {"tiles": IN_ONE_PIECE, **record["request"]}
    index = pop_frame(values)
    del values["video"]
    request = make_request(TranslateRequest, **values)
    if index is None:
        return translate_video(model, request, clip)
    return translate_frame(model, request, clip, index)


def pop_frame(request: dict[str, Any]) -> int | None:
    """Takes out which frame a record is of (see `frame_record`); None if it is of all.

    Raises:
        BadRequest: it is no number.
    """
    index = request.pop("frame", None)
    if index is not None and not isinstance(index, int):
        raise BadRequest("The record's frame is not a number.")
    return index


def redo_difference(model: Model, request: dict[str, Any], inputs: Inputs) -> Picture:
    amplification = request["difference"]
    if not isinstance(amplification, int) or not 1 <= amplification <= 255 or len(inputs.photos) != 2:
        raise NoRecord("The record in this file does not say which two pictures were compared, or how.")
    return difference(model, inputs.photos[0], inputs.photos[1], amplification)


def redo_inpaint(model: Model, record: Record, request: dict[str, Any], inputs: Inputs) -> Picture:
    if inputs.mask is None:
        raise BadMask("This picture was made with a mask; give the same mask with --mask.")
    # What a record does not name was not done when it was written.
    made = make_request(InpaintRequest, **{"crop": False, "depth": 8, **request})
    check_same_mask(made, record, inputs.mask)
    return inpaint(model, made, one_photo(inputs), inputs.mask, inputs.progress)


def redo_outpaint(model: Model, record: Record, request: dict[str, Any], inputs: Inputs) -> Picture:
    made = make_request(OutpaintRequest, **request)
    return outpaint(model, made, one_photo(inputs), inputs.progress)


def check_same_mask(request: InpaintRequest, record: Record, mask: np.ndarray) -> None:
    """Refuses another mask than the record's before the network runs."""
    used = record.get("mask_sha256")
    if mask_sha256(fill_weights(request, mask) > 0) == used:
        return
    # A mask that was saved after growing and feathering is the hole itself.
    if mask_sha256(mask) == used:
        raise BadMask("This mask is already grown and feathered; give the one that was drawn.")
    raise BadMask("This is not the mask that was used: its sha256 differs from the record's.")


def one_photo(inputs: Inputs) -> Photo:
    if len(inputs.photos) != 1:
        raise BadImage("This picture was made from one photo; give exactly that one.")
    return inputs.photos[0]


Maker = Callable[[Model, Record, dict[str, Any], Inputs], Result]

MAKERS: dict[str, Maker] = {
    "sample": redo_sample,
    "interpolate": redo_interpolate,
    "blend": redo_blend,
    "mix": redo_mix,
    "translate": redo_translate,
    "inpaint": redo_inpaint,
    "outpaint": redo_outpaint,
}
