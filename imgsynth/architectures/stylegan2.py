"""StyleGAN2 generator (Karras et al. 2020, arXiv:1912.04958), in rosinality/stylegan2-pytorch's layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isfinite

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.mapping import (
    SLOPE,
    EqualLinear,
    MappingGenerator,
    PixelNorm,
    count,
    per_layer,
    plausible_latent,
)
from imgsynth.architectures.modulation import ModulatedConv2d, Upsample
from imgsynth.architectures.ranges import SIGNED
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes

GAIN = 2**0.5  # of every leaky ReLU
LR_MLP = 0.01


class NoiseInjection(nn.Module):
    """How much of one noise map all channels get."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, noise: Tensor) -> Tensor:
        return self.weight * noise


class Activation(nn.Module):
    """Holds the bias in front of a leaky ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))


class StyledConv(nn.Module):
    """Modulated 3×3 convolution, noise, bias, leaky ReLU times √2."""

    def __init__(self, inner: int, outer: int, style_dim: int, blur: int | None = None) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(inner, outer, 3, style_dim, blur=blur)
        self.noise = NoiseInjection()
        self.activate = Activation(outer)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        # √2 passes through the leaky ReLU, so it can go where a factor and a sum are computed anyway.
        shift = (self.noise(noise) + self.activate.bias[:, None, None]) * GAIN
        return F.leaky_relu_(self.conv(x, w, shift, GAIN), SLOPE)


class ToRGB(nn.Module):
    """Modulated 1×1 convolution to a picture, added to the upsampled picture of the size before."""

    def __init__(self, inner: int, channels: int, style_dim: int, blur: int | None = None) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(inner, channels, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.upsample = None if blur is None else Upsample(blur)

    def forward(self, x: Tensor, w: Tensor, image: Tensor | None = None) -> Tensor:
        shift = self.bias
        if self.upsample is not None and image is not None:
            shift = shift + self.upsample(image)
        return self.conv(x, w, shift)


class ConstantInput(nn.Module):
    """The learned map that every picture starts from."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, side, side))

    def forward(self, batch: int) -> Tensor:
        return self.input.expand(batch, -1, -1, -1)


