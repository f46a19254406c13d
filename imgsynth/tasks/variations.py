"""Neighbours of a picture, at a chosen distance in latent space.

What other tools call variation seed and variation strength (the web UI of AUTOMATIC1111 among them).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from imgsynth.errors import BadRequest
from imgsynth.families import LatentModel
from imgsynth.seeds import LARGEST_SEED
from imgsynth.tasks.latents import Latent
from imgsynth.tasks.paths import Latents, lerp, slerp
from imgsynth.tasks.requests import SampleRequest, make_request

MOST_VARIATIONS = 256


def varied(model: LatentModel, latent: Latent, seed: int, amount: float) -> Latent:
    """The latent on its way to that of a seed: 0 is itself, 1 the seed's.

    In z along a great circle, which keeps the length that Gaussian latents have (White 2016,
    arXiv:1609.04468); in w, which no norm bounds, straight (Karras et al. 2019, arXiv:1812.04948).
    """
    aim = Latent("z", model.latents([seed])[0])
    if latent.space == "w":
        aim = aim.in_w(model)
    between = slerp if latent.space == "z" else lerp
    return Latent(latent.space, as_float32(between(as_float64(latent), as_float64(aim), amount)))


def as_float64(latent: Latent) -> Latents:
    return latent.values.double().numpy()


def as_float32(values: Latents) -> Tensor:
    return torch.from_numpy(values).float()


def variation_seeds(seed: int, count: int) -> list[int]:
    """`count` seeds that depend on the seed alone; fewer are the first of more."""
    drawn = np.random.RandomState(seed).randint(0, LARGEST_SEED + 1, count, dtype=np.uint32)
    return [int(number) for number in drawn]


def neighbours(start: int | SampleRequest, count: int, amount: float) -> list[SampleRequest]:
    """Requests for variations of one picture, each with a variation seed of its own.

    Args:
        start: the picture: its seed, or the request for it, whose psi, class and directions are kept.
        count: 1 … 256; fewer are the first of more.
        amount: how far from the picture, 0 … 1.

    Raises:
        BadRequest: `start` asks for several pictures or for a variation, or a number is out of range.
    """
    picture = start if isinstance(start, SampleRequest) else make_request(SampleRequest, seeds=[start])
    if not 1 <= count <= MOST_VARIATIONS:
        raise BadRequest(f"The number of variations is from 1 to {MOST_VARIATIONS}, not {count}.")
    if len(picture.seeds) > 1:
        raise BadRequest("Variations are drawn of one picture at a time; give one seed.")
    if picture.variation_amount:
        raise BadRequest("This picture is a variation itself; to vary it further, give its latent.")
    given = {name: getattr(picture, name) for name in picture.model_fields_set}
    return [
        make_request(SampleRequest, **{**given, "variation_seed": seed, "variation_amount": amount})
        for seed in variation_seeds(picture.seeds[0] if picture.seeds else 0, count)
    ]
