"""Unpaired translation: a photo repainted, at its own size, with its alpha and colour profile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from imgsynth.errors import OutOfMemory
from imgsynth.families import Codec, Model, Translator, require_task
from imgsynth.families.tiling import Progress, Repainter, needs_of, side_for, translate_in_tiles
from imgsynth.imaging.read import Photo
from imgsynth.imaging.record import Record
from imgsynth.runtime.device import memory_guard
from imgsynth.runtime.memory import free_memory
from imgsynth.tasks.pictures import Picture, make_record, to_batch, to_pixels
from imgsynth.tasks.requests import TranslateRequest

# Of the memory that is free when a pass begins; the rest is for the photo, its result and everybody else.
SHARE = 0.7
IN_ONE_PIECE = 0


@dataclass(frozen=True)
class Repainting:
    """A photo and its whole translation, of which every strength is a blend.

    Attributes:
        result: float32 1×3×H×W in [0, 1], the translation at full strength.
        record: of the translation as it was asked for.
    """

    photo: Photo
    result: Tensor
    record: Record

    def at(self, strength: float) -> Picture:
        """What `translate` gives at a strength from 0 to 1, bit for bit, without running the network."""
        mixed = self.result
        if strength != 1:  # at full strength the sum would only add rounding noise
            batch = to_batch(self.photo)
            mixed = batch + (self.result - batch) * strength
        record = {**self.record, "request": {**self.record["request"], "strength": strength}}
        image = with_alpha(to_pixels(mixed)[0], self.photo)
        return Picture(image, record, self.photo.name, self.photo.icc, self.photo.notes)


def translator(model: Model) -> Repainter:
    """The model as one that translates, or TaskNotOffered."""
    require_task(model, "translate")
    assert isinstance(model, Translator | Codec)
    return model


def translate(
    model: Model, request: TranslateRequest, photo: Photo, progress: Progress | None = None
) -> Picture:
    """The photo in the model's style: in one piece where memory allows, else in tiles.

    Args:
        progress: called with (tiles done, tiles in all) where there are tiles; what it raises stops the work.

    Raises:
        TaskNotOffered: the model does not translate.
        BadRequest: the photo is too large for one piece, and the network cannot be run in tiles.
        OutOfMemory: not even tiles fit into memory.
    """
    return repaint(model, request, photo, progress).at(request.strength)


def repaint(
    model: Model, request: TranslateRequest, photo: Photo, progress: Progress | None = None
) -> Repainting:
    """As `translate`, before the blend."""
    result, side = repainted(translator(model), request, to_batch(photo), progress)
    return Repainting(photo, result, make_record(model, "translate", recorded(request, side), [photo]))


def recorded(request: TranslateRequest, side: int) -> dict[str, Any]:
    """What goes into the record; the side of tiles only where there were any."""
    return request.model_dump() | ({} if side == IN_ONE_PIECE else {"tiles": side})


def repainted(
    model: Repainter, request: TranslateRequest, batch: Tensor, progress: Progress | None = None
) -> tuple[Tensor, int]:
    """The translation of float32 1×3×H×W, and the side of the tiles it was made in.

    Memory is an estimate, so each attempt that runs out of it is followed by a smaller one.
    """
    for side in sides_to_try(model, request.tiles, batch.shape[-2] * batch.shape[-1]):
        try:
            with memory_guard():
                if side == IN_ONE_PIECE:
                    return model.translate(batch), side
                return translate_in_tiles(model, batch, side, progress), side
        except OutOfMemory:
            if request.tiles is not None:
                raise
    raise AssertionError("sides are tried until one raises")


def sides_to_try(model: Repainter, asked: int | None, pixels: int) -> Iterator[int]:
    """Sides of tiles: what was asked for, or whatever fits into memory, the best first.

    Raises:
        OutOfMemory: nothing smaller is left, or the one piece that was asked for cannot fit.
    """
    room = free_memory(model.device) // needs_of(model).bytes_per_pixel
    if asked is not None:
        if asked == IN_ONE_PIECE and pixels > room:
            raise OutOfMemory("There is too little memory left to run this photo in one piece.")
        yield asked
        return
    room = int(SHARE * room)
    if pixels <= room:
        yield IN_ONE_PIECE
        room = pixels // 2
    while True:
        yield side_for(model, room)
        room //= 2


def with_alpha(pixels: np.ndarray, photo: Photo) -> Image.Image:
    """uint8 H×W×3 with the photo's own alpha, if it has one."""
    if photo.alpha is None:
        return Image.fromarray(pixels)
    return Image.fromarray(np.dstack([pixels, photo.alpha]))
