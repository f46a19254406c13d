"""R3GAN generator (Huang et al. 2024, arXiv:2501.05441): grouped residual blocks without any norm."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import comb

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.ranges import SIGNED
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes, StateDict

BASE = 4
SLOPE = 0.2
FILTERS = range(2, 17)  # taps; the published filter has 4
NO_BLOCK = (0, 1, 1, 1)  # stands for the middle convolution of a stage without blocks
WRAPPER = "Model."


class Convolution(nn.Module):
    """A convolution without bias under the key `Layer`, padded to keep the size."""

    def __init__(self, inner: int, outer: int, kernel: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.Layer = nn.Conv2d(inner, outer, kernel, padding=kernel // 2, groups=groups, bias=False)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(x, self.Layer.weight, bias, padding=self.Layer.padding, groups=self.Layer.groups)


class Bias(nn.Module):
    """The bias in front of an activation, which upstream keeps apart from the convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.Bias = nn.Parameter(torch.zeros(width))


class ResidualBlock(nn.Module):
    """1×1 convolution to more channels, grouped convolution, 1×1 convolution back, identity shortcut."""

    def __init__(self, width: int, expanded: int, groups: int, kernel: int) -> None:
        super().__init__()
        self.LinearLayer1 = Convolution(width, expanded)
        self.LinearLayer2 = Convolution(expanded, expanded, kernel, groups)
        self.LinearLayer3 = Convolution(expanded, width)
        self.NonLinearity1, self.NonLinearity2 = Bias(expanded), Bias(expanded)

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(self.LinearLayer1(x, self.NonLinearity1.Bias), SLOPE)
        h = F.leaky_relu(self.LinearLayer2(h, self.NonLinearity2.Bias), SLOPE)
        return x + self.LinearLayer3(h)


