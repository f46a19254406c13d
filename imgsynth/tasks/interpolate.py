"""Interpolation: a walk through the latents of keyframes, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import center_crop

from imgsynth.errors import BadRequest, TaskNotOffered
from imgsynth.families import Autoencoder, Codec, LatentModel, Model
from imgsynth.families.latent import Space
from imgsynth.imaging.read import Photo
from imgsynth.imaging.record import Record
from imgsynth.runtime.device import memory_guard
from imgsynth.tasks.latents import Latent, read_latent, space_of
from imgsynth.tasks.paths import latent_at, positions
from imgsynth.tasks.pictures import make_record, to_batch, to_images
from imgsynth.tasks.requests import LATENT, PHOTO, InterpolateRequest
from imgsynth.tasks.sample import latent_model

# Walks between photos are videos: larger frames would only be slower to draw and to play.
LONGEST_SIDE = 512


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
        yield from drawn(drawer, request, chunk)


def frame(model: Model, request: InterpolateRequest, index: int, photos: Sequence[Photo] = ()) -> Image.Image:
    """One frame of a walk; the same pixels as in the whole.

    Raises:
        BadRequest: the walk has no such frame.
    """
    drawer = latent_model(model, "interpolate")
    if not 0 <= index < request.frames:
        raise BadRequest(f"This walk has frames 0 to {request.frames - 1}; there is no frame {index}.")
    walk = walk_latents(drawer, request, photos)
    return drawn(drawer, request, walk[index : index + 1])[0]


def drawn(model: LatentModel, request: InterpolateRequest, latents: Tensor) -> list[Image.Image]:
    """The frames at these latents."""
    labels = None if request.label is None else [request.label] * len(latents)
    with memory_guard():
        return to_images(model.render(latents, psi=request.psi, labels=labels, space=walk_space(request)))


def walk_latents(model: LatentModel, request: InterpolateRequest, photos: Sequence[Photo]) -> Tensor:
    """The latents of all frames, float32 frames×numbers, computed in float64.

    In w, lengths and angles are those around its mean, where the origin of z lies.
    """
    centre = model.centre(walk_space(request)).double().numpy()
    points = keyframe_latents(model, request, photos).double().numpy() - centre
    places = positions(len(points), request.frames, request.loop)
    latents = np.stack([latent_at(points, float(p), request.path, request.loop) for p in places])
    return torch.from_numpy(latents + centre).float()


def walk_space(request: InterpolateRequest) -> Space:
    """A walk passes through w where one of its keyframes lies there: there is no way back to z."""
    texts = [k for k in request.keyframes if isinstance(k, str) and k.startswith(LATENT)]
    return "w" if any(space_of(text) == "w" for text in texts) else "z"


def keyframe_latents(model: LatentModel, request: InterpolateRequest, photos: Sequence[Photo]) -> Tensor:
    wanted = request.keyframes.count(PHOTO)
    if wanted != len(photos):
        raise BadRequest(f"The keyframes ask for {wanted} photos and {len(photos)} were given.")
    if photos and not isinstance(model, Autoencoder):
        raise TaskNotOffered(
            f"{model.identity.id} cannot take photos as keyframes; use seeds, or an autoencoder."
        )
    encoded_photos = iter(encoded(model, photos))
    latents = [
        Latent("z", next(encoded_photos)) if k == PHOTO else keyframe_latent(model, k)
        for k in request.keyframes
    ]
    in_w = walk_space(request) == "w"
    return torch.stack([(latent.in_w(model) if in_w else latent).values for latent in latents])


def keyframe_latent(model: LatentModel, keyframe: int | str) -> Latent:
    """The latent of a seed, or of a text."""
    if isinstance(keyframe, str):
        return read_latent(model, keyframe)
    return Latent("z", model.latents([keyframe])[0])


def encoded(model: LatentModel, photos: Sequence[Photo]) -> list[Tensor]:
    """One latent for each photo; of one shape, whatever the photos' sizes."""
    if not photos:
        return []
    assert isinstance(model, Autoencoder)
    batches = [to_batch(photo) for photo in photos]
    if isinstance(model, Codec):
        size = frame_size(photos[0], model.multiple, model.least)
        batches = [filling(batch, size) for batch in batches]
    with memory_guard():
        return [model.encode(batch)[0] for batch in batches]


def frame_size(photo: Photo, multiple: int, least: int) -> tuple[int, int]:
    """Height and width of a walk between photos: the first one's aspect, no side above LONGEST_SIDE."""
    scale = min(1.0, LONGEST_SIDE / max(photo.height, photo.width))
    height, width = (
        max(least, round(side * scale / multiple) * multiple) for side in (photo.height, photo.width)
    )
    return height, width


def filling(batch: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of N×C×H×W at the aspect of `size`, scaled to it with antialiasing."""
    height, width = batch.shape[-2:]
    scale = min(height / size[0], width / size[1])
    tall, wide = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    middle = center_crop(batch, [tall, wide])
    return F.interpolate(middle, size=size, mode="bilinear", antialias=True).clamp(0, 1)


def walk_record(model: Model, request: InterpolateRequest, photos: Sequence[Photo] = ()) -> Record:
    """The record of the whole walk."""
    return make_record(model, "interpolate", request.model_dump(), photos)
