"""CycleGAN generator of the Hugging Face computer vision course (Zhu et al. 2017, arXiv:1703.10593).

The published generator but for the first convolution, which has no norm and no activation behind it, and for
the stride-2 convolutions, which mirror the border instead of padding with zeros.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.layers import named
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with instance norm; no activation after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        conv = partial(nn.Conv2d, width, width, 3, padding=1, padding_mode="reflect")
        self.conv1, self.conv2 = conv(), conv()

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(F.instance_norm(self.conv1(x)))
        return x + F.instance_norm(self.conv2(h))


def feature_map(inner: int, outer: int) -> nn.Sequential:
    return named(conv=nn.Conv2d(inner, outer, 7, padding=3, padding_mode="reflect"))


def encoder(width: int) -> nn.Sequential:
    conv = nn.Conv2d(width, 2 * width, 3, 2, 1, padding_mode="reflect")
    return named(conv1=conv, norm=nn.InstanceNorm2d(2 * width), activation=nn.ReLU(inplace=True))


def decoder(width: int) -> nn.Sequential:
    half = width // 2
    conv = nn.ConvTranspose2d(width, half, 3, 2, 1, output_padding=1)
    return named(conv1=conv, norm=nn.InstanceNorm2d(half), activation=nn.ReLU(inplace=True))


class JohkoGenerator(nn.Sequential):
    """Two stride-2 convolutions, residual blocks, two transposed convolutions.

    Args:
        input_channels, output_channels: image channels.
        width: channels after the first convolution (`hidden_channels`).
        blocks: number of residual blocks.
    """

    def __init__(
        self, input_channels: int = 3, output_channels: int = 3, width: int = 64, blocks: int = 9
    ) -> None:
        layers: dict[str, nn.Module] = {"upfeature": feature_map(input_channels, width)}
        layers |= {"encoder1": encoder(width), "encoder2": encoder(2 * width)}
        layers |= {f"res{i}": ResidualBlock(4 * width) for i in range(blocks)}
        layers |= {"decoder1": decoder(4 * width), "decoder2": decoder(2 * width)}
        layers |= {"downfeature": feature_map(width, output_channels), "tanh": nn.Tanh()}
        super().__init__(OrderedDict(layers))

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W in [-1, 1], height and width multiples of 4 → the same size, [-1, 1]."""
        return super().forward(x)


def detect(shapes: Shapes) -> bool:
    needed = ("upfeature.conv.weight", "encoder1.conv1.weight", "decoder1.conv1.weight")
    return all(k in shapes for k in (*needed, "downfeature.conv.weight"))


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    first = shapes["upfeature.conv.weight"]
    return {
        "input_channels": first[1],
        "output_channels": shapes["downfeature.conv.weight"][0],
        "width": first[0],
        "blocks": sum(bool(re.fullmatch(r"res[0-9]+\.conv1\.weight", k)) for k in shapes),
    }


JOHKO_CYCLEGAN = Architecture(
    name="johko_cyclegan",
    title="CycleGAN generator of the HF computer vision course (Zhu et al. 2017)",
    family="translator",
    build=JohkoGenerator,
    detect=detect,
    read=read,
    example={},
    multiple=lambda _: 4,
    channels=lambda h: (h["input_channels"], h["output_channels"]),
)
