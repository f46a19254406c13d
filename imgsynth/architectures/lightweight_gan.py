"""Lightweight GAN generator (Liu et al. 2021, arXiv:2101.04775), as the package lightweight-gan builds it.

Its releases differ in how a stage doubles the size, and in the attention. Keys and shapes tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.lightweight_gan_parts import (
    ATTENTION,
    Blur,
    FrequencyAttention,
    GlobalContext,
    Noise,
    PixelShuffleUpsample,
    same_conv4x4,
)
from imgsynth.architectures.ranges import UNIT
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes

FIRST_SIDE = 4
# The stages that make 16, 32, 64 and 128 pixels a side gate the stage that makes eight times as many.
GATING_STAGES = range(1, 5)
GATE_REACH = 3
MOST_STAGES = 12  # pictures of 16384 pixels a side


@dataclass(frozen=True)
class Layout:
    """How a stage of some releases doubles the size.

    Attributes:
        upsampling: "nearest", "bilinear", "shuffle" (at the width before it) or "narrow shuffle" (after).
        kernel: side of the convolution that follows.
        noise: whether noise is added to what it gives.
    """

    upsampling: str
    kernel: int
    noise: bool


# Release 0.21.3 alone was bilinear before 4×4 kernels; no key tells it from 0.21.4, so it opens as "0.22".
LAYOUTS = {
    "huggan": Layout("nearest", 3, noise=False),  # and releases 0.16 to 0.20, from which it was copied
    "0.21": Layout("bilinear", 3, noise=True),
    "0.22": Layout("nearest", 4, noise=True),  # and 0.21.4 and 0.23
    "1.0": Layout("narrow shuffle", 4, noise=True),
    "pypi": Layout("shuffle", 4, noise=True),  # 1.1 and later
}


class UpsamplingBlock(nn.Sequential):
    """Doubles the size: upsampling, blur, convolution, noise, batch norm, gated linear unit."""

    def __init__(self, inner: int, outer: int, layout: Layout, antialias: bool) -> None:
        middle = outer if layout.upsampling == "narrow shuffle" else inner
        upsampling: nn.Module = nn.Upsample(scale_factor=2, mode="nearest")
        if layout.upsampling == "bilinear":
            upsampling = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        elif layout.upsampling != "nearest":
            upsampling = PixelShuffleUpsample(inner, middle)
        blur = Blur() if antialias else nn.Identity()
        conv = same_conv4x4 if layout.kernel == 4 else partial(nn.Conv2d, kernel_size=3, padding=1)
        noise = [Noise()] if layout.noise else []
        super().__init__(
            upsampling, blur, conv(middle, outer * 2), *noise, nn.BatchNorm2d(outer * 2), nn.GLU(dim=1)
        )

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        for module in self:
            x = module(x, noise) if isinstance(module, Noise) else module(x)
        return x


class Stage(nn.ModuleDict):
    """Attention where there is any, the block that doubles the size, and a gate for a later stage.

    The parts' names are their positions in the original.
    """

    def __init__(self, block: nn.Module, gate: nn.Module | None, attention: nn.Module | None) -> None:
        parts = {"0": block, "1": gate, "2": attention}
        super().__init__({name: part for name, part in parts.items() if part is not None})

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        if "2" in self:
            x = x + self["2"](x)
        return self["0"](x, noise)

    def gate(self, x: Tensor) -> Tensor | None:
        """N×C×1×1, from what `forward` gave."""
        return self["1"](x) if "1" in self else None


class LightweightGAN(nn.Module):
    """Stages that double the size, gated by global features of much smaller ones.

    Args:
        latent_dim: length of z.
        widths: channels after each stage; the first makes 8×8 pixels.
        channels: picture channels: 3, 1 (greyscale) or 4 (transparent).
        layout: a key of `LAYOUTS`.
        attention: "none", "linear", "scaled" or "linear and local".
        attention_sides: sides of the feature maps that have attention.
        gate: "context" or "frequency".
        antialias: blurs after upsampling.
    """

    def __init__(
        self,
        latent_dim: int,
        widths: Sequence[int],
        channels: int = 3,
        layout: str = "pypi",
        attention: str = "none",
        attention_sides: Sequence[int] = (),
        gate: str = "context",
        antialias: bool = False,
    ) -> None:
        super().__init__()
        self.initial_conv = nn.Sequential(
            nn.ConvTranspose2d(latent_dim, latent_dim * 2, FIRST_SIDE),
            nn.BatchNorm2d(latent_dim * 2),
            nn.GLU(dim=1),
        )
        self.layers = nn.ModuleList()
        for i, (inner, outer) in enumerate(pairwise([latent_dim, *widths])):
            side = FIRST_SIDE * 2**i
            self.layers.append(
                Stage(
                    UpsamplingBlock(inner, outer, LAYOUTS[layout], antialias),
                    gate_of(gate, outer, widths[i + GATE_REACH], side * 2) if gates(i, widths) else None,
                    ATTENTION[attention](inner) if side in attention_sides else None,
                )
            )
        self.out_conv = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, z: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Latents to pictures.

        Args:
            z: N×latent_dim or N×latent_dim×1×1, standard normal.
            noise: for layouts with noise, a map N×1×H×W for each stage, drawn from N(0, 1) if unsaid.

        Returns:
            N×channels×H×W, meant to be clamped to [0, 1].
        """
        x = self.initial_conv(z.reshape(len(z), -1, 1, 1))
        x = F.normalize(x, dim=1)
        waiting: dict[int, Tensor] = {}
        for i, stage in enumerate(self.layers):
            assert isinstance(stage, Stage)
            x = stage(x, noise[i] if noise else None)
            factors = stage.gate(x)
            if factors is not None:
                waiting[i + GATE_REACH] = factors
            if i in waiting:
                x = x * waiting.pop(i)
        return self.out_conv(x)


