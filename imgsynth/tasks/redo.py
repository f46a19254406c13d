"""Making a result again from its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from imgsynth.errors import BadImage, BadMask, BadRequest, ChecksumMismatch, NoRecord
from imgsynth.families import Model
from imgsynth.imaging.masks import mask_sha256
from imgsynth.imaging.read import Photo
from imgsynth.imaging.record import Record
from imgsynth.tasks.inpaint import fill_weights, inpaint
from imgsynth.tasks.interpolate import frame, interpolate, walk_record
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.requests import (
    InpaintRequest,
    InterpolateRequest,
    SampleRequest,
    TranslateRequest,
    make_request,
)
from imgsynth.tasks.sample import grid_of, sample
from imgsynth.tasks.translate import translate


@dataclass(frozen=True)
class Walk:
    """An interpolation made again: its frames, to be written at the record's speed."""

    frames: Iterator[Image.Image]
    record: Record
    fps: int


@dataclass(frozen=True)
class Inputs:
    """What a record knows only by sha256: the photos in order, and the mask."""

    photos: Sequence[Photo] = ()
    mask: np.ndarray | None = None


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


def check_photos(record: Record, photos: Sequence[Photo]) -> None:
    wanted = record.get("input_sha256") or []
    if not isinstance(wanted, list):
        raise NoRecord("The record in this file does not say which photos were used.")
    if len(photos) != len(wanted):
        raise BadImage(
            f"This picture was made from {len(wanted)} photos and {len(photos)} were given; add them."
        )
    for photo, sha256 in zip(photos, wanted, strict=True):
        if photo.sha256 != sha256:
            raise BadImage(
                f"{photo.name} is not the photo that was used: its pixels differ from the record's sha256."
            )


def redo_sample(model: Model, record: Record, request: dict[str, Any], inputs: Inputs) -> Picture:
    columns = request.pop("columns", None)
    if "seeds" not in request:
        return next(sample(model, make_request(SampleRequest, seeds=[request.pop("seed", None)], **request)))
    made = make_request(SampleRequest, **request)
    if columns is not None and (not isinstance(columns, int) or columns < 1):
        raise BadRequest("The record's number of columns is not a positive number.")
    return grid_of(model, made, list(sample(model, made)), columns)


def redo_interpolate(model: Model, record: Record, request: dict[str, Any], inputs: Inputs) -> Result:
    index = request.pop("frame", None)
    made = make_request(InterpolateRequest, **request)
    remade = walk_record(model, made, inputs.photos)
    if index is None:
        return Walk(interpolate(model, made, inputs.photos), remade, made.fps)
    if not isinstance(index, int):
        raise BadRequest("The record's frame is not a number.")
    remade["request"]["frame"] = index
    return Picture(frame(model, made, index, inputs.photos), remade, f"frame{index:05d}")


def redo_translate(model: Model, record: Record, request: dict[str, Any], inputs: Inputs) -> Picture:
    return translate(model, make_request(TranslateRequest, **request), one_photo(inputs))


def redo_inpaint(model: Model, record: Record, request: dict[str, Any], inputs: Inputs) -> Picture:
    if inputs.mask is None:
        raise BadMask("This picture was made with a mask; give the same mask with --mask.")
    made = make_request(InpaintRequest, **request)
    check_same_mask(made, record, inputs.mask)
    return inpaint(model, made, one_photo(inputs), inputs.mask)


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
    "translate": redo_translate,
    "inpaint": redo_inpaint,
}
