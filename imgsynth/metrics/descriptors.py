"""A feature space that needs no network: the layout of a picture, and where it has how much detail.

Two pictures are near each other when their colours lie in the same places (the picture at 16 pixels) and
each band of their Laplacian pyramids is as strong in the same places (on a grid of 8×8 cells). It knows
nothing of what is shown, so figures in it compare only with others in it, above all with those that real
pictures get; they are not those of papers, which use Inception or VGG features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from imgsynth.metrics.pyramid import level_sides, pyramid_level

LAYOUT, CELLS = 16, 8


def blocks(pictures: Tensor) -> list[Tensor]:
    """uint8 N×C×S×S → the layout N×(C·16²), then for each band its strengths N×(C·8²)."""
    levels = [pyramid_level(pictures, i) for i in range(len(level_sides(pictures.shape[-1])))]
    layout = F.adaptive_avg_pool2d(levels[-1], LAYOUT)
    strengths = [F.adaptive_avg_pool2d(band.square(), CELLS).sqrt() for band in levels[:-1]]
    return [block.flatten(1) for block in (layout, *strengths)]


def descriptors(reference: Tensor, *others: Tensor) -> list[Tensor]:
    """Features of all sets, in which every block of the reference varies equally much.

    Args:
        reference, others: uint8 N×C×S×S, the same S.

    Returns:
        float32 N×D for the reference and each of `others`.
    """
    own = blocks(reference)
    scales = [block.var(0).sum().sqrt().clamp(min=1e-6) for block in own]

    def joined(found: list[Tensor]) -> Tensor:
        return torch.cat([block / scale for block, scale in zip(found, scales, strict=True)], 1)

    return [joined(own), *(joined(blocks(pictures)) for pictures in others)]
