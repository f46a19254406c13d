"""Laplacian pyramid (Burt & Adelson 1983): a picture as details, band by band, and a small remainder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Below this side a level holds nothing that a patch of seven pixels could tell.
SMALLEST = 16
# Few enough pictures at a time to stay in the processor's cache.
BATCH = 32


def level_sides(side: int) -> list[int]:
    """Sides of the levels of a square picture, halved while they stay whole and at least 16 pixels."""
    sides = [side]
    while sides[-1] % 2 == 0 and sides[-1] // 2 >= SMALLEST:
        sides.append(sides[-1] // 2)
    return sides


def pyramid_level(pictures: Tensor, level: int) -> Tensor:
    """One level of the Laplacian pyramid of pictures: a band of details or, for the last, the remainder.

    Args:
        pictures: uint8 or float N×C×S×S, S at least 16.
        level: index into `level_sides(S)`.

    Returns:
        float32 N×C×side×side.
    """
    return torch.cat([level_of(batch.float(), level) for batch in pictures.split(BATCH)])


def level_of(pictures: Tensor, level: int) -> Tensor:
    last = len(level_sides(pictures.shape[-1])) - 1
    for _ in range(level):
        pictures = halved(pictures)
    return pictures if level == last else pictures - doubled(halved(pictures))


def halved(x: Tensor) -> Tensor:
    return blurred(x)[..., ::2, ::2]


def doubled(x: Tensor) -> Tensor:
    """Twice the height and width: zeros between the pixels, then blurred."""
    n, channels, height, width = x.shape
    spread = x.new_zeros(n, channels, 2 * height, 2 * width)
    spread[..., ::2, ::2] = x
    return blurred(spread) * 4


def blurred(x: Tensor) -> Tensor:
    """N×C×H×W through the binomial filter 1 4 6 4 1 both ways; borders are mirrored."""
    return blurred_along(blurred_along(F.pad(x, (2, 2, 2, 2), "reflect"), 3), 2)


def blurred_along(x: Tensor, dim: int) -> Tensor:
    # As sums of shifted pictures: a CPU takes three times as long for a convolution of one channel.
    a, b, c, d, e = (x.narrow(dim, shift, x.shape[dim] - 4) for shift in range(5))
    return (a + e) / 16 + (b + d) / 4 + c * (6 / 16)
