"""CycleGAN's ResNet generator (Zhu et al. 2017, arXiv:1703.10593; Johnson et al. 2016).

Two layouts are in use: the published one with transposed convolutions, and the one of the
huggan sprint with nearest-neighbour upsampling, which shows no checkerboard (Odena et al. 2016).
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from imgsynth.architectures.layers import make_norm, norm_at, without_unused_statistics
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes

PADS = {"reflect": nn.ReflectionPad2d, "replicate": nn.ReplicationPad2d}
BLOCK = re.compile(r"model\.([0-9]{1,9})\.(?:conv_block|block)\.([0-9])\.weight")
LAYER = re.compile(r"model\.([0-9]{1,9})\.weight")


def residual_layers(width: int, norm: str, dropout: bool, bias: bool, padding: str) -> nn.Sequential:
    """Two 3×3 convolutions with norms; layers for padding and dropout shift the numbers of what follows."""

    def convolution() -> list[nn.Module]:
        conv = nn.Conv2d(width, width, 3, padding=int(padding == "zero"), bias=bias)
        pads = [] if padding == "zero" else [PADS[padding](1)]
        return [*pads, conv, make_norm(norm, width)]

    between = [nn.ReLU(inplace=True), *([nn.Dropout(0.5)] if dropout else [])]
    return nn.Sequential(*convolution(), *between, *convolution())


class ConvBlock(nn.Module):
    """Residual block under its published name; no activation after the sum."""

    def __init__(
        self,
        width: int,
        norm: str = "instance",
        dropout: bool = False,
        bias: bool = True,
        padding: str = "reflect",
    ) -> None:
        super().__init__()
        self.conv_block = residual_layers(width, norm, dropout, bias, padding)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class Block(nn.Module):
    """The same residual block as the huggan layout names it."""

    def __init__(self, width: int, norm: str, dropout: bool, bias: bool, padding: str) -> None:
        super().__init__()
        self.block = residual_layers(width, norm, dropout, bias, padding)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class ResnetGenerator(nn.Module):
    """Downsampling convolutions, residual blocks, upsampling convolutions.

    Args:
        input_channels, output_channels: image channels.
        width: channels after the first convolution (ngf).
        blocks: number of residual blocks.
        downsamplings: number of stride-2 stages on each side.
        norm: "batch", "instance" (no parameters), "affine_instance" or "none".
        dropout: whether the blocks hold a dropout layer (moves the second convolution's index).
        bias: whether inner convolutions have a bias.
        upsampling: "transposed" (published) or "nearest" (huggan).
        padding: padding of the stride-2 and upsampling convolutions, "zeros" or "reflect" (no shape tells).
        padding_type: padding in the blocks, "reflect", "replicate" (no shape tells these apart) or "zero".
    """

    def __init__(
        self,
        input_channels: int = 3,
        output_channels: int = 3,
        width: int = 64,
        blocks: int = 9,
        downsamplings: int = 2,
        norm: str = "instance",
        dropout: bool = False,
        bias: bool = True,
        upsampling: str = "transposed",
        padding: Literal["zeros", "reflect"] = "zeros",
        padding_type: str = "reflect",
    ) -> None:
        super().__init__()
        self.norm = norm
        nearest = upsampling == "nearest"
        # The huggan layout pads by the number of image channels, which is 3 only for RGB.
        border = input_channels if nearest else 3
        conv = partial(nn.Conv2d, kernel_size=3, padding=1, bias=bias, padding_mode=padding)
        normalised = partial(normalised_layers, norm)
        first = nn.Conv2d(input_channels, width, 7, bias=bias)
        layers: list[nn.Module] = [nn.ReflectionPad2d(border), *normalised(first)]
        widths = [width * 2**i for i in range(downsamplings + 1)]
        for inner, outer in pairwise(widths):
            layers += normalised(conv(inner, outer, stride=2))
        block = Block if nearest else ConvBlock
        layers += [block(widths[-1], norm, dropout, bias, padding_type) for _ in range(blocks)]
        for inner, outer in pairwise(reversed(widths)):
            if nearest:
                layers += [nn.Upsample(scale_factor=2), *normalised(conv(inner, outer))]
            else:
                layers += normalised(nn.ConvTranspose2d(inner, outer, 3, 2, 1, output_padding=1, bias=bias))
        layers += [nn.ReflectionPad2d(border), nn.Conv2d(width, output_channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W in [-1, 1], height and width multiples of 2^downsamplings → the same size, [-1, 1]."""
        return self.model(x)


def normalised_layers(norm: str, conv: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [conv, make_norm(norm, conv.out_channels), nn.ReLU(inplace=True)]


def outer_convolutions(shapes: Shapes) -> list[int]:
    """Indices of the convolutions outside the blocks."""
    matches = (LAYER.fullmatch(k) for k, shape in shapes.items() if len(shape) == 4)
    return sorted(int(m[1]) for m in matches if m)


def blocks_of(shapes: Shapes) -> dict[int, list[int]]:
    """Places of the convolutions in each residual block, by the index of the block."""
    blocks: defaultdict[int, list[int]] = defaultdict(list)
    for key, shape in shapes.items():
        if len(shape) == 4 and (m := BLOCK.fullmatch(key)):
            blocks[int(m[1])].append(int(m[2]))
    return {index: sorted(places) for index, places in sorted(blocks.items())}


def detect(shapes: Shapes) -> bool:
    first, second = shapes.get("model.1.weight", ()), shapes.get("model.4.weight", ())
    return first[2:] == (7, 7) and (second[2:] == (3, 3) or bool(blocks_of(shapes)))


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    outer, blocks = outer_convolutions(shapes), blocks_of(shapes)
    downsamplings = (len(outer) - 2) // 2
    # An upsampling layer moves the first convolution behind the blocks one place on.
    first_up = 4 + 3 * downsamplings + len(blocks)
    nearest = downsamplings > 0 and outer[downsamplings + 1] > first_up
    bias = "model.1.bias" in shapes
    return {
        "input_channels": shapes["model.1.weight"][1],
        "output_channels": shapes[f"model.{outer[-1]}.weight"][0],
        "width": shapes["model.1.weight"][0],
        "blocks": len(blocks),
        "downsamplings": downsamplings,
        "norm": norm_at(shapes, "model.2", bias, hints),
        "bias": bias,
        "upsampling": "nearest" if nearest else "transposed",
        "padding": str(hints.get("padding", "zeros")),
        **block_options(blocks, hints),
    }


def block_options(blocks: dict[int, list[int]], hints: Hints) -> Hyperparameters:
    """What the places of a block's two convolutions tell, and the published option `padding_type`."""
    first, second = next(iter(blocks.values()), [1, 5])
    if first == 0:
        return {"dropout": second == 4, "padding_type": "zero"}
    padding_type = hints.get("padding_type", "reflect")
    if padding_type not in PADS:
        raise ValueError("`padding_type` is neither reflect nor replicate")
    return {"dropout": second == 6, "padding_type": padding_type}


def margin(h: Hyperparameters) -> int:
    """The huggan layout pads its 7×7 convolutions by the number of channels, which is too little for grey."""
    return 2 * max(0, 3 - h["input_channels"]) if h["upsampling"] == "nearest" else 0


CYCLEGAN_RESNET = Architecture(
    name="cyclegan_resnet",
    title="CycleGAN ResNet generator (Zhu et al. 2017)",
    family="translator",
    build=ResnetGenerator,
    detect=detect,
    read=read,
    example={},
    canonical=without_unused_statistics,
    multiple=lambda h: 2 ** int(h["downsamplings"]),
    margin=margin,
    channels=lambda h: (h["input_channels"], h["output_channels"]),
)
