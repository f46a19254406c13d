"""What a walk passes through: seeds or photos, as the chosen model takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from imgsynth.errors import BadRequest
from imgsynth.families import Autoencoder, Codec, Model
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.tasks.requests import PHOTO, parse_keyframes
from imgsynth.ui.classes import fitting_classes, make_class_picker
from imgsynth.ui.session import Session, plain
from imgsynth.ui.uploads import FileInput

EXAMPLE = "1,2,3"


def make_seeds() -> gr.Textbox:
    return gr.Textbox(
        EXAMPLE,
        label="Keyframes",
        info="Seeds that the walk passes through, in order; two or more. Sample can add its pictures.",
        max_lines=3,
        elem_id="interpolate-keyframes",
    )


def make_photos(label: str, elem_id: str) -> FileInput:
    """An upload of several pictures, to be ordered by dragging; hidden until a model takes it."""
    return FileInput(
        label=label,
        file_count="multiple",
        file_types=["image"],
        allow_reordering=True,
        height=140,
        visible=False,
        elem_id=elem_id,
    )


def make_class() -> gr.Dropdown:
    return make_class_picker("interpolate-class")


def keyframes_of(
    model: Model, seeds: str, photos: Sequence[str] | None, instead: Sequence[str] | None
) -> tuple[list[Any], list[Photo]]:
    """The keyframes of a request, and the photos among them.

    Args:
        seeds: as typed, or latents as text.
        photos: what a codec walks between; other models leave it aside.
        instead: photos in place of the seeds, for an autoencoder that can have either.

    Raises:
        BadRequest: too few photos, or what was typed are neither seeds nor latents.
    """
    paths = photos if isinstance(model, Codec) else instead if isinstance(model, Autoencoder) else None
    if not paths and not isinstance(model, Codec):
        return list(parse_keyframes(seeds, is_photo=lambda _: False)[0]), []
    if not paths or len(paths) < 2:
        raise BadRequest("The walk needs two photos or more to pass through; add them to the keyframes.")
    return [PHOTO] * len(paths), [read_photo(path) for path in paths]


def psi_of(model: Model, psi: float) -> float:
    """Truncation as asked for; a codec, whose latents have no mean to move to, is not shown the slider."""
    return 1.0 if isinstance(model, Codec) else psi


def make_fit(session: Session) -> Any:
    """The event that brings the inputs in line with the chosen model, loading it if need be.

    Its outputs: seeds, photos, photos in place of seeds, class, psi.
    """

    @plain
    def fit(name: str | None, chosen: Any) -> tuple[Any, ...]:
        if not name:
            return (gr.skip(),) * 5
        model = session.model(name)
        codec = isinstance(model, Codec)
        return (
            gr.Textbox(visible=not codec),
            FileInput(visible=codec),
            FileInput(visible=isinstance(model, Autoencoder) and not codec),
            fitting_classes(model, chosen, all_in_turn=False),
            gr.Slider(visible=not codec),
        )

    return fit
