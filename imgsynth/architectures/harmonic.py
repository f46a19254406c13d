"""Harmonic interpolation: a hole takes the smoothest continuation of what surrounds it, as a soap film would.

Every pixel of the hole becomes the mean of its four neighbours (Laplace's equation). Solved from coarse to
fine: what is known of a coarser picture is the mean of its known pixels, its solution is where the finer one
starts, and a few relaxations then do what is left (as in the multigrid methods of Brandt 1977).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

RELAXATIONS = 8


def harmonic_fill(image: Tensor, mask: Tensor) -> Tensor:
    """The image with its holes filled, in the type that it came in; what is known stays as it is.

    Args:
        image: N×C×H×W; what it has in the hole is not looked at.
        mask: N×1×H×W, 1 = hole. A picture that is hole throughout becomes 0.
    """
    hole = mask > 0.5
    solved = solve(image.float().masked_fill(hole, 0.0), hole)
    return torch.where(hole, solved.to(image.dtype), image)


def solve(image: Tensor, hole: Tensor) -> Tensor:
    """float32 N×C×H×W, 0 in its bool N×1×H×W hole → filled."""
    height, width = image.shape[-2:]
    if max(height, width) == 1:
        return image
    odd = (0, width % 2, 0, height % 2)
    known = F.pad((~hole).float(), odd)  # the padding is hole
    share = F.avg_pool2d(known, 2)
    means = F.avg_pool2d(F.pad(image, odd), 2) / share.clamp_min(1 / 8)
    coarse = solve(means, share == 0)
    start = F.interpolate(coarse, scale_factor=2, mode="bilinear")[..., :height, :width]
    filled = torch.where(hole, start, image)
    for _ in range(RELAXATIONS):
        filled = torch.where(hole, neighbours(filled), filled)
    return filled


def neighbours(x: Tensor) -> Tensor:
    """The mean of each pixel's four neighbours; beyond the border the border itself goes on."""
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    rows, columns = padded[..., 1:-1], padded[..., 1:-1, :]
    return (rows[..., :-2, :] + rows[..., 2:, :] + columns[..., :-2] + columns[..., 2:]) / 4
