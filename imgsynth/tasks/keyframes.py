"""The latents of keyframes: what walks and blends pass through, and the pictures there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import center_crop

from imgsynth.errors import BadRequest, TaskNotOffered
from imgsynth.families import Autoencoder, Codec, LatentModel, Model
from imgsynth.families.latent import Space
from imgsynth.imaging.read import Photo
from imgsynth.runtime.device import memory_guard
from imgsynth.seeds import NoiseKind
from imgsynth.tasks.latents import Latent, read_latent, space_of
from imgsynth.tasks.pictures import to_batch, to_images
from imgsynth.tasks.requests import LATENT, PHOTO, BlendRequest, InterpolateRequest
from imgsynth.tasks.sample import latent_model

# Walks between photos are videos: larger frames would only be slower to draw and to play.
LONGEST_SIDE = 512

Keyframes = Sequence[int | str]


def keyframe_pictures(
    model: Model,
    keyframes: Keyframes,
    photos: Sequence[Photo] = (),
    psi: float = 1.0,
    label: int | None = None,
) -> list[Image.Image]:
    """The picture at every keyframe, as a walk through them shows it.

    Args:
        photos: one for every "photo" among the keyframes, in order.

    Raises:
        TaskNotOffered: the model has no latents, or cannot encode photos.
        BadRequest: photos and keyframes do not match, or a latent is of another model.
    """
    drawer = latent_model(model, "interpolate")
    latents = keyframe_latents(drawer, keyframes, photos)
    return drawn(drawer, latents, space_among(keyframes), psi, label)


def pictures_at(
    model: LatentModel, request: InterpolateRequest | BlendRequest, latents: Tensor
) -> list[Image.Image]:
    """The pictures at latents between the keyframes of a request."""
    noise = request.noise if isinstance(request, InterpolateRequest) else None
    return drawn(model, latents, space_among(request.keyframes), request.psi, request.label, noise)


def drawn(
    model: LatentModel,
    latents: Tensor,
    space: Space,
    psi: float,
    label: int | None,
    noise: NoiseKind | None = None,
) -> list[Image.Image]:
    labels = None if label is None else [label] * len(latents)
    maps = None if noise is None else model.noise([0] * len(latents), noise)
    with memory_guard():
        return to_images(model.render(latents, psi=psi, labels=labels, noise=maps, space=space))


def space_among(keyframes: Keyframes) -> Space:
    """Where keyframes meet: in w where one of them lies there, for there is no way back to z."""
    texts = [k for k in keyframes if isinstance(k, str) and k.startswith(LATENT)]
    return "w" if any(space_of(text) == "w" for text in texts) else "z"


def keyframe_latents(model: LatentModel, keyframes: Keyframes, photos: Sequence[Photo]) -> Tensor:
    """One latent for each keyframe, float32 keyframes×numbers, all in one space.

    Raises:
        TaskNotOffered: the model cannot encode photos.
        BadRequest: photos and keyframes do not match, or a latent is of another model.
    """
    wanted = keyframes.count(PHOTO)
    if wanted != len(photos):
        raise BadRequest(f"The keyframes ask for {wanted} photos and {len(photos)} were given.")
    if photos and not isinstance(model, Autoencoder):
        raise TaskNotOffered(
            f"{model.identity.id} cannot take photos as keyframes; use seeds, or an autoencoder."
        )
    encoded_photos = iter(encoded(model, photos))
    latents = [
        Latent("z", next(encoded_photos)) if k == PHOTO else keyframe_latent(model, k) for k in keyframes
    ]
    in_w = space_among(keyframes) == "w"
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
