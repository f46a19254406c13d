"""Interpolation: a walk through the latents of keyframes, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from imgsynth.errors import BadRequest, TaskNotOffered
from imgsynth.families import Autoencoder, LatentModel, Model
from imgsynth.imaging.read import Photo
from imgsynth.imaging.record import Record
from imgsynth.runtime.device import memory_guard
from imgsynth.tasks.paths import latent_at, positions
from imgsynth.tasks.pictures import make_record, to_batch, to_images
from imgsynth.tasks.requests import PHOTO, InterpolateRequest
from imgsynth.tasks.sample import latent_model


def interpolate(
    model: Model, request: InterpolateRequest, photos: Sequence[Photo] = ()
) -> Iterator[Image.Image]:
    """Yields the frames of a walk, each batch as soon as it is drawn.

    Args:
        photos: one for every "photo" among the keyframes, in order.

    Raises:
        TaskNotOffered: the model has no latents, or cannot encode photos.
        BadRequest: photos and keyframes do not match.
    """
    drawer = latent_model(model, "interpolate")
    walk = walk_latents(drawer, request, photos)
    for chunk in walk.split(drawer.batch):
        with memory_guard():
            images = to_images(drawer.render(chunk))
        yield from images


def frame(model: Model, request: InterpolateRequest, index: int, photos: Sequence[Photo] = ()) -> Image.Image:
    """One frame of a walk; the same pixels as in the whole.

    Raises:
        BadRequest: the walk has no such frame.
    """
    drawer = latent_model(model, "interpolate")
    if not 0 <= index < request.frames:
        raise BadRequest(f"This walk has frames 0 to {request.frames - 1}; there is no frame {index}.")
    walk = walk_latents(drawer, request, photos)
    with memory_guard():
        return to_images(drawer.render(walk[index : index + 1]))[0]


def walk_latents(model: LatentModel, request: InterpolateRequest, photos: Sequence[Photo]) -> Tensor:
    """The latents of all frames, float32 frames×latent_shape; truncated already, computed in float64."""
    points = keyframe_latents(model, request, photos).double().numpy() * request.psi
    places = positions(len(points), request.frames, request.loop)
    latents = np.stack([latent_at(points, float(p), request.path, request.loop) for p in places])
    return torch.from_numpy(latents).float()


def keyframe_latents(model: LatentModel, request: InterpolateRequest, photos: Sequence[Photo]) -> Tensor:
    wanted = request.keyframes.count(PHOTO)
    if wanted != len(photos):
        raise BadRequest(f"The keyframes ask for {wanted} photos and {len(photos)} were given.")
    if photos and not isinstance(model, Autoencoder):
        raise TaskNotOffered(
            f"{model.identity.id} cannot take photos as keyframes; use seeds, or an autoencoder."
        )
    waiting = iter(photos)
    return torch.cat(
        [encoded(model, next(waiting)) if k == PHOTO else model.latents([int(k)]) for k in request.keyframes]
    )


def encoded(model: LatentModel, photo: Photo) -> Tensor:
    assert isinstance(model, Autoencoder)
    with memory_guard():
        return model.encode(to_batch(photo))


def walk_record(model: Model, request: InterpolateRequest, photos: Sequence[Photo] = ()) -> Record:
    """The record of the whole walk."""
    return make_record(model, "interpolate", request.model_dump(), photos)
