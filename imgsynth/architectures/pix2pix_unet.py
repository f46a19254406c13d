"""U-Net generator of pix2pix and CycleGAN (Isola et al. 2017, arXiv:1611.07004; Zhu et al. 2017).

Every level holds the next deeper one, so the keys nest: `model.model.1.model.3.model.3 …`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from imgsynth.architectures.layers import make_norm, norm_at, without_unused_statistics
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes

SLOPE = 0.2
MOST_LEVELS = 16  # 65536 pixels across; modules that nest without end would exhaust Python's stack


class Level(nn.Module):
    """Halves the picture, hands it to the next deeper level, doubles it; the input goes past all of that."""

    def __init__(self, outer: int, inner: int, deeper: nn.Module | None, norm: str, bias: bool) -> None:
        super().__init__()
        conv = partial(nn.Conv2d, kernel_size=4, stride=2, padding=1, bias=bias)
        up = partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1, bias=bias)
        layers: list[nn.Module] = [nn.LeakyReLU(SLOPE, inplace=True), conv(outer, inner)]
        if deeper is not None:
            layers += [make_norm(norm, inner), deeper]
        layers += [nn.ReLU(inplace=True), up(inner if deeper is None else 2 * inner, outer)]
        self.model = nn.Sequential(*layers, make_norm(norm, outer))

    def forward(self, x: Tensor) -> Tensor:
        # The first layer rectifies x in place. What goes past is rectified anyway before it is used.
        return torch.cat([x, self.model(x)], dim=1)


class OutermostLevel(nn.Module):
    """From picture to picture: no norm, no way past."""

    def __init__(
        self, input_channels: int, output_channels: int, width: int, deeper: nn.Module, bias: bool
    ) -> None:
        super().__init__()
        down = nn.Conv2d(input_channels, width, 4, 2, 1, bias=bias)
        up = nn.ConvTranspose2d(2 * width, output_channels, 4, 2, 1)
        self.model = nn.Sequential(down, deeper, nn.ReLU(inplace=True), up, nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class UNetGenerator(nn.Module):
    """Encoder and decoder with a way past at every level.

    The published dropout has no place in it: it has no parameters, and is off when a network is used.

    Args:
        widths: channels of every level from the outermost, two or more; upstream ngf × (1, 2, 4, 8, 8, …).
        input_channels, output_channels: image channels.
        norm: "batch", "instance" (no parameters), "affine_instance" or "none".
        bias: whether convolutions before norms have a bias.
    """

    def __init__(
        self,
        widths: Sequence[int],
        input_channels: int = 3,
        output_channels: int = 3,
        norm: str = "batch",
        bias: bool = False,
    ) -> None:
        super().__init__()
        deeper: Level | None = None
        for outer, inner in reversed(list(pairwise(widths))):
            deeper = Level(outer, inner, deeper, norm, bias)
        if deeper is None:
            raise ValueError("a U-Net has two levels or more")
        self.model = OutermostLevel(input_channels, output_channels, widths[0], deeper, bias)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W in [-1, 1], height and width multiples of 2^levels → the same size, [-1, 1]."""
        return self.model(x)


def widths_of(shapes: Shapes) -> list[int]:
    widths, level = [shapes["model.model.0.weight"][0]], "model.model.1"
    while f"{level}.model.1.weight" in shapes:
        widths.append(shapes[f"{level}.model.1.weight"][0])
        level += ".model.3"
        if len(widths) > MOST_LEVELS:
            raise ValueError("more levels than any picture has")
    return widths


def detect(shapes: Shapes) -> bool:
    first, second = shapes.get("model.model.0.weight", ()), shapes.get("model.model.1.model.1.weight", ())
    return first[2:] == second[2:] == (4, 4)


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    widths, bias = widths_of(shapes), "model.model.0.bias" in shapes
    # The innermost level has one norm only, at its end.
    place = 4 if len(widths) == 2 else 6
    return {
        "widths": widths,
        "input_channels": shapes["model.model.0.weight"][1],
        "output_channels": shapes["model.model.3.weight"][1],
        "norm": norm_at(shapes, f"model.model.1.model.{place}", bias, hints),
        "bias": bias,
    }


PIX2PIX_UNET = Architecture(
    name="pix2pix_unet",
    title="pix2pix U-Net generator (Isola et al. 2017)",
    family="translator",
    build=UNetGenerator,
    detect=detect,
    read=read,
    example={"widths": [64, 128, 256, 512, 512, 512, 512, 512]},
    canonical=without_unused_statistics,
    multiple=lambda h: 2 ** len(h["widths"]),
    least=lambda h: 2 ** len(h["widths"]),
    channels=lambda h: (h["input_channels"], h["output_channels"]),
)
