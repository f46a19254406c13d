"""Discriminators; they are trained beside a network and never shipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from imgsynth.architectures.mapping import EqualLinear
from imgsynth.architectures.modulation import fir
from imgsynth.errors import TrainingFailed
from imgsynth.training.losses import Norm

PatchNorm = Literal["instance", "spectral", "none"]

# The least side of which a `PatchDiscriminator` has a patch to score.
LEAST_SIDE = 24
SLOPE = 0.2
GAIN = 2**0.5


def normalised(conv: nn.Conv2d, norm: Norm) -> nn.Module:
    """A convolution with its norm: of its weights (spectral, Miyato et al. 2018, arXiv:1802.05957), of what
    it gives (batch), or none."""
    if norm == "spectral":
        return spectral_norm(conv)
    if norm == "batch":
        # No running statistics: a discriminator always judges whole batches.
        return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels, track_running_stats=False))
    return conv


def deviation(features: Tensor) -> Tensor:
    """How much the pictures of a batch differ (Karras et al. 2018, arXiv:1710.10196), as a map N×1×H×W."""
    features = features.float()
    spread = (features.var(0, correction=0) + 1e-8).sqrt().mean()
    return spread.expand(len(features), 1, *features.shape[2:])


def compared(features: Tensor, compares: bool) -> Tensor:
    """The features, and the map of `deviation` where a discriminator may see it."""
    return torch.cat([features, deviation(features).to(features.dtype)], 1) if compares else features


class DCGANDiscriminator(nn.Module):
    """The mirror of a DCGAN generator: N×C×S×S → N scores.

    Args:
        widths: channels after each stage but the last, outermost first.
        channels: image channels.
        norm: of all layers; batch norm leaves out the first, which sees the picture.
        compares: whether a map before the last layer shows a lack of variety (minibatch deviation).
    """

    def __init__(
        self, widths: Sequence[int], channels: int = 3, norm: Norm = "spectral", compares: bool = True
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inner, outer in zip([channels, *widths], widths, strict=False):
            bare = norm == "batch" and not layers
            layers += [normalised(nn.Conv2d(inner, outer, 4, 2, 1), "none" if bare else norm)]
            layers += [nn.LeakyReLU(SLOPE)]
        self.features = nn.Sequential(*layers)
        score = nn.Conv2d(widths[-1] + compares, 1, 4)
        self.score = spectral_norm(score) if norm == "spectral" else score
        self.compares = compares

    def forward(self, x: Tensor) -> Tensor:
        return self.score(compared(self.features(x), self.compares)).flatten()

    def stages(self, x: Tensor) -> list[Tensor]:
        """What each stage but the last makes of the pictures."""
        found = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                found.append(x)
        return found


class PatchDiscriminator(nn.Module):
    """PatchGAN (Isola et al. 2017, arXiv:1611.07004): scores for patches, and the features on the way.

    Args:
        width: channels after the first layer.
        layers: stages after it; all but the last halve the size.
        channels: image channels.
        norm: "instance" of what all stages but the first give, "spectral" of all weights, or "none".
    """

    def __init__(self, width: int, layers: int = 3, channels: int = 3, norm: PatchNorm = "instance") -> None:
        super().__init__()
        held: Norm = "spectral" if norm == "spectral" else "none"
        widths = [width * min(8, 2**i) for i in range(layers + 1)]
        self.stages = nn.ModuleList([normalised(nn.Conv2d(channels, widths[0], 4, 2, 1), held)])
        make_norm: Callable[[int], nn.Module] = (
            nn.InstanceNorm2d if norm == "instance" else lambda _: nn.Identity()
        )
        for i, (inner, outer) in enumerate(pairwise(widths)):
            stride = 1 if i == layers - 1 else 2
            conv = normalised(nn.Conv2d(inner, outer, 4, stride, 1), held)
            self.stages.append(nn.Sequential(conv, make_norm(outer)))
        self.score = normalised(nn.Conv2d(widths[-1], 1, 4, 1, 1), held)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for stage in self.stages:
            x = F.leaky_relu(stage(x), SLOPE)
            features.append(x)
        return self.score(x), features


def check_crops(title: str, size: int, multiple: int) -> None:
    """
    Args:
        title: what learns beside a `PatchDiscriminator`.
        size: side of its crops.
        multiple: what it takes multiples of.

    Raises:
        TrainingFailed: one of them cannot work at this size.
    """
    if size % multiple or size < LEAST_SIDE:
        raise TrainingFailed(
            f"{title} is trained on crops whose side is a multiple of {multiple} and at least {LEAST_SIDE}, "
            f"not {size}; choose another size."
        )


class EqualConv2d(nn.Module):
    """Convolution whose weights are scaled as they are used, so that all layers learn at one pace."""

    def __init__(self, inner: int, outer: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outer, inner, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outer))
        self.scale = (inner * kernel**2) ** -0.5
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding)


class LowPass(nn.Module):
    """The filter 1-3-3-1 both ways, before every second pixel is dropped."""

    kernel: Tensor

    def __init__(self, padding: int, stride: int) -> None:
        super().__init__()
        self.register_buffer("kernel", fir(4) / 4, persistent=False)
        self.padding, self.stride = padding, stride

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)
        return F.conv2d(x, kernel, stride=self.stride, padding=self.padding, groups=x.shape[1])


class ResidualDown(nn.Module):
    """Two 3×3 convolutions, the second of which halves the size, beside a 1×1 convolution."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.conv1 = EqualConv2d(inner, inner, 3, padding=1)
        self.conv2 = nn.Sequential(LowPass(2, 1), EqualConv2d(inner, outer, 3, stride=2))
        self.shortcut = nn.Sequential(LowPass(1, 2), EqualConv2d(inner, outer, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(self.conv1(x), SLOPE) * GAIN
        h = F.leaky_relu(self.conv2(h), SLOPE) * GAIN
        return (h + self.shortcut(x)) / GAIN


class ResidualDiscriminator(nn.Module):
    """StyleGAN2's (Karras et al. 2020, arXiv:1912.04958): N×C×S×S → N scores.

    Args:
        widths: channels at S, S/2, … 4 pixels a side.
        channels: image channels.
        compares: whether a map before the last layers shows a lack of variety.
    """

    def __init__(self, widths: Sequence[int], channels: int = 3, compares: bool = True) -> None:
        super().__init__()
        last = widths[-1]
        self.from_rgb = EqualConv2d(channels, widths[0], 1)
        self.blocks = nn.Sequential(*(ResidualDown(inner, outer) for inner, outer in pairwise(widths)))
        self.conv = EqualConv2d(last + compares, last, 3, padding=1)
        self.hidden, self.score = EqualLinear(last * 16, last), EqualLinear(last, 1)
        self.compares = compares

    def forward(self, x: Tensor) -> Tensor:
        h = self.blocks(F.leaky_relu(self.from_rgb(x), SLOPE) * GAIN)
        h = F.leaky_relu(self.conv(compared(h, self.compares)), SLOPE) * GAIN
        h = F.leaky_relu(self.hidden(h.flatten(1)), SLOPE) * GAIN
        return self.score(h).flatten()
