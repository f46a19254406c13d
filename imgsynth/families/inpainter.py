"""Picture and hole → picture with the hole filled."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from imgsynth.families.model import Model


class Inpainter(Model):
    """A network that fills holes."""

    offers = ("inpaint",)

    @torch.inference_mode()
    def inpaint(self, photos: Tensor, masks: Tensor) -> Tensor:
        """The prediction for the whole picture; compositing is the caller's.

        Args:
            photos: float32 N×3×H×W in [0, 1], any height and width.
            masks: float32 N×1×H×W, 1 = hole.
        """
        scale = self.scale_for(masks)
        if scale == 1:
            return self._predict(photos, masks)
        size = [max(1, round(side * scale)) for side in photos.shape[-2:]]
        small = F.interpolate(photos, size=size, mode="bilinear", antialias=True).clamp(0, 1)
        # Whatever the hole touches is hole: what should go must not bleed into what is known.
        holes = (F.interpolate(masks, size=size, mode="bilinear", antialias=True) > 0).float()
        predicted = self._predict(small, holes)
        return F.interpolate(predicted, size=photos.shape[-2:], mode="bicubic").clamp(0, 1)

    def scale_for(self, masks: Tensor) -> float:
        """The scale at which the widest part of a hole is no wider than what the network learnt to fill.

        A small network cannot reach across a wide hole; seen from further away, it can. Files that do not
        tell their reach (hint `hole_reach`, pixels) run at full size.
        """
        reach = self.opened.hints.get("hole_reach")
        if not isinstance(reach, int | float) or reach < 1:
            return 1.0
        widest = max(widest_square(mask[0].bool().numpy()) for mask in masks)
        return min(1.0, reach / max(1, widest))

    def _predict(self, photos: Tensor, masks: Tensor) -> Tensor:
        if self.image_size is not None:
            return self._predict_square(photos, masks, self.image_size)
        return self._predict_whole(photos, masks)

    def _predict_square(self, photos: Tensor, masks: Tensor, side: int) -> Tensor:
        """For a network of one size: the photo scaled into its square, the rest repeated borders."""
        height, width = photos.shape[-2:]
        scale = side / max(height, width)
        size = [max(1, round(height * scale)), max(1, round(width * scale))]
        small = F.interpolate(photos, size=size, mode="bilinear", antialias=True).clamp(0, 1)
        holes = (F.interpolate(masks, size=size, mode="bilinear", antialias=True) > 0).float()
        padding = (0, side - size[1], 0, side - size[0])
        predicted = self._predict_whole(F.pad(small, padding, "replicate"), F.pad(holes, padding))
        predicted = predicted[..., : size[0], : size[1]]
        return F.interpolate(predicted, size=(height, width), mode="bicubic").clamp(0, 1)

    def _predict_whole(self, photos: Tensor, masks: Tensor) -> Tensor:
        height, width = photos.shape[-2:]
        image = self.from_unit(self.padded(photos))
        mask = self.padded(masks).to(self.device)
        assert self.architecture.assemble is not None
        with self.running():
            native = self.network(self.architecture.assemble(image, mask))
        return self.to_unit(native)[..., :height, :width]


def widest_square(hole: np.ndarray) -> int:
    """Side of the largest square inside the hole of a bool H×W mask, by halving on an integral image."""
    integral = np.pad(hole.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    fits, too_large = 0, min(hole.shape) + 1
    while too_large - fits > 1:
        k = (fits + too_large) // 2
        sums = integral[k:, k:] - integral[:-k, k:] - integral[k:, :-k] + integral[:-k, :-k]
        fits, too_large = (k, too_large) if (sums == k * k).any() else (fits, k)
    return fits
