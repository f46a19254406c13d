"""The numbers of a training run and their limits; apart, since tasks take a while to load."""

from __future__ import annotations

from pydantic import Field, model_validator

from imgsynth.errors import BadRequest
from imgsynth.seeds import LARGEST_SEED
from imgsynth.tasks.requests import Request


class TrainRequest(Request):
    """What `train` is told in numbers; None leaves the recipe's own default."""

    minutes: float | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    size: int | None = Field(default=None, ge=16, le=1024)
    width: int | None = Field(default=None, ge=1, le=1024)
    batch: int | None = Field(default=None, ge=1, le=4096)
    holdout: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def one_length(self) -> TrainRequest:
        if self.minutes is not None and self.steps is not None:
            raise BadRequest("A run is counted in minutes or in steps; give --minutes or --steps, not both.")
        return self
