"""AOT-GAN: inpainting with aggregated contextual transformations (Zeng et al. 2021, arXiv:2104.01431)."""

from __future__ import annotations

import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes

LARGEST_RATE = 256


def reflected(inner: int, outer: int, dilation: int = 1) -> nn.Sequential:
    """A 3×3 convolution that keeps the size, on reflected borders."""
    return nn.Sequential(nn.ReflectionPad2d(dilation), nn.Conv2d(inner, outer, 3, dilation=dilation))


def steep_norm(x: Tensor) -> Tensor:
    """Each channel of each sample to mean -5 and deviation 10, so that a sigmoid makes a nearly hard gate."""
    x = x.float()
    mean, std = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True)
    return 5 * (2 * (x - mean) / (std + 1e-9) - 1)


class AOTBlock(nn.Module):
    """Splits, transforms at several dilations, merges, and lets a gate choose between old and new."""

    def __init__(self, width: int, rates: list[int]) -> None:
        super().__init__()
        for i, rate in enumerate(rates):
            branch = reflected(width, width // len(rates), rate).append(nn.ReLU(inplace=True))
            self.add_module(f"block{i:02}", branch)
        self.fuse = reflected(width, width)
        self.gate = reflected(width, width)
        self.branches = len(rates)

    def forward(self, x: Tensor) -> Tensor:
        transformed = [self.get_submodule(f"block{i:02}")(x) for i in range(self.branches)]
        new = self.fuse(torch.cat(transformed, dim=1))
        gate = torch.sigmoid(steep_norm(self.gate(x)))
        return x * (1 - gate) + new * gate


class UpConv(nn.Module):
    """Twice the size, then a 3×3 convolution."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))


class AOTGenerator(nn.Module):
    """Encoder, AOT blocks at a quarter of the size, decoder.

    Args:
        widths: channels at full, half and quarter size.
        blocks: number of AOT blocks.
        rates: dilations of the branches of each block.
        channels: image channels; the network's input has one more, for the mask.
        output_channels: image channels of the prediction.
    """

    def __init__(
        self, widths: list[int], blocks: int, rates: list[int], channels: int = 3, output_channels: int = 3
    ) -> None:
        super().__init__()
        full, half, quarter = widths
        self.encoder = nn.Sequential(
            *(nn.ReflectionPad2d(3), nn.Conv2d(channels + 1, full, 7), nn.ReLU(inplace=True)),
            *(nn.Conv2d(full, half, 4, 2, 1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(half, quarter, 4, 2, 1), nn.ReLU(inplace=True)),
        )
        self.middle = nn.Sequential(*[AOTBlock(quarter, rates) for _ in range(blocks)])
        self.decoder = nn.Sequential(
            *(UpConv(quarter, half), nn.ReLU(inplace=True)),
            *(UpConv(half, full), nn.ReLU(inplace=True)),
            nn.Conv2d(full, output_channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """N×(C+1)×H×W → N×C×H×W in [-1, 1].

        The input is the image in [-1, 1] with its hole at 1, then the mask (1 = hole); height and width must
        be multiples of 4.
        """
        return torch.tanh(self.decoder(self.middle(self.encoder(x))))


def assemble(image: Tensor, mask: Tensor) -> Tensor:
    """The network's input: the image with its hole white, and the mask."""
    return torch.cat([image * (1 - mask) + mask, mask], dim=1)


def count(shapes: Shapes, pattern: str) -> int:
    """How many different numbers the keys have where the pattern's group is."""
    return len({m[1] for key in shapes if (m := re.fullmatch(pattern, key))})


def read_rates(branches: int, hints: Hints) -> list[int]:
    """Dilations, which no shape tells: the hint `rates`, a list or upstream's `1+2+4+8`, else powers of 2.

    Raises:
        ValueError: the hint does not hold as many positive numbers as there are branches.
    """
    given = hints.get("rates", [2**i for i in range(branches)])
    rates = [int(rate) for rate in (given.split("+") if isinstance(given, str) else given)]
    if len(rates) != branches or not all(1 <= rate <= LARGEST_RATE for rate in rates):
        raise ValueError("the dilation rates do not fit the branches")
    return rates


def detect(shapes: Shapes) -> bool:
    needed = (
        "encoder.5.weight",
        "middle.0.block00.1.weight",
        "middle.0.gate.1.weight",
        "decoder.2.conv.weight",
    )
    return all(key in shapes for key in needed)


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    branches = count(shapes, r"middle\.0\.block(\d+)\.1\.weight")
    return {
        "widths": [shapes[f"encoder.{i}.weight"][0] for i in (1, 3, 5)],
        "blocks": count(shapes, r"middle\.(\d+)\.fuse\.1\.weight"),
        "rates": read_rates(branches, hints),
        "channels": shapes["encoder.1.weight"][1] - 1,
        "output_channels": shapes["decoder.4.weight"][0],
    }


AOTGAN = Architecture(
    name="aotgan",
    title="AOT-GAN, aggregated contextual transformations (Zeng et al. 2021)",
    family="inpainter",
    build=AOTGenerator,
    detect=detect,
    read=read,
    example={"widths": [64, 128, 256], "blocks": 8, "rates": [1, 2, 4, 8]},
    multiple=lambda _: 4,
    # A quarter of the size must be more than what the widest branch reflects.
    least=lambda h: 4 * (max(h["rates"]) + 1),
    channels=lambda h: (h["channels"], h["output_channels"]),
    assemble=assemble,
)
