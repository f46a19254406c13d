"""The layers of pythae's encoders and decoders (Chadebec et al. 2022, arXiv:2206.08309).

The library's default and benchmark nets, and those of its reproductions of papers. Padding and activations
are fixed per net and told by no tensor; widths are free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

from torch import Tensor, nn

from imgsynth.architectures.mlp_vae import linear_chain


class Gated(nn.Module):
    """Linear layer times a sigmoid of another (VampPrior, Tomczak & Welling 2018, arXiv:1705.07120)."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.h, self.g = nn.Linear(inner, outer), nn.Linear(inner, outer)

    def forward(self, x: Tensor) -> Tensor:
        return self.h(x) * self.g(x).sigmoid()


class ResBlock(nn.Module):
    """A 3×3 and a 1×1 convolution beside the identity; activations come first."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        narrow, widen = nn.Conv2d(width, hidden, 3, 1, 1), nn.Conv2d(hidden, width, 1)
        self.conv_block = nn.Sequential(nn.ReLU(), narrow, nn.ReLU(inplace=True), widen)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


@dataclass(frozen=True)
class Up:
    """A transposed convolution; `kernel` and whether there is a batch norm are what a file tells."""

    kernel: int
    stride: int
    padding: int
    output_padding: int = 0
    norm: bool = False
    activation: type[nn.Module] = nn.Identity

    def size(self, side: int) -> int:
        """Side of the output."""
        return (side - 1) * self.stride - 2 * self.padding + self.kernel + self.output_padding

    def module(self, inner: int, outer: int) -> nn.Sequential:
        layer = nn.ConvTranspose2d(inner, outer, self.kernel, self.stride, self.padding, self.output_padding)
        return nn.Sequential(layer, *([nn.BatchNorm2d(outer)] if self.norm else []), self.activation())


@dataclass(frozen=True)
class Residual:
    """A group of residual blocks."""

    activation: type[nn.Module] = nn.Identity
    kernel: int = 0  # tells it from an Up


# After the linear layer.
DECODERS: dict[str, tuple[Up | Residual, ...]] = {
    "conv_celeba": (
        Up(5, 2, 2, 0, True, nn.ReLU),
        Up(5, 2, 1, 0, True, nn.ReLU),
        Up(5, 2, 2, 1, True, nn.ReLU),
        Up(5, 1, 1, activation=nn.Sigmoid),
    ),
    "conv_cifar": (
        Up(4, 2, 1, 0, True, nn.ReLU),
        Up(4, 2, 1, 1, True, nn.ReLU),
        Up(4, 1, 2, activation=nn.Sigmoid),
    ),
    "conv_mnist": (
        Up(3, 2, 1, 0, True, nn.ReLU),
        Up(3, 2, 1, 1, True, nn.ReLU),
        Up(3, 2, 1, 1, activation=nn.Sigmoid),
    ),
    "resnet_celeba": (
        Up(3, 2, 1),
        Residual(),
        Up(5, 2, 1, activation=nn.Sigmoid),  # in mid-network, as published
        Up(5, 2, 1, 1),
        Up(4, 2, 1, activation=nn.Sigmoid),
    ),
    "resnet_cifar": (Residual(), Up(4, 2, 1), Up(4, 2, 1, activation=nn.Sigmoid)),
    "resnet_mnist": (
        Up(3, 2, 1),
        Residual(nn.ReLU),
        Up(3, 2, 1, 1, activation=nn.ReLU),
        Up(3, 2, 1, 1, activation=nn.Sigmoid),
    ),
}
LINEAR = ("mlp", "tanh", "gated")


def encoder_layers(
    kind: str, shape: Sequence[int], activation: type[nn.Module], widths: Sequence[int], **details: Any
) -> list[nn.Module]:
    """Picture (flattened, for the linear kinds) → features.

    Args:
        kind: mlp, tanh or gated; conv or resnet.
        shape: the picture's channels, height and width.
        activation: of an mlp.
        widths: outputs of each layer.
        details: of the convolutional kinds, see `convolutions`.
    """
    if kind in LINEAR:
        return linear_layers(kind, [prod(shape), *widths], activation)
    return convolutions([shape[0], *widths], kind == "conv", **details)


def convolutions(
    widths: Sequence[int], norm: bool, kernels: Sequence[int], stride: int, residual: Sequence[int]
) -> list[nn.Module]:
    """Convolutions, with batch norm and ReLU or neither, then residual blocks.

    Args:
        widths: channels of the picture and after each convolution.
        norm: whether batch norm and ReLU follow each convolution.
        kernels: size of each; those of 4 halve the picture.
        stride: of the kernels of 3.
        residual: hidden channels of each residual block.
    """
    layers: list[nn.Module] = []
    for (inner, outer), kernel in zip(pairwise(widths), kernels, strict=True):
        layer = nn.Conv2d(inner, outer, kernel, stride if kernel == 3 else 2, 1)
        layers.append(nn.Sequential(layer, *([nn.BatchNorm2d(outer), nn.ReLU(inplace=True)] if norm else [])))
    if residual:
        layers.append(nn.Sequential(*(ResBlock(widths[-1], hidden) for hidden in residual)))
    return layers


def decoder_layers(
    kind: str,
    latent_dim: int,
    shape: Sequence[int],
    activation: type[nn.Module],
    widths: Sequence[int],
    base: int = 1,
    residual: Sequence[int] = (),
) -> list[nn.Module]:
    """Latent → picture (flattened, from the linear kinds) in [0, 1]; logits from softplus.

    Args:
        kind: mlp, tanh or gated, or one of DECODERS.
        latent_dim: length of z.
        shape: the picture's channels, height and width.
        activation: of an mlp.
        widths: hidden layers; of a convolutional kind, channels before each transposed convolution.
        base: side of the map that a convolutional kind starts from.
        residual: hidden channels of each residual block.
    """
    if kind in LINEAR:
        bounded = [] if activation is nn.Softplus else [nn.Sigmoid()]
        last = [nn.Linear(widths[-1], prod(shape)), *bounded]
        hidden = linear_layers(kind, [latent_dim, *widths], activation)
        return [*hidden, *(last if kind == "tanh" else [nn.Sequential(*last)])]
    layers: list[nn.Module] = [nn.Sequential(nn.Linear(latent_dim, widths[0] * base**2))]
    steps, width = pairwise([*widths, shape[0]]), widths[0]
    for stage in DECODERS[kind]:
        if isinstance(stage, Up):
            inner, width = next(steps)
            layers.append(stage.module(inner, width))
        else:
            layers.append(nn.Sequential(*(ResBlock(width, h) for h in residual), stage.activation()))
    return layers


def linear_layers(kind: str, widths: Sequence[int], activation: type[nn.Module]) -> list[nn.Module]:
    """mlp: a place for each layer; tanh: places for layers and activations; gated: one place for all."""
    if kind == "gated":
        return [nn.Sequential(*(Gated(a, b) for a, b in pairwise(widths)))]
    if kind == "tanh":
        return linear_chain(widths, nn.Tanh)
    return [nn.Sequential(nn.Linear(a, b), activation()) for a, b in pairwise(widths)]
