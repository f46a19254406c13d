"""Picture → picture of the same size, in another style."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from imgsynth.families.model import Model


class Translator(Model):
    """A network that repaints photos."""

    offers = ("translate",)

    @torch.inference_mode()
    def translate(self, photos: Tensor) -> Tensor:
        """float32 N×3×H×W in [0, 1], any height and width → the same shape, [0, 1]."""
        height, width = photos.shape[-2:]
        margin = self.architecture.margin(self.opened.hyperparameters)
        padded = self.padded(F.pad(photos, (margin,) * 4, "replicate"))
        with self.running():
            native = self.network(self.from_unit(padded))
        return self.to_unit(native)[..., :height, :width]
