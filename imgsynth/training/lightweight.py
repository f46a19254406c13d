"""The lightweight GAN's discriminator, which also rebuilds what it sees (Liu et al. 2021, arXiv:2101.04775).

To rebuild a picture its features must keep all of it, not only what happens to tell real from fake; that
is what lets it learn from a hundred pictures. Smaller than the published one: it judges one size instead of
two, and errors are measured on a Laplacian pyramid, where the paper takes another network's features.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.training.discriminators import SLOPE, compared, normalised
from imgsynth.training.losses import Norm
from imgsynth.training.reconstruction import multi_scale_l1

INNER_SIDE = 8
REBUILT_SIDE = 64  # at most: finer detail than this is not asked of a vector


class HalvingBlock(nn.Module):
    """Two convolutions beside an averaged 1×1 convolution; the mean of both halves the size."""

    def __init__(self, inner: int, outer: int, norm: Norm) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *activated(nn.Conv2d(inner, outer, 4, 2, 1), norm),
            *activated(nn.Conv2d(outer, outer, 3, padding=1), norm),
        )
        self.direct = nn.Sequential(nn.AvgPool2d(2), *activated(nn.Conv2d(inner, outer, 1), norm))

    def forward(self, x: Tensor) -> Tensor:
        return (self.main(x) + self.direct(x)) / 2


def activated(conv: nn.Conv2d, norm: Norm) -> list[nn.Module]:
    return [normalised(conv, norm), nn.LeakyReLU(SLOPE)]


class Rebuilder(nn.Sequential):
    """Features → a picture in [-1, 1], each stage twice the size."""

    def __init__(self, inner: int, doublings: int, width: int, channels: int) -> None:
        widths = [inner, *(max(width, inner >> i) for i in range(1, doublings + 1))]
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(widths):
            conv = nn.Conv2d(narrow, 2 * wide, 3, padding=1, bias=False)
            norm = nn.BatchNorm2d(2 * wide, track_running_stats=False)
            layers += [nn.Upsample(scale_factor=2), conv, norm, nn.GLU(1)]
        super().__init__(*layers, nn.Conv2d(widths[-1], channels, 3, padding=1), nn.Tanh())


class LightweightDiscriminator(nn.Module):
    """Scores pictures, and rebuilds reals from its features of 8×8 and 16×16.

    Args:
        widths: channels at S/2, S/4, … 8 pixels a side; two or more.
        channels: image channels.
        norm: of all convolutions that score.
        compares: whether a map before the last layers shows a lack of variety.
    """

    def __init__(
        self, widths: Sequence[int], channels: int = 3, norm: Norm = "spectral", compares: bool = True
    ) -> None:
        super().__init__()
        side = INNER_SIDE * 2 ** len(widths)
        self.stem = nn.Sequential(*activated(nn.Conv2d(channels, widths[0], 4, 2, 1), norm))
        self.blocks = nn.ModuleList(HalvingBlock(inner, outer, norm) for inner, outer in pairwise(widths))
        last = widths[-1]
        self.score = nn.Sequential(
            *activated(nn.Conv2d(last + compares, last, 1), norm),
            normalised(nn.Conv2d(last, 1, 4), "spectral" if norm == "spectral" else "none"),
        )
        doublings = min(REBUILT_SIDE, side).bit_length() - INNER_SIDE.bit_length()
        self.rebuild_whole = Rebuilder(last, doublings, widths[0], channels)
        self.rebuild_part = Rebuilder(widths[-2], doublings, widths[0], channels)
        self.compares = compares

    def features(self, x: Tensor) -> list[Tensor]:
        """Of every stage, finest first."""
        found = [self.stem(x)]
        for block in self.blocks:
            found.append(block(found[-1]))
        return found

    def forward(self, x: Tensor) -> Tensor:
        """N×C×S×S in [-1, 1] → N scores, each the mean over overlapping parts."""
        return self.score(compared(self.features(x)[-1], self.compares)).mean((1, 2, 3))

    def reconstruction_loss(self, real: Tensor) -> Tensor:
        """How badly it rebuilds reals: all of each from its last features, a quarter from those before."""
        *_, middle, last = self.features(real)
        top, left = (int(torch.randint(INNER_SIDE + 1, ())) for _ in range(2))
        seen = middle[..., top : top + INNER_SIDE, left : left + INNER_SIDE]
        scale = real.shape[-1] // middle.shape[-1]
        y, x, side = top * scale, left * scale, INNER_SIDE * scale
        quarter = real[..., y : y + side, x : x + side]
        return rebuilding_error(self.rebuild_whole(last), real) + rebuilding_error(
            self.rebuild_part(seen), quarter
        )


def rebuilding_error(rebuilt: Tensor, picture: Tensor) -> Tensor:
    """Multi-scale L1 at the size of what was rebuilt."""
    return multi_scale_l1(rebuilt.float(), F.adaptive_avg_pool2d(picture, rebuilt.shape[-1]))
