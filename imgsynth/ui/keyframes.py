"""What a walk passes through, as one line of text: seeds, latents, and photos by the names of their files."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from imgsynth.errors import BadRequest
from imgsynth.families import Autoencoder, Codec, Model
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.tasks.requests import LATENT, MOST_KEYFRAMES, PHOTO, SEED_PART, parse_keyframes
from imgsynth.ui.classes import fitting_classes, make_class_picker
from imgsynth.ui.session import Session, plain
from imgsynth.ui.uploads import FileInput

EXAMPLE = "1,2,3"
LONGEST_NAME = 40

# The photos that a visitor has added, as (name, path), oldest first; a tuple, so that no sessions share one.
Photos = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Point:
    """A keyframe.

    Attributes:
        text: how the field has it.
        keyframe: how a request has it.
        path: the photo's file, where it is one.
    """

    text: str
    keyframe: int | str
    path: str | None = None

    @property
    def caption(self) -> str:
        return "edited" if self.text.startswith(LATENT) else self.text


def points_of(model: Model, text: str, photos: Photos) -> tuple[Point, ...]:
    """The keyframes in the field that a model takes: a codec only photos, one that encodes nothing no photos.

    Raises:
        BadRequest: a part is no seed, no latent and no photo that was added, or there are too many.
    """
    paths = dict(photos)
    if isinstance(model, Codec):  # the field is not shown then, so whatever else is in it is left aside
        text = ",".join(name for name in parts_of(text) if name in paths)
    keyframes, named = parse_keyframes(text, paths.__contains__)
    names = iter(named)
    every = [photo_point(next(names), paths) if k == PHOTO else Point(str(k), k) for k in keyframes]
    points = tuple(p for p in every if p.path is None or isinstance(model, Autoencoder))
    if len(points) > MOST_KEYFRAMES:
        raise BadRequest(f"A walk passes through {MOST_KEYFRAMES} keyframes at most; take some out.")
    return points


def photo_point(name: str, paths: Mapping[str, str]) -> Point:
    return Point(name, PHOTO, paths[name])


def parts_of(text: str) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def text_of(points: Iterable[Point]) -> str:
    return ",".join(point.text for point in points)


def asked_of(points: Sequence[Point]) -> tuple[list[int | str], list[Photo]]:
    """Keyframes as a request has them, and the photos among them."""
    return [p.keyframe for p in points], [read_photo(p.path) for p in points if p.path]


def keyframes_of(model: Model, text: str, photos: Photos) -> tuple[list[int | str], list[Photo]]:
    """The keyframes of a request, and the photos among them.

    Raises:
        BadRequest: as `points_of`, or there are no two photos for a model that takes nothing else.
    """
    points = points_of(model, text, photos)
    if isinstance(model, Codec) and len(points) < 2:
        raise BadRequest("The walk needs two photos or more to pass through; add them to the keyframes.")
    return asked_of(points)


def with_photos(text: str, photos: Photos, paths: Sequence[str]) -> tuple[str, Photos]:
    """The field and the photos once new ones have joined at the end; the example makes room for them."""
    names: list[str] = []
    for path in paths:
        names.append(free_name(Path(path).name, dict(photos)))
        photos = (*photos, (names[-1], path))
    before = [] if text == EXAMPLE else parts_of(text)
    return ",".join([*before, *names]), photos[-2 * MOST_KEYFRAMES :]


def free_name(name: str, taken: Mapping[str, str]) -> str:
    """A name that the field can hold: no commas in it, no other photo's, and none that reads as a seed."""
    name = re.sub(r"[\s,]+", " ", name).strip()[-LONGEST_NAME:].strip()
    if name in ("", PHOTO) or name.startswith(LATENT) or SEED_PART.fullmatch(name):
        name = f"photo {name.removeprefix(LATENT) or 1}"
    stem, ending = Path(name).stem, Path(name).suffix
    numbered = (f"{stem} {number}{ending}" for number in itertools.count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def make_seeds() -> gr.Textbox:
    return gr.Textbox(
        EXAMPLE,
        label="Keyframes",
        info="Seeds that the walk passes through, in order; two or more. Sample can add its pictures.",
        max_lines=3,
        elem_id="interpolate-keyframes",
    )


def make_upload() -> FileInput:
    """An upload of several pictures; hidden until a model takes it."""
    return FileInput(
        label="Add photos as keyframes",
        file_count="multiple",
        file_types=["image"],
        height=150,
        visible=False,
        elem_id="interpolate-photos",
    )


def make_class() -> gr.Dropdown:
    return make_class_picker("interpolate-class")


def psi_of(model: Model, psi: float) -> float:
    """Truncation as asked for; a codec, whose latents have no mean to move to, is not shown the slider."""
    return 1.0 if isinstance(model, Codec) else psi


def make_fit(session: Session) -> Any:
    """The event that brings the inputs in line with the chosen model, loading it if need be.

    Its outputs: seeds, upload, class, psi.
    """

    @plain
    def fit(name: str | None, chosen: Any) -> tuple[Any, ...]:
        if not name:
            return (gr.skip(),) * 4
        model = session.model(name)
        codec = isinstance(model, Codec)
        return (
            gr.Textbox(visible=not codec),
            FileInput(visible=isinstance(model, Autoencoder)),
            fitting_classes(model, chosen, all_in_turn=False),
            gr.Slider(visible=not codec),
        )

    return fit
