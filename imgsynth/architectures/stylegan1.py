"""StyleGAN generator with AdaIN (Karras et al. 2019, arXiv:1812.04948).

The layout is that of `hajar001/stylegan2-ffhq-128`, which is a StyleGAN of the first kind despite its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

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
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes

BASE = 4  # side of the learned constant


class EqualConv2d(nn.Module):
    """Convolution that keeps the size, its weights scaled as they are used."""

    def __init__(self, inner: int, outer: int, kernel: int, gain: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outer, inner, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outer))
        self.scale = (gain / (inner * kernel**2)) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding="same")


class Blur(nn.Module):
    """3×3 binomial filter; beyond the border lie zeros."""

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("kernel", torch.outer(taps, taps)[None, None])

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel: Tensor = self.get_buffer("kernel")
        return F.conv2d(x, kernel.expand(channels, -1, -1, -1), padding=1, groups=channels)


class NoiseInjection(nn.Module):
    """Adds one noise map to all channels, in amounts that are learnt."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        if noise is None:
            noise = torch.randn_like(x[:, :1])
        return x + self.weight * noise


class AdaIN(nn.Module):
    """Adaptive instance normalisation: mean and deviation of each channel come from w."""

    def __init__(self, channels: int, w_dim: int) -> None:
        super().__init__()
        self.style_scale = EqualLinear(w_dim, channels, gain=2)
        self.style_bias = EqualLinear(w_dim, channels, gain=2)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        # Samples laid side by side as channels: normalising and styling are then one pass over the maps.
        # The scale is the style itself, not 1 plus it.
        side_by_side = x.reshape(1, -1, *x.shape[2:])
        scale, bias = self.style_scale(w).flatten(), self.style_bias(w).flatten()
        return F.instance_norm(side_by_side, weight=scale, bias=bias).view_as(x)


class StyleBlock(nn.Module):
    """[Upsampling, blur,] 3×3 convolution, noise, leaky ReLU, AdaIN."""

    def __init__(self, inner: int, outer: int, w_dim: int, upsample: bool = False) -> None:
        super().__init__()
        self.blur = Blur() if upsample else None
        self.conv = EqualConv2d(inner, outer, 3, gain=2)
        self.noise = NoiseInjection(outer)
        self.adain = AdaIN(outer, w_dim)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        if self.blur is not None:
            x = self.blur(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
        return self.adain(F.leaky_relu_(self.noise(self.conv(x), noise), SLOPE), w)


class SynthesisNetwork(nn.Module):
    """w → picture: two blocks at 4×4, then two for each doubling of the size.

    Args:
        w_dim: length of w.
        widths: channels at 4×4, 8×8, ….
        channels: image channels.
    """

    def __init__(self, w_dim: int, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.const = nn.Parameter(torch.ones(1, widths[0], BASE, BASE))
        self.initial_conv1 = StyleBlock(widths[0], widths[0], w_dim)
        self.initial_conv2 = StyleBlock(widths[0], widths[0], w_dim)
        self.blocks = nn.ModuleList()
        for inner, outer in pairwise(widths):
            self.blocks.append(StyleBlock(inner, outer, w_dim, upsample=True))
            self.blocks.append(StyleBlock(outer, outer, w_dim))
        self.to_rgb = EqualConv2d(widths[-1], channels, 1, gain=1)

    @property
    def layers(self) -> int:
        return 2 + len(self.blocks)

    def forward(self, w: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """w, N×w_dim or N×layers×w_dim → N×channels×H×W in [-1, 1]; noise is drawn where none is given."""
        x = self.const.expand(len(w), -1, -1, -1)
        blocks = [self.initial_conv1, self.initial_conv2, *self.blocks]
        maps: Sequence[Tensor | None] = noise or [None] * self.layers
        for block, style, noise_map in zip(blocks, per_layer(w, self.layers), maps, strict=True):
            x = block(x, style, noise_map)
        return self.to_rgb(x).tanh()


class MappingNetwork(nn.Module):
    """z, N×z_dim → w, N×w_dim; z is normalised first."""

    def __init__(self, z_dim: int, w_dim: int, layers: int) -> None:
        super().__init__()
        self.pixel_norm = PixelNorm()
        self.mapping = nn.Sequential()
        for i in range(layers):
            self.mapping.append(EqualLinear(w_dim if i else z_dim, w_dim, gain=2))
            self.mapping.append(nn.LeakyReLU(SLOPE))

    def forward(self, z: Tensor) -> Tensor:
        return self.mapping(self.pixel_norm(z))


class StyleGAN1Generator(MappingGenerator):
    """Mapping network and style-based synthesis.

    Args:
        z_dim: length of z.
        w_dim: length of w.
        mapping_layers: depth of the mapping network.
        widths: channels at 4×4, 8×8, … up to the picture's size.
        channels: image channels.
    """

    def __init__(
        self, z_dim: int, w_dim: int, mapping_layers: int, widths: Sequence[int], channels: int = 3
    ) -> None:
        super().__init__()
        self.z_dim = z_dim
        self.mapping = MappingNetwork(z_dim, w_dim, mapping_layers)
        self.synthesis = SynthesisNetwork(w_dim, widths, channels)
        self.layers = self.synthesis.layers
        self.register_buffer("w_mean", torch.zeros(w_dim))


def detect(shapes: Shapes) -> bool:
    return (
        len(shapes.get("mapping.mapping.0.weight", ())) == 2
        and len(shapes.get("synthesis.const", ())) == 4
        and "synthesis.initial_conv1.adain.style_scale.weight" in shapes
    )


def read(shapes: Shapes, _: Hints) -> Hyperparameters:
    upsamplings = count(shapes, r"synthesis\.blocks\.\d+\.blur\.kernel")
    widths = [shapes["synthesis.const"][1]]
    widths += [shapes[f"synthesis.blocks.{2 * i}.conv.weight"][0] for i in range(upsamplings)]
    w_dim, z_dim = shapes["mapping.mapping.0.weight"]
    return {
        "z_dim": plausible_latent(z_dim),
        "w_dim": w_dim,
        "mapping_layers": count(shapes, r"mapping\.mapping\.\d+\.weight"),
        "widths": widths,
        "channels": shapes["synthesis.to_rgb.weight"][0],
    }


def noise_shapes(h: Hyperparameters) -> tuple[tuple[int, int], ...]:
    sides = [BASE * 2**i for i in range(len(h["widths"]))]
    return tuple((side, side) for side in sides for _ in range(2))


def finish(network: nn.Module, _: Mapping[str, Tensor]) -> list[str]:
    """Computes the mean of w where it was never written: upstream does so lazily, and saves zeros."""
    assert isinstance(network, StyleGAN1Generator)
    if network.w_mean.any():
        return []
    network.set_w_mean()
    return ["The file holds no mean of w (its w_mean is all zeros), so it was computed from seeded latents."]


STYLEGAN1 = Architecture(
    name="stylegan1",
    title="StyleGAN generator with AdaIN (Karras et al. 2019)",
    family="generator",
    build=StyleGAN1Generator,
    detect=detect,
    read=read,
    example={
        "z_dim": 512,
        "w_dim": 512,
        "mapping_layers": 8,
        "widths": [512, 512, 256, 256, 128, 128],
    },
    latent_shape=lambda h: (h["z_dim"],),
    image_size=lambda h: BASE * 2 ** (len(h["widths"]) - 1),
    channels=lambda h: (h["channels"], h["channels"]),
    noise_shapes=noise_shapes,
    truncation="network",
    finish=finish,
)
