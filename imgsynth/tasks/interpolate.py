"""Interpolation: a walk through the latents of keyframes, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from imgsynth.errors import BadRequest
from imgsynth.families import LatentModel, Model
from imgsynth.imaging.read import Photo
from imgsynth.imaging.record import Record, frame_record
from imgsynth.tasks.keyframes import keyframe_latents, pictures_at, space_among
from imgsynth.tasks.paths import eased, latent_at, positions
from imgsynth.tasks.pictures import Picture, make_record
from imgsynth.tasks.requests import InterpolateRequest
from imgsynth.tasks.sample import latent_model


def interpolate(
    model: Model, request: InterpolateRequest, photos: Sequence[Photo] = ()
) -> Iterator[Image.Image]:
    """Yields the frames of a walk, each batch as soon as it is drawn.

    Args:
        photos: one for every "photo" among the keyframes, in order.

    Raises:
        TaskNotOffered: the model has no latents, or cannot encode photos.
        BadRequest: photos and keyframes do not match, or a latent is of another model.
    """
    drawer = latent_model(model, "interpolate")
    walk = walk_latents(drawer, request, photos)
    for chunk in walk.split(drawer.batch):
        yield from pictures_at(drawer, request, chunk)


def frame(model: Model, request: InterpolateRequest, index: int, photos: Sequence[Photo] = ()) -> Image.Image:
    """One frame of a walk; the same pixels as in the whole.

    Raises:
        BadRequest: the walk has no such frame.
    """
    drawer = latent_model(model, "interpolate")
    if not 0 <= index < request.frames:
        raise BadRequest(f"This walk has frames 0 to {request.frames - 1}; there is no frame {index}.")
    latent = latents_at(drawer, request, photos, places_of(request)[index : index + 1])
    return pictures_at(drawer, request, latent)[0]


def still(model: Model, request: InterpolateRequest, index: int, photos: Sequence[Photo] = ()) -> Picture:
    """As `frame`, with a record that makes this frame again."""
    record = frame_record(walk_record(model, request, photos), index)
    return Picture(frame(model, request, index, photos), record, f"frame{index:05d}")


def frame_index(request: InterpolateRequest, part: float) -> int:
    """The frame nearest to a part of the walk's time, 0 … 1: 0 is the first frame and 1 the last."""
    return round(min(max(part, 0.0), 1.0) * (request.frames - 1))


def walk_latents(model: LatentModel, request: InterpolateRequest, photos: Sequence[Photo]) -> Tensor:
    """The latents of all frames, float32 frames×numbers."""
    return latents_at(model, request, photos, places_of(request))


def places_of(request: InterpolateRequest) -> NDArray[np.float64]:
    """Where each frame lies, counted in keyframes: 1.5 is between the second and the third."""
    places = positions(len(request.keyframes), request.frames, request.loop)
    return eased(places, request.easing)


def latents_at(
    model: LatentModel, request: InterpolateRequest, photos: Sequence[Photo], places: NDArray[np.float64]
) -> Tensor:
    """The latents at places of a walk, float32 places×numbers, computed in float64.

    In w, lengths and angles are those around its mean, where the origin of z lies.
    """
    centre = model.centre(space_among(request.keyframes)).double().numpy()
    points = keyframe_latents(model, request.keyframes, photos).double().numpy() - centre
    latents = np.stack([latent_at(points, float(p), request.path, request.loop) for p in places])
    return torch.from_numpy(latents + centre).float()


def walk_record(model: Model, request: InterpolateRequest, photos: Sequence[Photo] = ()) -> Record:
    """The record of the whole walk."""
    easing = {} if request.easing == "none" else {"easing": request.easing}
    noise = {} if request.noise is None else {"noise": request.noise}
    return make_record(model, "interpolate", {**request.model_dump(), **easing, **noise}, photos)
