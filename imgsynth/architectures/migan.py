"""MI-GAN: inpainting on mobile devices (Sargsyan et al. 2023, ICCV), in its form for inference."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.ranges import SIGNED
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes

SMALLEST = 4  # pixels a side, of the innermost blocks
LARGEST = 2**14
SLOPE, GAIN, CLAMP = 0.2, math.sqrt(2), 256.0


def activate_(x: Tensor) -> Tensor:
    """StyleGAN's leaky ReLU, which keeps the variance; in place."""
    return F.leaky_relu_(x, SLOPE).mul_(GAIN).clamp_(-CLAMP, CLAMP)


class Downsample(nn.Module):
    """Half the size through a FIR filter."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.filter = nn.Conv2d(width, width, 4, stride=2, padding=1, groups=width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.filter(x)


class Upsample(nn.Module):
    """Twice the size: pixels spread out between zeros, then a FIR filter.

    Args:
        masked: a mask leaves every fourth of the repeated pixels; early files have a convolution for that.

    Attributes:
        transposable: pixels are spread as they should be, with which this is a transposed convolution.
    """

    filter_const: Tensor

    def __init__(self, width: int, resolution: int, masked: bool) -> None:
        super().__init__()
        self.insert_zeros: nn.ConvTranspose2d | None = None
        if masked:
            self.register_buffer("filter_const", torch.zeros(1, 1, resolution, resolution))
        else:
            self.insert_zeros = nn.ConvTranspose2d(width, width, 2, stride=2, groups=width, bias=False)
        self.filter = nn.Conv2d(width, width, 4, groups=width, bias=False)
        self.transposable = False

    def spread(self, x: Tensor) -> Tensor:
        """N×C×H×W → N×C×2H×2W: each pixel at an even row and column, if the file is a usual one."""
        if self.insert_zeros is not None:
            return self.insert_zeros(x)
        return F.interpolate(x, scale_factor=2, mode="nearest") * self.filter_const

    def forward(self, x: Tensor) -> Tensor:
        if self.transposable:
            kernel = self.filter.weight.flip(2, 3)
            return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])
        return self.filter(F.pad(self.spread(x), (2, 1, 2, 1)))


class SeparableConv(nn.Module):
    """A depthwise 3×3 convolution, a change of size, a 1×1 convolution, and fixed noise.

    Args:
        resolution: side of the result where noise is added, else None.
        scale: "down", "up" or "keep".
        masked: how "up" spreads pixels; see `Upsample`.
    """

    noise_const: Tensor

    def __init__(
        self,
        inner: int,
        outer: int,
        resolution: int | None = None,
        scale: str = "keep",
        masked: bool = True,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.conv2 = nn.Conv2d(inner, outer, 1, bias=False)
        self.downsample = Downsample(inner) if scale == "down" else None
        self.upsample = Upsample(outer, resolution, masked) if scale == "up" and resolution else None
        self.noisy = resolution is not None
        if resolution is not None:
            self.register_buffer("noise_const", torch.zeros(resolution, resolution))
            self.noise_strength = nn.Parameter(torch.zeros([]))

    def forward(self, x: Tensor) -> Tensor:
        x = activate_(self.conv1(x))
        x = self.conv2(x if self.downsample is None else self.downsample(x))
        if self.upsample is not None:
            x = self.upsample(x)
        if self.noisy:
            x.add_(self.noise_const * self.noise_strength)
        return activate_(x)


class EncoderBlock(nn.Module):
    """A skip feature at one size, and the next block's input at half of it."""

    def __init__(self, inner: int, outer: int, image_channels: int | None, scale: str) -> None:
        super().__init__()
        self.fromrgb = None if image_channels is None else nn.Conv2d(image_channels, inner, 1)
        self.conv1 = SeparableConv(inner, inner)
        self.conv2 = SeparableConv(inner, outer, scale=scale)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        skip = self.conv1(x if self.fromrgb is None else activate_(self.fromrgb(x)))
        return self.conv2(skip), skip