def gates(stage: int, widths: Sequence[int]) -> bool:
    """Whether a stage gates a later one."""
    return stage in GATING_STAGES and stage + GATE_REACH < len(widths)


def gate_of(kind: str, inner: int, outer: int, side: int) -> nn.Module:
    return FrequencyAttention(inner, outer, side) if kind == "frequency" else GlobalContext(inner, outer)


def detect(shapes: Shapes) -> bool:
    convs = {"layers.0.0.2.weight", "layers.0.0.2.1.weight"}
    return {"initial_conv.0.weight", "out_conv.weight"} <= shapes.keys() and bool(convs & shapes.keys())


def layout_of(shapes: Shapes) -> str:
    if "layers.0.0.2.weight" in shapes:
        return "huggan" if "layers.0.0.3.running_mean" in shapes else "0.21"
    shuffles = [s for k, s in shapes.items() if re.fullmatch(r"layers\.\d+\.0\.0\.net\.0\.weight", k)]
    if not shuffles:
        return "0.22"
    return "pypi" if all(outer == inner * 4 for outer, inner, *_ in shuffles) else "1.0"


def attention_of(shapes: Shapes, stages: int) -> tuple[str, list[int]]:
    """Its kind, and the sides of the feature maps that have it."""
    attending = [i for i in range(stages) if f"layers.{i}.2.fn.to_q.weight" in shapes]
    if not attending:
        return "none", []
    first = f"layers.{attending[0]}.2"
    kind = "linear and local" if f"{first}.fn.to_lin_q.weight" in shapes else "linear"
    return "scaled" if f"{first}.g" in shapes else kind, [FIRST_SIDE * 2**i for i in attending]


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    layout = layout_of(shapes)
    conv = "0.2.1" if LAYOUTS[layout].kernel == 4 else "0.2"
    stages = len({k.split(".")[1] for k in shapes if k.startswith("layers.")})
    if stages > MOST_STAGES:
        raise ValueError("more stages than any picture needs")
    attention, sides = attention_of(shapes, stages)
    return {
        "latent_dim": shapes["initial_conv.0.weight"][0],
        "widths": [shapes[f"layers.{i}.{conv}.weight"][0] // 2 for i in range(stages)],
        "channels": shapes["out_conv.weight"][0],
        "layout": layout,
        "attention": attention,
        "attention_sides": sides,
        "gate": "frequency" if any(k.endswith(".1.dct_weights") for k in shapes) else "context",
        "antialias": "layers.0.0.1.f" in shapes,
    }


def noise_shapes(h: Hyperparameters) -> tuple[tuple[int, int], ...]:
    if not LAYOUTS[h["layout"]].noise:
        return ()
    sides = [FIRST_SIDE * 2 ** (i + 1) for i in range(len(h["widths"]))]
    return tuple((side, side) for side in sides)


LIGHTWEIGHT_GAN = Architecture(
    name="lightweight_gan",
    title="Lightweight GAN generator (Liu et al. 2021)",
    family="generator",
    build=LightweightGAN,
    detect=detect,
    read=read,
    example={"latent_dim": 256, "widths": [512, 512, 256, 128, 64, 32]},
    output_range=UNIT,
    latent_shape=lambda h: (h["latent_dim"],),
    image_size=lambda h: FIRST_SIDE * 2 ** len(h["widths"]),
    channels=lambda h: (h["channels"], h["channels"]),
    noise_shapes=noise_shapes,
)
