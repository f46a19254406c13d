"""Two-dimensional blends: four keyframes in the corners of a sheet, and every mixture of them between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from imgsynth.families import LatentModel, Model
from imgsynth.families.tiling import Progress
from imgsynth.imaging.grid import check_sheet, make_grid
from imgsynth.imaging.read import Photo
from imgsynth.tasks.keyframes import keyframe_latents, pictures_at, space_among
from imgsynth.tasks.paths import Latents, lerp, slerp
from imgsynth.tasks.pictures import Picture, make_record
from imgsynth.tasks.requests import BlendRequest
from imgsynth.tasks.sample import latent_model


def blend(
    model: Model, request: BlendRequest, photos: Sequence[Photo] = (), report: Progress | None = None
) -> Picture:
    """The sheet of a blend, RGB, with two white pixels between its pictures.

    Args:
        photos: one for every "photo" among the keyframes, in order.
        report: told after each batch how many pictures are drawn, and of how many.

    Raises:
        TaskNotOffered: the model has no latents, or cannot encode photos.
        BadRequest: photos and keyframes do not match, a latent is of another model, or the sheet
            would be too large.
    """
    drawer = latent_model(model, "interpolate")
    latents, images = blend_latents(drawer, request, photos), []
    for chunk in latents.split(drawer.batch):
        images += pictures_at(drawer, request, chunk)
        check_sheet(len(latents), images[0].size, "columns or rows")
        if report is not None:
            report(len(images), len(latents))
    record = make_record(model, "blend", request.model_dump(), photos)
    return Picture(make_grid(images, request.columns), record, "blend")


def blend_latents(model: LatentModel, request: BlendRequest, photos: Sequence[Photo]) -> Tensor:
    """The latents of a sheet, row by row, float32 pictures×numbers, computed in float64.

    With "lerp" they are bilinear; with "slerp" each row is a great circle between two points of the
    great circles that the left and the right edge are (slerp of slerps), so that Gaussian latents keep
    their length. In w, lengths and angles are those around its mean, where the origin of z lies.
    """
    between = slerp if request.path == "slerp" else lerp
    centre = model.centre(space_among(request.keyframes)).double().numpy()
    corners: Latents = keyframe_latents(model, request.keyframes, photos).double().numpy() - centre
    top_left, top_right, bottom_left, bottom_right = corners
    across = np.linspace(0, 1, request.columns).tolist()
    rows = [
        between(between(top_left, bottom_left, v), between(top_right, bottom_right, v), u)
        for v in np.linspace(0, 1, request.rows).tolist()
        for u in across
    ]
    return torch.from_numpy(np.stack(rows) + centre).float()
