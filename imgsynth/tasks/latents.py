"""A latent as a value: found from a photo or kept from a sample, and as text in requests and records."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from imgsynth.errors import BadRequest
from imgsynth.families import LatentModel
from imgsynth.families.latent import Space
from imgsynth.tasks.requests import LATENT

NUMBER = np.dtype("<f4")  # little-endian float32, whatever the machine


@dataclass(frozen=True, eq=False)
class Latent:
    """A point of a model's latent space.

    Attributes:
        space: "z", where latents are drawn, or "w", behind a mapping network and before truncation.
        values: float32, of the shape that the model's latents have there, on the CPU.
    """

    space: Space
    values: Tensor

    @property
    def text(self) -> str:
        """`latent:SPACE:NUMBERS`, the numbers as base64 of little-endian float32: every bit is kept."""
        numbers = self.values.numpy().astype(NUMBER).tobytes()
        return f"{LATENT}{self.space}:{b64encode(numbers).decode('ascii')}"

    def in_w(self, model: LatentModel) -> Latent:
        """The same point in w."""
        return self if self.space == "w" else Latent("w", model.styles(self.values[None])[0])


def space_of(text: str) -> Space:
    """The space that a latent's text names."""
    return "w" if text.startswith(f"{LATENT}w:") else "z"


def read_latent(model: LatentModel, text: str) -> Latent:
    """The latent that a text stands for, as one of this model.

    Raises:
        BadRequest: it is damaged, or belongs to another model.
    """
    space = space_of(text)
    try:
        numbers = np.frombuffer(b64decode(text.rpartition(":")[2], validate=True), NUMBER)
    except ValueError as error:  # no base64, or not four bytes a number
        raise BadRequest("This latent is damaged; copy it again, as a whole.") from error
    values = torch.from_numpy(numbers.astype(np.float32))
    shape = model.shape_in(space)
    if values.numel() != np.prod(shape):
        raise BadRequest(
            f"This latent has {values.numel()} numbers and {model.identity.id} takes {np.prod(shape)}; "
            "use the model that it was found with."
        )
    if not values.isfinite().all():
        raise BadRequest("This latent holds values that are no numbers; find it again.")
    return Latent(space, values.reshape(shape))
