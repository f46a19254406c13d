"""A Laplacian pyramid for losses: cheap, of any size of picture, with a gradient everywhere."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def laplacian_bands(difference: Tensor, smallest: int = 4) -> list[Tensor]:
    """Details of each scale, finest first, then what is left: N×C×H×W, halved down to `smallest` pixels.

    The pyramid is linear, so that of a difference is the difference of two pyramids. On a band of 2ʲ-fold
    coarseness one value speaks for 2ʲ×2ʲ pixels: a wrong shade of a large shape, which a plain L1 hardly
    notices under wrong texture, is counted by itself.
    """
    bands = []
    while min(difference.shape[-2:]) >= 2 * smallest:
        coarse = F.avg_pool2d(difference, 2)
        size = difference.shape[-2:]
        bands.append(difference - F.interpolate(coarse, size=size, mode="bilinear", align_corners=False))
        difference = coarse
    return [*bands, difference]
