"""Tiny generators whose latents are more than a plain z: with a mapping network, noise maps, classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from builders import model_of, randomised
from imgsynth.architectures.r3gan import R3GANGenerator
from imgsynth.architectures.stylegan1 import StyleGAN1Generator
from imgsynth.families import LatentModel
from imgsynth.tasks.pictures import Picture

STYLEGAN1: dict[str, Any] = {"z_dim": 5, "w_dim": 6, "mapping_layers": 2, "widths": [6, 5, 4], "channels": 3}
R3GAN: dict[str, Any] = {
    "latent_dim": 5,
    "widths": [8, 8, 8],
    "expanded": [8, 8, 8],
    "cardinalities": [2, 2, 2],
    "blocks": [1, 1, 1],
    "classes": 3,
    "embedding_dim": 4,
}


def styled(seed: int = 2) -> LatentModel:
    """16 px from w of 6 numbers, with noise maps and a mean of w that is not 0."""
    model = model_of(randomised(StyleGAN1Generator(**STYLEGAN1), seed), name="styled")
    assert isinstance(model, LatentModel)
    return model


def classed(seed: int = 2) -> LatentModel:
    """16 px from z of 5 numbers and one of three classes, which is embedded before z is looked at."""
    model = model_of(randomised(R3GANGenerator(**R3GAN), seed), name="classed")
    assert isinstance(model, LatentModel)
    return model


def shown(pictures: Any) -> list[np.ndarray]:
    """The pixels of pictures."""
    return [np.asarray(p.image if isinstance(p, Picture) else p) for p in pictures]