class Basis(nn.Module):
    """A learnt 4×4 map per channel, scaled by a linear function of the latent."""

    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        self.Basis = nn.Parameter(torch.ones(width, BASE, BASE))
        self.LinearLayer = nn.Linear(inner, width, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        return self.Basis * self.LinearLayer(z)[..., None, None]


class Resampler(nn.Module):
    """Twice the size: zeros between the pixels, then a low-pass filter with a gain of 4."""

    Kernel: Tensor

    def __init__(self, taps: int) -> None:
        super().__init__()
        if taps not in FILTERS:
            raise ValueError(f"no low-pass filter of {taps} taps")
        binomial = [comb(taps - 1, i) / 2 ** (taps - 1) for i in range(taps)]
        self.register_buffer("Kernel", torch.tensor([[a * b for a in binomial] for b in binomial]))
        self.padding = taps // 2 - 1

    def forward(self, x: Tensor) -> Tensor:
        _, channels, height, width = x.shape
        kernel = (4 * self.Kernel).expand(channels, 1, -1, -1)
        full = F.conv_transpose2d(x, kernel, stride=2, padding=self.padding, groups=channels)
        # As published, an odd number of taps reaches one row and column further after than before.
        return full[..., : 2 * height, : 2 * width]


class Upsampling(nn.Module):
    """A 1×1 convolution where the number of channels changes, then the resampler."""

    def __init__(self, inner: int, width: int, taps: int) -> None:
        super().__init__()
        self.Resampler = Resampler(taps)
        if inner != width:
            self.LinearLayer = Convolution(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.Resampler(self.LinearLayer(x) if hasattr(self, "LinearLayer") else x)


class Stage(nn.Module):
    """A transition to another size, then residual blocks."""

    def __init__(self, transition: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.Layers = nn.Sequential(transition, *blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.Layers(x)


class R3GANGenerator(nn.Module):
    """Stages of grouped residual blocks from a latent, and a class where it knows any, to a picture.

    Args:
        latent_dim: length of z.
        widths: channels of each stage; the first is 4×4 pixels and each further one doubles the size.
        expanded: channels inside the residual blocks of each stage.
        cardinalities: groups of the middle convolutions of each stage.
        blocks: residual blocks of each stage.
        classes: number of classes, 0 for an unconditional network.
        embedding_dim: length of a class's embedding.
        kernel: side of the middle convolutions.
        taps: length of the low-pass filter.
        channels: image channels.
    """

    def __init__(
        self,
        latent_dim: int,
        widths: Sequence[int],
        expanded: Sequence[int],
        cardinalities: Sequence[int],
        blocks: Sequence[int],
        classes: int = 0,
        embedding_dim: int = 0,
        kernel: int = 3,
        taps: int = 4,
        channels: int = 3,
    ) -> None:
        super().__init__()
        transitions: list[nn.Module] = [Basis(latent_dim + embedding_dim, widths[0])]
        transitions += [Upsampling(inner, outer, taps) for inner, outer in pairwise(widths)]
        self.MainLayers = nn.Sequential()
        for i, transition in enumerate(transitions):
            sizes = (widths[i], expanded[i], cardinalities[i], kernel)
            self.MainLayers.append(Stage(transition, [ResidualBlock(*sizes) for _ in range(blocks[i])]))
        self.AggregationLayer = Convolution(widths[-1], channels)
        self.classes = classes
        if classes:
            self.EmbeddingLayer = nn.Linear(classes, embedding_dim, bias=False)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents to pictures.

        Args:
            z: N×latent_dim, standard normal.
            labels: int64 N; needed by a conditional network, unused by another.

        Returns:
            N×channels×H×W, about [-1, 1]; nothing bounds it.

        Raises:
            ValueError: a conditional network was given no labels.
        """
        z = z.flatten(1)
        if self.classes:
            if labels is None:
                raise ValueError("This network draws classes: give labels, one for each latent.")
            one_hot = F.one_hot(labels, self.classes).to(z.dtype)
            z = torch.cat([z, self.EmbeddingLayer(one_hot).to(z.dtype)], dim=1)
        return self.AggregationLayer(self.MainLayers(z))


def canonical(state: StateDict) -> StateDict:
    """Takes off `Model.`, which the training code's wrapper puts before every key."""
    if state and all(key.startswith(WRAPPER) for key in state):
        return {key.removeprefix(WRAPPER): value for key, value in state.items()}
    return state


def detect(shapes: Shapes) -> bool:
    return (
        len(shapes.get("MainLayers.0.Layers.0.Basis", ())) == 3 and "AggregationLayer.Layer.weight" in shapes
    )


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    blocks = count_blocks(shapes)
    firsts = [f"MainLayers.{i}.Layers.1.LinearLayer2.Layer.weight" for i in range(len(blocks))]
    middles = [shapes.get(first, NO_BLOCK) for first in firsts]
    embedding_dim, classes = shapes.get("EmbeddingLayer.weight", (0, 0))
    return {
        "latent_dim": shapes["MainLayers.0.Layers.0.LinearLayer.weight"][1] - embedding_dim,
        "widths": read_widths(shapes, len(blocks)),
        "expanded": [middle[0] for middle in middles],
        "cardinalities": [middle[0] // middle[1] for middle in middles],
        "blocks": blocks,
        "classes": classes,
        "embedding_dim": embedding_dim,
        "kernel": max(middle[2] for middle in middles),
        "taps": shapes.get("MainLayers.1.Layers.0.Resampler.Kernel", (4,))[0],
        "channels": shapes["AggregationLayer.Layer.weight"][0],
    }


def read_widths(shapes: Shapes, stages: int) -> list[int]:
    """Channels of each stage: its transition changes their number, or keeps that of the stage before."""
    widths = [shapes["MainLayers.0.Layers.0.Basis"][0]]
    for i in range(1, stages):
        widths.append(shapes.get(f"MainLayers.{i}.Layers.0.LinearLayer.Layer.weight", widths[-1:])[0])
    return widths


def count_blocks(shapes: Shapes) -> list[int]:
    """Residual blocks of each stage, of which some may have none."""
    stages = {m[1] for k in shapes if (m := re.match(r"MainLayers\.([0-9]+)\.", k))}
    key = re.compile(r"MainLayers\.([0-9]+)\.Layers\.[0-9]+\.LinearLayer2\.Layer\.weight")
    found = Counter(int(m[1]) for k in shapes if (m := key.fullmatch(k)))
    return [found[i] for i in range(len(stages))]


R3GAN = Architecture(
    name="r3gan",
    title="R3GAN generator (Huang et al. 2024)",
    family="generator",
    build=R3GANGenerator,
    detect=detect,
    read=read,
    example={
        "latent_dim": 64,
        "widths": [768] * 4,
        "expanded": [1536] * 4,
        "cardinalities": [96] * 4,
        "blocks": [2] * 4,
    },
    canonical=canonical,
    output_range=SIGNED,
    latent_shape=lambda h: (h["latent_dim"],),
    image_size=lambda h: BASE * 2 ** (len(h["widths"]) - 1),
    channels=lambda h: (h["channels"], h["channels"]),
    classes=lambda h: h["classes"],
)
