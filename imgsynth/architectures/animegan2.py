"""AnimeGANv2 generator (Chen et al. 2020, "AnimeGAN: a novel lightweight GAN for photo animation").

Inverted residual blocks (Sandler et al. 2018, arXiv:1801.04381) between two plain ends, all with layer norm;
the layout is that of the PyTorch port.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes

SLOPE = 0.2


def layer_norm(channels: int) -> nn.Module:
    """Over channels, height and width together: a group norm of one group."""
    return nn.GroupNorm(1, channels)


def conv(inner: int, outer: int, kernel: int = 3, stride: int = 1, depthwise: bool = False) -> nn.Sequential:
    """Convolution, norm, activation; only the depthwise ones have a bias."""
    side = kernel // 2
    # A stride-2 convolution mirrors the far borders only.
    padding = (side,) * 4 if stride == 1 else (0, side, 0, side)
    groups = inner if depthwise else 1
    return nn.Sequential(
        nn.ReflectionPad2d(padding),
        nn.Conv2d(inner, outer, kernel, stride, groups=groups, bias=depthwise),
        layer_norm(outer),
        nn.LeakyReLU(SLOPE, inplace=True),
    )


class InvertedResidual(nn.Module):
    """Widens (unless `expansion` is None), convolves each channel by itself, narrows without activation."""

    def __init__(self, inner: int, outer: int, expansion: int | None) -> None:
        super().__init__()
        width = expansion or inner
        layers = [conv(inner, expansion, 1)] if expansion else []
        layers.append(conv(width, width, depthwise=True))
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, outer, 1, bias=False), layer_norm(outer))
        self.residual = inner == outer

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class AnimeGenerator(nn.Module):
    """Plain convolutions down to a quarter, inverted residual blocks, plain convolutions up.

    Args:
        widths: channels at full, half and quarter size, and between the inverted residual blocks.
        expansions: channels that each inverted residual block widens to; None where it does not.
        input_channels, output_channels: image channels.
        align_corners: how the bilinear upsampling places its samples (no shape tells).
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 256),
        expansions: Sequence[int | None] = (256, 512, 512, 512),
        input_channels: int = 3,
        output_channels: int = 3,
        align_corners: bool = True,
    ) -> None:
        super().__init__()
        full, half, quarter, deepest = widths
        self.block_a = nn.Sequential(
            conv(input_channels, full, 7), conv(full, half, stride=2), conv(half, half)
        )
        self.block_b = nn.Sequential(conv(half, quarter, stride=2), conv(quarter, quarter))
        ends = pairwise([quarter] + [deepest] * len(expansions))
        blocks = (InvertedResidual(*end, width) for end, width in zip(ends, expansions, strict=True))
        self.block_c = nn.Sequential(conv(quarter, quarter), *blocks, conv(deepest, quarter))
        self.block_d = nn.Sequential(conv(quarter, quarter), conv(quarter, quarter))
        self.block_e = nn.Sequential(conv(quarter, half), conv(half, half), conv(half, full, 7))
        self.out_layer = nn.Sequential(nn.Conv2d(full, output_channels, 1, bias=False), nn.Tanh())
        self.align_corners = align_corners

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W in [-1, 1], 8 pixels or more on each side → [-1, 1].

        The picture keeps its size, whatever it is; without `align_corners`, only multiples of 4 do.
        """
        half = self.block_a(x)
        quarter = self.block_c(self.block_b(half))
        half = self.block_d(self.upsampled(quarter, half))
        return self.out_layer(self.block_e(self.upsampled(half, x)))

    def upsampled(self, small: Tensor, large: Tensor) -> Tensor:
        """`small` at the size of `large`, or at twice its own: the two published ways."""
        if self.align_corners:
            return F.interpolate(small, large.shape[-2:], mode="bilinear", align_corners=True)
        return F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)


def block_indices(shapes: Shapes) -> list[int]:
    """Places of the inverted residual blocks in `block_c`."""
    matches = (re.match(r"block_c\.([0-9]{1,9})\.layers\.0\.1\.weight", k) for k in shapes)
    return sorted(int(m[1]) for m in matches if m)


def expansion_of(shapes: Shapes, index: int) -> int | None:
    """Output channels of the pointwise convolution that a block starts with, if it does."""
    first = shapes[f"block_c.{index}.layers.0.1.weight"]
    return first[0] if first[2:] == (1, 1) else None


def detect(shapes: Shapes) -> bool:
    needed = ("block_a.0.1.weight", "block_e.2.1.weight", "out_layer.0.weight")
    return all(len(shapes.get(k, ())) == 4 for k in needed)


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    align_corners = hints.get("align_corners", True)
    if not isinstance(align_corners, bool):
        raise ValueError("`align_corners` is neither true nor false")
    indices = block_indices(shapes)
    firsts = [shapes[f"block_{name}.0.1.weight"] for name in "abc"]
    full, half, quarter = firsts[0][0], firsts[1][1], firsts[2][0]
    return {
        "widths": [full, half, quarter, shapes[f"block_c.{len(indices) + 1}.1.weight"][1]],
        "expansions": [expansion_of(shapes, i) for i in indices],
        "input_channels": firsts[0][1],
        "output_channels": shapes["out_layer.0.weight"][0],
        "align_corners": align_corners,
    }


ANIMEGAN2 = Architecture(
    name="animegan2",
    title="AnimeGANv2 generator (Chen et al. 2020)",
    family="translator",
    build=AnimeGenerator,
    detect=detect,
    read=read,
    example={},
    multiple=lambda _: 4,
    least=lambda _: 8,
    channels=lambda h: (h["input_channels"], h["output_channels"]),
)
