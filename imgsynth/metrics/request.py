"""The numbers of a measurement and their limits."""

from __future__ import annotations

from pydantic import Field

from imgsynth.metrics.pyramid import SMALLEST
from imgsynth.seeds import LARGEST_SEED
from imgsynth.tasks.requests import Label, Psi, Request

# Fewer pictures tell nothing about a set.
LEAST_PICTURES = 8


class ScoreRequest(Request):
    """What `score` is told in numbers."""

    count: int = Field(default=200, ge=LEAST_PICTURES, le=4096, description="Pictures of a draw.")
    draws: int = Field(default=5, ge=1, le=100, description="How often sets of pictures are drawn.")
    size: int = Field(default=64, ge=SMALLEST, le=512, description="Side to which sets are scaled.")
    photo_size: int = Field(
        default=256, ge=32, le=1024, description="Side of photos that are rebuilt, repainted or filled."
    )
    holdout: float = Field(
        default=0.1, gt=0, lt=1, description="Part of the images, last by name, that training left out."
    )
    all: bool = Field(default=False, description="Measure on every image, not only on the held-back part.")
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED, description="Where all randomness starts.")
    psi: Psi = 1.0
    label: Label = None