class MappingLayer(EqualLinear):
    """Linear layer that learns slowly, and its leaky ReLU times √2."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(super().forward(x), SLOPE) * GAIN


class StyleGAN2Generator(MappingGenerator):
    """Mapping network, and synthesis by modulated convolutions with a skip to the picture at each size.

    Starts with the published weights, as training wants them: standard normal filters, modulation biases
    of 1, no noise.

    Args:
        size: side of the picture.
        style_dim: length of z and w.
        n_mlp: depth of the mapping network.
        widths: channels at the smallest side, twice it, … up to `size`; as many as make the smallest 4.
        channels: image channels.
        lr_mlp: how much slower the mapping network learns; its weights are scaled by it as they are used.
        blur: taps of the low-pass filter after upsampling convolutions.
        image_blur: taps of that which upsamples pictures.
        stored_noise: whether noise maps are part of the weights; else every forward pass draws its own.
    """

    def __init__(
        self,
        size: int,
        style_dim: int,
        n_mlp: int,
        widths: Sequence[int],
        channels: int = 3,
        lr_mlp: float = LR_MLP,
        blur: int = 4,
        image_blur: int = 4,
        stored_noise: bool = True,
    ) -> None:
        super().__init__()
        self.z_dim, self.layers = style_dim, 2 * len(widths)
        self.noise_sides = noise_sides(size, len(widths))
        slow = [MappingLayer(style_dim, style_dim, lr_multiplier=lr_mlp) for _ in range(n_mlp)]
        self.style = nn.Sequential(PixelNorm(), *slow)
        self.input = ConstantInput(widths[0], self.noise_sides[0])
        self.conv1 = StyledConv(widths[0], widths[0], style_dim)
        self.to_rgb1 = ToRGB(widths[0], channels, style_dim)
        self.convs, self.to_rgbs, self.noises = nn.ModuleList(), nn.ModuleList(), nn.Module()
        for inner, outer in pairwise(widths):
            self.convs.append(StyledConv(inner, outer, style_dim, blur))
            self.convs.append(StyledConv(outer, outer, style_dim))
            self.to_rgbs.append(ToRGB(outer, channels, style_dim, image_blur))
        for i, side in enumerate(self.noise_sides if stored_noise else []):
            self.noises.register_buffer(f"noise_{i}", torch.randn(1, 1, side, side))
        self.register_buffer("w_mean", torch.zeros(style_dim), persistent=False)

    def mapping(self, z: Tensor) -> Tensor:
        """N×style_dim, standard normal → w, N×style_dim."""
        return self.style(z)

    def draw_noise(self, batch: int) -> list[Tensor]:
        """A fresh N×1×H×W map for each layer that takes one, as in training."""
        device = self.input.input.device
        return [torch.randn(batch, 1, side, side, device=device) for side in self.noise_sides]

    def synthesis(self, w: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """w, N×style_dim or N×layers×style_dim → N×channels×H×W, about [-1, 1] but not bounded.

        Without `noise`, the maps are those that lie with the weights.
        """
        styles = per_layer(w, self.layers)
        noise = noise or list(self.noises.buffers()) or self.draw_noise(len(w))
        x = self.conv1(self.input(len(w)), styles[0], noise[0])
        image = self.to_rgb1(x, styles[1])
        # A size's last style, its picture's, is also that of the next size's first convolution.
        for i, to_rgb in enumerate(self.to_rgbs, start=1):
            for k in (2 * i - 1, 2 * i):
                x = self.convs[k - 1](x, styles[k], noise[k])
            image = to_rgb(x, styles[2 * i + 1], image)
        return image


def noise_sides(size: int, stages: int) -> list[int]:
    """Side of each noise map: one at the smallest of `stages` sizes, two at each of the others.

    Raises:
        ValueError: `size` cannot be halved that often.
    """
    smallest = size >> (stages - 1)
    if smallest < 1 or smallest << (stages - 1) != size:
        raise ValueError(f"{stages} sizes, each twice the one before, cannot end at {size}")
    return [smallest, *(smallest << i for i in range(1, stages) for _ in range(2))]


def published_widths(size: int, multiplier: int = 2) -> list[int]:
    """Published channels at 4, 8, … `size` pixels: 512, then half at each size, from 64 (2: 128) on."""
    sides = [4 << i for i in range((size // 4).bit_length())]
    return [512 if side < 64 else min(512, 256 * 64 // side * multiplier) for side in sides]


def detect(shapes: Shapes) -> bool:
    return (
        len(shapes.get("style.1.weight", ())) == 2
        and len(shapes.get("input.input", ())) == 4
        and len(shapes.get("conv1.conv.weight", ())) == 5
        and "to_rgb1.conv.modulation.weight" in shapes
    )


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    doublings = count(shapes, r"to_rgbs\.\d+\.bias")
    _, first, side, _ = shapes["input.input"]
    lr_mlp = float(hints.get("lr_mlp", LR_MLP))
    if not (isfinite(lr_mlp) and lr_mlp > 0):
        raise ValueError("lr_mlp must be a positive number")
    return {
        "size": side << doublings,
        "style_dim": plausible_latent(shapes["style.1.weight"][1]),
        "n_mlp": count(shapes, r"style\.\d+\.weight"),
        "widths": [first, *(shapes[f"convs.{2 * i}.conv.weight"][1] for i in range(doublings))],
        "channels": shapes["to_rgb1.bias"][1],
        "lr_mlp": lr_mlp,
        "blur": shapes.get("convs.0.conv.blur.kernel", (4,))[0],
        "image_blur": shapes.get("to_rgbs.0.upsample.kernel", (4,))[0],
        "stored_noise": "noises.noise_0" in shapes,
    }


def noise_shapes(h: Hyperparameters) -> tuple[tuple[int, int], ...]:
    return () if h["stored_noise"] else all_noise_shapes(h)


def stored_noise_shapes(h: Hyperparameters) -> tuple[tuple[int, int], ...]:
    return all_noise_shapes(h) if h["stored_noise"] else ()


def all_noise_shapes(h: Hyperparameters) -> tuple[tuple[int, int], ...]:
    return tuple((side, side) for side in noise_sides(h["size"], len(h["widths"])))


def finish(network: nn.Module, beside: Mapping[str, Tensor]) -> list[str]:
    """Takes the mean of w from `latent_avg`, style_dim or layers×style_dim (the same in each row).

    Without one it is computed, as upstream's own scripts do at every start: nothing to warn of.
    """
    assert isinstance(network, StyleGAN2Generator)
    average = beside.get("latent_avg")
    if average is None:
        network.set_w_mean()
        return []
    if average.numel() == 0 or average.shape[-1:] != (network.z_dim,):
        network.set_w_mean()
        return ["The file's latent_avg does not fit its network, so the mean of w was computed instead."]
    network.set_w_mean(average.reshape(-1, network.z_dim)[0])
    return []


STYLEGAN2 = Architecture(
    name="stylegan2",
    title="StyleGAN2 generator (Karras et al. 2020)",
    family="generator",
    build=StyleGAN2Generator,
    detect=detect,
    read=read,
    example={"size": 256, "style_dim": 512, "n_mlp": 8, "widths": published_widths(256)},
    output_range=SIGNED,
    latent_shape=lambda h: (h["style_dim"],),
    image_size=lambda h: h["size"],
    channels=lambda h: (h["channels"], h["channels"]),
    noise_shapes=noise_shapes,
    stored_noise_shapes=stored_noise_shapes,
    truncation="network",
    finish=finish,
)
