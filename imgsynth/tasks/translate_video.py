"""A short video or animated picture, repainted frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from PIL import Image

from imgsynth.errors import BadRequest
from imgsynth.families import Model
from imgsynth.imaging.clips import Clip
from imgsynth.imaging.record import Record, frame_record
from imgsynth.imaging.video import Pace
from imgsynth.tasks.pictures import Picture, make_record
from imgsynth.tasks.requests import TranslateRequest
from imgsynth.tasks.translate import recorded, sides_to_try, translate, translator


@dataclass(frozen=True)
class Film:
    """A translated clip, to be written by `imgsynth.imaging.video.write_clip`.

    Attributes:
        frames: each as soon as it is made; whoever stops drawing them early can write what there is.
        total: how many there will be.
        pace: when they are shown, as in the original.
        record: what made them.
        name: for a file, without ending.
        ending: of a file of the original's kind, such as ".mp4".
    """

    frames: Iterator[Image.Image]
    total: int
    pace: Pace
    record: Record
    name: str
    ending: str


def translate_video(model: Model, request: TranslateRequest, clip: Clip) -> Film:
    """A clip in the model's style, of the same size and pace, without its sound.

    Every frame is translated by itself, so what a network adds of its own may flicker from frame to frame.

    Raises:
        TaskNotOffered: the model does not translate.
        ImgsynthError: as `translate`; while frames are drawn, too.
    """
    settled, record = settle(model, request, clip)
    frames = (translate(model, settled, photo).image for photo in clip.frames())
    return Film(frames, len(clip.durations), clip.pace, record, clip.name, clip.ending)


def translate_frame(model: Model, request: TranslateRequest, clip: Clip, index: int) -> Picture:
    """One frame of `translate_video`, counted from 0, as it is written among numbered ones.

    Raises:
        BadRequest: the clip has no such frame.
        ImgsynthError: as `translate_video`.
    """
    if not 0 <= index < len(clip.durations):
        raise BadRequest(f"{clip.name} has {len(clip.durations)} frames, so there is no frame {index} of it.")
    settled, record = settle(model, request, clip)
    photo = next(islice(clip.frames(), index, None))
    image = translate(model, settled, photo).image
    return Picture(image, frame_record(record, index), f"{clip.name}-{index:05d}")


def settle(model: Model, request: TranslateRequest, clip: Clip) -> tuple[TranslateRequest, Record]:
    """How every frame is translated, and the record of all.

    Once for all: free memory comes and goes, and frames made in different ways would flicker.
    """
    side = next(sides_to_try(translator(model), request.tiles, clip.width * clip.height))
    record = make_record(model, "translate", {**recorded(request, side), "video": True})
    record["input_sha256"] = [clip.sha256]
    return request.model_copy(update={"tiles": side}), record
