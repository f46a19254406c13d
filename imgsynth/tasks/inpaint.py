"""Masked inpainting: only the hole changes."""

from __future__ import annotations

import numpy as np
import torch

from imgsynth.errors import BadMask
from imgsynth.families import Inpainter, Model, require_task
from imgsynth.imaging.masks import check_mask, feather_weights, grow_mask, mask_sha256
from imgsynth.imaging.read import Photo
from imgsynth.runtime.device import memory_guard
from imgsynth.tasks.pictures import Picture, make_record, to_batch, to_pixels
from imgsynth.tasks.requests import InpaintRequest
from imgsynth.tasks.translate import check_size, with_alpha


def inpaint(model: Model, request: InpaintRequest, photo: Photo, mask: np.ndarray) -> Picture:
    """The photo with its hole filled; every pixel outside the grown and feathered hole is the photo's own.

    Args:
        mask: bool H×W, True = hole.

    Raises:
        TaskNotOffered: the model does not inpaint.
        BadMask: the mask is empty, covers everything or has another size than the photo.
        BadRequest: the photo is too large.
    """
    require_task(model, "inpaint")
    assert isinstance(model, Inpainter)
    check_size(photo)
    if mask.shape != photo.pixels.shape[:2]:
        raise BadMask(
            f"The mask is {mask.shape[1]}×{mask.shape[0]} and the photo {photo.width}×{photo.height} pixels."
        )
    weights = fill_weights(request, mask)
    hole = weights > 0
    with memory_guard():
        predicted = to_pixels(model.inpaint(to_batch(photo), torch.from_numpy(hole)[None, None].float()))[0]
    pixels = composite(photo.pixels, predicted, weights)
    record = make_record(model, "inpaint", request.model_dump(), [photo], mask_sha256(hole))
    return Picture(with_alpha(pixels, photo), record, photo.name, photo.icc)


def fill_weights(request: InpaintRequest, mask: np.ndarray) -> np.ndarray:
    """How much of the fill each pixel takes, float32 H×W; where it is above 0 is the final hole.

    Raises:
        BadMask: the mask is empty, or covers everything once it is grown and feathered.
    """
    check_mask(mask)
    weights = feather_weights(grow_mask(mask, request.grow), request.feather)
    check_mask(weights > 0)
    return weights


def composite(photo: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """uint8 H×W×3: the prediction at weight 1, the photo's own bytes at weight 0, a blend between."""
    w = weights[..., None]
    blend = np.rint(photo + (predicted.astype(np.float32) - photo) * w).astype(np.uint8)
    return np.where(w == 0, photo, np.where(w == 1, predicted, blend))
