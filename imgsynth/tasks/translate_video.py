"""A short video or animated picture, repainted frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from imgsynth.families import Model
from imgsynth.imaging.clips import Clip
from imgsynth.imaging.record import Record
from imgsynth.imaging.video import Pace
from imgsynth.tasks.pictures import make_record
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
    # Once for all: free memory comes and goes, and frames made in different ways would flicker.
    side = next(sides_to_try(translator(model), request.tiles, clip.width * clip.height))
    settled = request.model_copy(update={"tiles": side})
    record = make_record(model, "translate", {**recorded(request, side), "video": True})
    record["input_sha256"] = [clip.sha256]
    frames = (translate(model, settled, photo).image for photo in clip.frames())
    return Film(frames, len(clip.durations), clip.pace, record, clip.name, clip.ending)
