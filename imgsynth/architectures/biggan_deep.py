"""BigGAN-deep generator (Brock et al. 2019, arXiv:1809.11096), in the layout of pytorch-pretrained-BigGAN."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.special import ndtr, ndtri

from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes
from imgsynth.architectures.spectral import attend, fold, spectral, upsample

BASE = 4
REDUCTION = 4  # how many times narrower a block is inside
RGB = 3
BOUND = 2.0  # where the normal distribution of z is cut off


def truncated_normal(z: Tensor) -> Tensor:
    """Standard normal values to a normal distribution truncated to [-2, 2], order kept."""
    below, above = (ndtr(z.new_tensor(b, dtype=torch.float64)) for b in (-BOUND, BOUND))
    return ndtri(below + ndtr(z.double()) * (above - below)).clamp(-BOUND, BOUND).to(z.dtype)


class Statistics(nn.Module):
    """Mean and variance of each channel, one row for each of several truncations from 0 to 1."""

    running_means: Tensor
    running_vars: Tensor

    def __init__(self, width: int, rows: int, eps: float) -> None:
        super().__init__()
        self.register_buffer("running_means", torch.zeros(rows, width))
        self.register_buffer("running_vars", torch.ones(rows, width))
        self.step = 1.0 / (rows - 1)
        self.eps = eps

    def at(self, truncation: float) -> tuple[Tensor, Tensor]:
        """Mean and variance for a truncation; those of 1 beyond it."""
        fraction, position = math.modf(min(truncation, 1.0) / self.step)
        lower = int(position)
        if fraction == 0:
            return self.running_means[lower], self.running_vars[lower]
        upper = min(lower + 1, len(self.running_means) - 1)
        # Upstream gives the fraction to the lower row, which is the wrong one; its pictures are made so.
        return (
            torch.lerp(self.running_means[upper], self.running_means[lower], fraction),
            torch.lerp(self.running_vars[upper], self.running_vars[lower], fraction),
        )


class BatchNorm(Statistics):
    """Batch norm with a gain and bias of its own."""

    def __init__(self, width: int, rows: int, eps: float) -> None:
        super().__init__(width, rows, eps)
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, truncation: float) -> Tensor:
        mean, variance = self.at(truncation)
        return F.batch_norm(x, mean, variance, self.weight, self.bias, eps=self.eps)


class ConditionalBatchNorm(Statistics):
    """Batch norm whose gain and bias are linear in the condition."""

    def __init__(self, width: int, condition_dim: int, rows: int, eps: float, normalised: bool) -> None:
        super().__init__(width, rows, eps)
        self.scale = spectral(nn.Linear(condition_dim, width, bias=False), normalised)
        self.offset = spectral(nn.Linear(condition_dim, width, bias=False), normalised)

    def forward(self, x: Tensor, condition: Tensor, truncation: float) -> Tensor:
        mean, variance = self.at(truncation)
        gain = (1 + self.scale(condition)) * (variance + self.eps).rsqrt()
        bias = self.offset(condition) - mean * gain
        return torch.addcmul(bias[..., None, None].to(x.dtype), x, gain[..., None, None].to(x.dtype))


class GeneratorBlock(nn.Module):
    """Bottleneck of four convolutions; the shortcut drops the channels that the output lacks."""

    def __init__(
        self,
        inner: int,
        outer: int,
        upsampling: bool,
        condition_dim: int,
        rows: int,
        eps: float,
        normalised: bool,
    ) -> None:
        super().__init__()
        middle = inner // REDUCTION
        norms = [
            ConditionalBatchNorm(width, condition_dim, rows, eps, normalised)
            for width in (inner, middle, middle, middle)
        ]
        self.bn_0, self.bn_1, self.bn_2, self.bn_3 = norms
        self.conv_0 = spectral(nn.Conv2d(inner, middle, 1), normalised)
        self.conv_1 = spectral(nn.Conv2d(middle, middle, 3, padding=1), normalised)
        self.conv_2 = spectral(nn.Conv2d(middle, middle, 3, padding=1), normalised)
        self.conv_3 = spectral(nn.Conv2d(middle, outer, 1), normalised)
        self.outer, self.upsampling = outer, upsampling

    def forward(self, x: Tensor, condition: Tensor, truncation: float) -> Tensor:
        h = self.conv_0(self.bn_0(x, condition, truncation).relu_())
        h = self.bn_1(h, condition, truncation).relu_()
        h = self.conv_1(upsample(h) if self.upsampling else h)
        h = self.conv_2(self.bn_2(h, condition, truncation).relu_())
        h = self.conv_3(self.bn_3(h, condition, truncation).relu_())
        kept = x[:, : self.outer]
        return h + (upsample(kept) if self.upsampling else kept)


class SelfAttention(nn.Module):
    """Attention from every pixel to every 2×2 patch, added with a learnt weight `gamma`."""

    def __init__(self, width: int, normalised: bool) -> None:
        super().__init__()
        self.snconv1x1_theta = spectral(nn.Conv2d(width, width // 8, 1, bias=False), normalised)
        self.snconv1x1_phi = spectral(nn.Conv2d(width, width // 8, 1, bias=False), normalised)
        self.snconv1x1_g = spectral(nn.Conv2d(width, width // 2, 1, bias=False), normalised)
        self.snconv1x1_o_conv = spectral(nn.Conv2d(width // 2, width, 1, bias=False), normalised)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, _: Tensor, __: float) -> Tensor:
        attended = attend(self.snconv1x1_theta(x), self.snconv1x1_phi(x), self.snconv1x1_g(x))
        return x + self.gamma * self.snconv1x1_o_conv(attended)


class ToRGB(nn.Conv2d):
    """The last convolution, which has more filters than a picture has channels: only the first are used."""

    def forward(self, x: Tensor) -> Tensor:
        assert self.bias is not None
        return F.conv2d(x, self.weight[:RGB], self.bias[:RGB], padding=1)


class Generator(nn.Module):
    """From a latent and an embedded class, side by side, to a picture."""

    def __init__(
        self,
        condition_dim: int,
        widths: Sequence[int],
        upsampling: Sequence[bool],
        attention: int | None,
        rows: int,
        eps: float,
        normalised: bool,
    ) -> None:
        super().__init__()
        self.gen_z = spectral(nn.Linear(condition_dim, widths[0] * BASE * BASE), normalised)
        self.layers = nn.ModuleList(
            GeneratorBlock(inner, outer, up, condition_dim, rows, eps, normalised)
            for (inner, outer), up in zip(pairwise(widths), upsampling, strict=True)
        )
        if attention is not None:
            self.layers.insert(attention, SelfAttention(widths[attention], normalised))
        self.bn = BatchNorm(widths[-1], rows, eps)
        self.conv_to_rgb = spectral(ToRGB(widths[-1], widths[-1], 3, padding=1), normalised)

    def forward(self, condition: Tensor, truncation: float) -> Tensor:
        # The weights come from TensorFlow, where channels are last; in memory they stay so.
        x = self.gen_z(condition).unflatten(1, (BASE, BASE, -1)).permute(0, 3, 1, 2)
        for layer in self.layers:
            x = layer(x, condition, truncation)
        return self.conv_to_rgb(self.bn(x, truncation).relu_()).tanh()


class BigGANDeep(nn.Module):
    """Class-conditional generator with batch statistics for every truncation.

    Args:
        latent_dim: length of z and of a class's embedding.
        classes: number of classes.
        widths: channels before the first block and after each block; the first map is 4×4 pixels.
        upsampling: for each block, whether it doubles the size.
        attention: before which block self-attention stands, counted from 0; None where there is none.
        rows: number of truncations that have batch statistics.
        eps: added to every variance.
        spectral_norm: whether every linear and convolution but the embedding is normalised.
    """

    def __init__(
        self,
        latent_dim: int,
        classes: int,
        widths: Sequence[int],
        upsampling: Sequence[bool],
        attention: int | None = None,
        rows: int = 51,
        eps: float = 1e-4,
        spectral_norm: bool = True,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.embeddings = nn.Linear(classes, latent_dim, bias=False)
        self.generator = Generator(2 * latent_dim, widths, upsampling, attention, rows, eps, spectral_norm)

    def forward(self, z: Tensor, labels: Tensor, psi: float = 1.0) -> Tensor:
        """What upstream's users draw: z from a truncated normal distribution, times psi.

        Args:
            z: N×latent_dim, standard normal.
            labels: int64 N.
            psi: truncation, from 0 to 1; larger values stretch z beyond what the network has seen.

        Returns:
            N×3×H×W in [-1, 1].
        """
        return self.generate(truncated_normal(z.flatten(1)) * psi, labels, psi)

    def generate(self, z: Tensor, labels: Tensor, truncation: float) -> Tensor:
        """As `forward`, of a z that is already truncated and scaled."""
        embedded = self.embeddings(F.one_hot(labels, self.classes).to(z.dtype))
        return self.generator(torch.cat([z, embedded.to(z.dtype)], dim=1), truncation)


def detect(shapes: Shapes) -> bool:
    return (
        len(shapes.get("embeddings.weight", ())) == 2
        and len(shapes.get("generator.bn.running_means", ())) == 2
        and any(f"generator.gen_z.{weight}" in shapes for weight in ("weight", "weight_orig"))
    )


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    weight = "weight_orig" if "generator.gen_z.weight_orig" in shapes else "weight"
    latent_dim, classes = shapes["embeddings.weight"]
    widths, attention = read_layers(shapes, weight)
    return {
        "latent_dim": latent_dim,
        "classes": classes,
        "widths": widths,
        "upsampling": read_upsampling(widths, hints),
        "attention": attention,
        "rows": shapes["generator.bn.running_means"][0],
        "eps": float(hints.get("eps", 1e-4)),
        "spectral_norm": weight == "weight_orig",
    }


def read_layers(shapes: Shapes, weight: str) -> tuple[list[int], int | None]:
    """Widths before the first and after each block, and before which block attention stands."""
    layers = {m[1] for k in shapes if (m := re.match(r"generator\.layers\.(\d+)\.", k))}
    attention = next((i for i in range(len(layers)) if f"generator.layers.{i}.gamma" in shapes), None)
    blocks = [f"generator.layers.{i}" for i in range(len(layers)) if i != attention]
    first = shapes[f"{blocks[0]}.conv_0.{weight}"][1]
    return [first, *(shapes[f"{block}.conv_3.{weight}"][0] for block in blocks)], attention


def read_upsampling(widths: Sequence[int], hints: Hints) -> list[bool]:
    """Which blocks double the size: as the hint `layers` says, in triples (upsampling, inner, outer).

    Without it, every second block and all that narrow, which is so in the published networks.

    Raises:
        ValueError: the hint tells of other widths than the file.
    """
    steps = list(pairwise(widths))
    if "layers" not in hints:
        return [i % 2 == 1 or inner != outer for i, (inner, outer) in enumerate(steps)]
    layers = [(bool(up), int(inner), int(outer)) for up, inner, outer in hints["layers"]]
    if [(inner * widths[-1], outer * widths[-1]) for _, inner, outer in layers] != steps:
        raise ValueError("the layers of config.json have other widths")
    return [up for up, _, _ in layers]


BIGGAN_DEEP = Architecture(
    name="biggan_deep",
    title="BigGAN-deep generator (Brock et al. 2019)",
    family="generator",
    build=BigGANDeep,
    detect=detect,
    read=read,
    example={
        "latent_dim": 128,
        "classes": 1000,
        "widths": [2048, 2048, 2048, 2048, 1024, 1024, 512, 512, 256, 256, 128],
        "upsampling": [False, True] * 5,
        "attention": 8,
    },
    latent_shape=lambda h: (h["latent_dim"],),
    image_size=lambda h: BASE * 2 ** sum(h["upsampling"]),
    channels=lambda h: (min(RGB, h["widths"][-1]),) * 2,
    classes=lambda h: h["classes"],
    truncation="network",
    finish=fold,
)
