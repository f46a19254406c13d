"""Picture and hole → picture with the hole filled."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from imgsynth.families.model import Model
from imgsynth.imaging.regions import widest_square

# What a network of one size sees at least, as a multiple of the hole's height and width.
SURROUNDINGS = 1.5


class Inpainter(Model):
    """A network that fills holes."""

    offers = ("inpaint",)

    @torch.inference_mode()
    def inpaint(self, photos: Tensor, masks: Tensor, most: int | None = None) -> Tensor:
        """The prediction for the whole picture; compositing is the caller's.

        Args:
            photos: float32 N×3×H×W in [0, 1], any height and width.
            masks: float32 N×1×H×W, 1 = hole.
            most: pixels that the network sees at once: larger photos are scaled down to that; None: as many
                as there are.
        """
        largest = scale_within(photos, most)
        # One at a time: how a photo is filled depends on its own hole, not on its company's.
        pairs = zip(photos.split(1), masks.split(1), strict=True)
        return torch.cat([self._predict(p, mask, min(largest, self.scale_for(mask))) for p, mask in pairs])

    def scale_for(self, masks: Tensor) -> float:
        """The scale at which the widest part of a hole is no wider than what the network learnt to fill.

        A small network cannot reach across a wide hole; seen from further away, it can. Files that do not
        tell their reach (hint `hole_reach`, pixels) run at full size.
        """
        reach = self.opened.hints.get("hole_reach")
        if not isinstance(reach, int | float) or reach < 1:
            return 1.0
        return min(1.0, reach / max(1, *(widest_square(mask[0].bool().numpy()) for mask in masks)))

    def _predict(self, photo: Tensor, mask: Tensor, scale: float) -> Tensor:
        if self.image_size is not None:
            return self._predict_square(photo, mask, self.image_size)
        return self._predict_scaled(photo, mask, scale) if scale < 1 else self._predict_whole(photo, mask)

    def _predict_square(self, photo: Tensor, mask: Tensor, side: int) -> Tensor:
        """For a network of one size: what lies around the hole, scaled only where it does not fit."""
        filled = photo.clone()
        rows, columns = surroundings(mask, side)
        near, hole = photo[..., rows, columns], mask[..., rows, columns]
        filled[..., rows, columns] = self._predict_scaled(near, hole, side / max(near.shape[-2:]))
        return filled

    def _predict_scaled(self, photo: Tensor, mask: Tensor, scale: float) -> Tensor:
        size = [max(1, round(side * scale)) for side in photo.shape[-2:]]
        small = F.interpolate(photo, size=size, mode="bilinear", antialias=True).clamp(0, 1)
        # Whatever the hole touches is hole: what should go must not bleed into what is known.
        hole = (F.interpolate(mask, size=size, mode="bilinear", antialias=True) > 0).float()
        predicted = self._predict_whole(small, hole)
        return F.interpolate(predicted, size=photo.shape[-2:], mode="bicubic", antialias=True).clamp(0, 1)

    def _predict_whole(self, photo: Tensor, mask: Tensor) -> Tensor:
        height, width = photo.shape[-2:]
        image = self.from_unit(self.padded(photo))
        hole = self.padded(mask).to(self.device)
        assert self.architecture.assemble is not None
        with self.running():
            native = self.network(self.architecture.assemble(image, hole))
        return self.to_unit(native)[..., :height, :width]


def scale_within(photos: Tensor, most: int | None) -> float:
    """The scale at which N×C×H×W has at most `most` pixels a picture."""
    return 1.0 if most is None else min(1.0, math.sqrt(most / math.prod(photos.shape[-2:])))


def surroundings(mask: Tensor, side: int) -> tuple[slice, slice]:
    """Rows and columns of a square around the hole of a 1×1×H×W mask, as far as the picture goes.

    It is `side` wide, or wider where a hole would leave too little of that to see what belongs in it.
    """
    spans = [mask.amax((0, 1, dim)).nonzero().flatten().tolist() or [0] for dim in (3, 2)]
    side = max(side, *(round(SURROUNDINGS * (span[-1] + 1 - span[0])) for span in spans))
    ends = zip(spans, mask.shape[-2:], strict=True)
    starts = [max(0, min((span[0] + span[-1] + 1 - side) // 2, length - side)) for span, length in ends]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)
