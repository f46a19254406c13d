"""Informative Drawings: line art from photos (Chan et al. 2022, arXiv:2203.12691).

CycleGAN's generator with its own names, trained on photos and drawings in [0, 1].
"""

from __future__ import annotations

import re

from torch import Tensor, nn

from imgsynth.architectures.cyclegan_resnet import ConvBlock
from imgsynth.architectures.ranges import UNIT
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes


def normalised(conv: nn.Module, width: int) -> list[nn.Module]:
    return [conv, nn.InstanceNorm2d(width), nn.ReLU(inplace=True)]


class DrawingGenerator(nn.Module):
    """Two stride-2 convolutions, residual blocks, two transposed convolutions.

    Args:
        input_channels, output_channels: image channels.
        width: channels after the first convolution.
        blocks: number of residual blocks (`n_residual_blocks`).
        sigmoid: whether a sigmoid bounds the drawing (no shape tells).
    """

    def __init__(
        self,
        input_channels: int = 3,
        output_channels: int = 1,
        width: int = 64,
        blocks: int = 3,
        sigmoid: bool = True,
    ) -> None:
        super().__init__()
        first = nn.Conv2d(input_channels, width, 7)
        self.model0 = nn.Sequential(nn.ReflectionPad2d(3), *normalised(first, width))
        self.model1, self.model3 = nn.Sequential(), nn.Sequential()
        for inner in (width, 2 * width):
            self.model1.extend(normalised(nn.Conv2d(inner, 2 * inner, 3, 2, 1), 2 * inner))
        self.model2 = nn.Sequential(*(ConvBlock(4 * width) for _ in range(blocks)))
        for outer in (2 * width, width):
            up = nn.ConvTranspose2d(2 * outer, outer, 3, 2, 1, output_padding=1)
            self.model3.extend(normalised(up, outer))
        self.model4 = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, output_channels, 7))
        if sigmoid:
            self.model4.append(nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W in [0, 1], height and width multiples of 4 → the drawing, [0, 1], dark lines on white."""
        return self.model4(self.model3(self.model2(self.model1(self.model0(x)))))


def detect(shapes: Shapes) -> bool:
    needed = ("model0.1.weight", "model1.0.weight", "model3.0.weight", "model4.1.weight")
    return all(len(shapes.get(k, ())) == 4 for k in needed)


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    first, sigmoid = shapes["model0.1.weight"], hints.get("sigmoid", True)
    if not isinstance(sigmoid, bool):
        raise ValueError("`sigmoid` is neither true nor false")
    return {
        "input_channels": first[1],
        "output_channels": shapes["model4.1.weight"][0],
        "width": first[0],
        "blocks": sum(bool(re.fullmatch(r"model2\.[0-9]+\.conv_block\.1\.weight", k)) for k in shapes),
        "sigmoid": sigmoid,
    }


INFORMATIVE_DRAWINGS = Architecture(
    name="informative_drawings",
    title="Informative Drawings generator (Chan et al. 2022)",
    family="translator",
    build=DrawingGenerator,
    detect=detect,
    read=read,
    example={},
    output_range=UNIT,
    input_range=UNIT,
    multiple=lambda _: 4,
    channels=lambda h: (h["input_channels"], h["output_channels"]),
)