class SynthesisBlock(nn.Module):
    """Features and picture at one size from those at half of it; the innermost block keeps its size."""

    def __init__(self, inner: int, outer: int, resolution: int, image_channels: int, masked: bool) -> None:
        super().__init__()
        first = resolution == SMALLEST
        noise = None if first else resolution
        self.conv1 = SeparableConv(inner, outer, noise, "keep" if first else "up", masked)
        self.conv2 = SeparableConv(outer, outer, noise)
        self.torgb = nn.Conv2d(outer, image_channels, 1)
        self.upsample = None if first else Upsample(image_channels, resolution, masked)

    def forward(self, x: Tensor, skip: Tensor, picture: Tensor | None) -> tuple[Tensor, Tensor]:
        x = self.conv2(self.conv1(x) + skip)
        drawn = self.torgb(x)
        if self.upsample is not None and picture is not None:
            drawn = drawn + self.upsample(picture)
        return x, drawn


class MIGANGenerator(nn.Module):
    """U-Net of separable convolutions.

    Args:
        widths: channels at 4×4, 8×8, … up to the pictures' own size.
        channels: image channels; the network's input has one more, for the mask.
        output_channels: image channels of the prediction.
        masked: whether upsampling has masks, as it had from the second release of the code on.
    """

    def __init__(
        self, widths: list[int], channels: int = 3, output_channels: int = 3, masked: bool = True
    ) -> None:
        super().__init__()
        self.sides = [SMALLEST * 2**i for i in range(len(widths))]
        self.encoder, self.synthesis = nn.Module(), nn.Module()
        for i, side in enumerate(self.sides):
            outer, scale = (widths[i - 1], "down") if i else (widths[0], "keep")
            image = channels + 1 if side == self.sides[-1] else None
            self.encoder.add_module(f"b{side}", EncoderBlock(widths[i], outer, image, scale))
            block = SynthesisBlock(widths[max(0, i - 1)], widths[i], side, output_channels, masked)
            self.synthesis.add_module(f"b{side}", block)

    def forward(self, x: Tensor) -> Tensor:
        """N×(C+1)×R×R → N×C×R×R, about [-1, 1].

        The input is the mask (1 = known) less 0.5, then the image in [-1, 1] with its hole blanked.
        """
        if x.device.type == "cpu":  # where depthwise convolutions take half the time in this order
            x = x.contiguous(memory_format=torch.channels_last)
        skips = {}
        for side in reversed(self.sides):
            x, skips[side] = self.encoder.get_submodule(f"b{side}")(x)
        picture = None
        for side in self.sides:
            x, picture = self.synthesis.get_submodule(f"b{side}")(x, skips[side], picture)
        assert picture is not None
        return picture


def assemble(image: Tensor, mask: Tensor) -> Tensor:
    """The network's input: what is known, and the image with its hole blanked."""
    known = 1 - mask
    return torch.cat([known - 0.5, image * known], dim=1)


def detect(shapes: Shapes) -> bool:
    needed = (
        "encoder.b4.conv1.conv2.weight",
        "synthesis.b4.torgb.weight",
        "synthesis.b8.conv1.noise_const",
        "synthesis.b8.upsample.filter.weight",
    )
    return all(key in shapes for key in needed)


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    side, widths = SMALLEST, []
    while f"encoder.b{side}.conv1.conv1.weight" in shapes and side <= LARGEST:
        widths.append(shapes[f"encoder.b{side}.conv1.conv1.weight"][0])
        side *= 2
    return {
        "widths": widths,
        "channels": shapes[f"encoder.b{side // 2}.fromrgb.weight"][1] - 1,
        "output_channels": shapes["synthesis.b4.torgb.weight"][0],
        "masked": "synthesis.b8.upsample.filter_const" in shapes,
    }


def finish(network: nn.Module, _: Mapping[str, Tensor]) -> list[str]:
    """Lets usual spreading be skipped: a transposed convolution never meets the zeros that it makes."""
    for module in network.modules():
        if isinstance(module, Upsample):
            spread = module.filter_const if module.insert_zeros is None else module.insert_zeros.weight
            usual = torch.zeros_like(spread)
            usual[..., ::2, ::2] = 1
            module.transposable = torch.equal(spread, usual)
    return []


def side_of(h: Hyperparameters) -> int:
    return SMALLEST * 2 ** (len(h["widths"]) - 1)


MIGAN = Architecture(
    name="migan",
    title="MI-GAN (Sargsyan et al. 2023)",
    family="inpainter",
    build=MIGANGenerator,
    detect=detect,
    read=read,
    example={"widths": [512, 512, 512, 512, 512, 256, 128, 64]},
    output_range=SIGNED,
    input_range=SIGNED,
    multiple=side_of,
    least=side_of,
    image_size=side_of,
    channels=lambda h: (h["channels"], h["output_channels"]),
    assemble=assemble,
    finish=finish,
)
