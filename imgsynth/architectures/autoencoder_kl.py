"""AutoencoderKL, the codec of latent diffusion (Kingma & Welling 2014, arXiv:1312.6114; Rombach et al. 2022,
arXiv:2112.10752).

The keys are those of diffusers; its older attention names and the CompVis layout are brought to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.activations import ACTIVATIONS, activation_in
from imgsynth.architectures.autoencoder_kl_spellings import canonical
from imgsynth.architectures.ranges import SIGNED
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes

Resampling = Literal["downsample", "upsample"]

EPSILON = 1e-6
LOG_VARIANCE_BOUNDS = (-30.0, 20.0)


@dataclass(frozen=True)
class Style:
    """What every block has in common: groups of the group norms, and the activation's name."""

    groups: int
    act_fn: str

    def norm(self, width: int) -> nn.GroupNorm:
        return nn.GroupNorm(self.groups, width, eps=EPSILON)

    def activation(self) -> nn.Module:
        return ACTIVATIONS[self.act_fn]()


class ResnetBlock(nn.Module):
    """Norm, activation and 3×3 convolution, twice, around a shortcut."""

    def __init__(self, inner: int, outer: int, style: Style) -> None:
        super().__init__()
        self.norm1, self.conv1 = style.norm(inner), nn.Conv2d(inner, outer, 3, 1, 1)
        self.norm2, self.conv2 = style.norm(outer), nn.Conv2d(outer, outer, 3, 1, 1)
        self.conv_shortcut = nn.Conv2d(inner, outer, 1) if inner != outer else nn.Identity()
        self.activation = style.activation()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(self.activation(self.norm1(x)))
        h = self.conv2(self.activation(self.norm2(h)))
        return self.conv_shortcut(x) + h


class Attention(nn.Module):
    """Self-attention between all pixels, in one head."""

    def __init__(self, width: int, style: Style) -> None:
        super().__init__()
        self.group_norm = style.norm(width)
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Tensor) -> Tensor:
        # N×1×pixels×C: with a head dimension, the kernels that never hold all pairs of pixels can be chosen.
        pixels = self.group_norm(x).flatten(2).transpose(1, 2)[:, None]
        mixed = F.scaled_dot_product_attention(self.to_q(pixels), self.to_k(pixels), self.to_v(pixels))
        return x + self.to_out[0](mixed[:, 0]).transpose(1, 2).reshape(x.shape)


class Downsample(nn.Module):
    """3×3 convolution of stride 2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))  # zeros on the right and at the bottom only


class Upsample(nn.Module):
    """Nearest ×2, then a 3×3 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """Residual blocks at one resolution, each followed by attention where there is any, then a resampling."""

    def __init__(
        self, inner: int, outer: int, layers: int, attends: bool, style: Style, then: Resampling | None
    ) -> None:
        super().__init__()
        widths = [inner, *[outer] * layers]
        self.resnets = nn.ModuleList(ResnetBlock(a, b, style) for a, b in pairwise(widths))
        self.attentions = nn.ModuleList(Attention(outer, style) for _ in range(layers if attends else 0))
        self.downsamplers = nn.ModuleList([Downsample(outer)] if then == "downsample" else [])
        self.upsamplers = nn.ModuleList([Upsample(outer)] if then == "upsample" else [])

    def forward(self, x: Tensor) -> Tensor:
        for i, resnet in enumerate(self.resnets):
            x = resnet(x)
            if self.attentions:
                x = self.attentions[i](x)
        for resample in (*self.downsamplers, *self.upsamplers):
            x = resample(x)
        return x


class MidBlock(nn.Module):
    """Two residual blocks around an attention, at the lowest resolution."""

    def __init__(self, width: int, attends: bool, style: Style) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([Attention(width, style)] if attends else [])
        self.resnets = nn.ModuleList(ResnetBlock(width, width, style) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.resnets[0](x)
        for attention in self.attentions:
            x = attention(x)
        return self.resnets[1](x)


@dataclass(frozen=True)
class Half:
    """What encoder and decoder are told alike; `widths` and `attention` go by level, finest first."""

    widths: Sequence[int]
    attention: Sequence[bool]
    layers: int
    mid_attention: bool
    style: Style

    def levels(
        self, widths: Sequence[int], attention: Sequence[bool], layers: int, then: Resampling
    ) -> Iterator[Level]:
        """Levels through these widths in the order in which they run; all but the last resample."""
        for i, (inner, outer) in enumerate(pairwise(widths)):
            last = i == len(widths) - 2
            yield Level(inner, outer, layers, attention[i], self.style, None if last else then)


class Encoder(nn.Module):
    """Picture → moments of the latents."""

    def __init__(self, channels: int, outputs: int, half: Half) -> None:
        super().__init__()
        style, widths, deepest = half.style, half.widths, half.widths[-1]
        self.conv_in = nn.Conv2d(channels, widths[0], 3, 1, 1)
        self.down_blocks = nn.ModuleList(
            half.levels([widths[0], *widths], half.attention, half.layers, "downsample")
        )
        self.mid_block = MidBlock(deepest, half.mid_attention, style)
        self.conv_norm_out = style.norm(deepest)
        self.conv_out = nn.Conv2d(deepest, outputs, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for level in self.down_blocks:
            h = level(h)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(h))))


class Decoder(nn.Module):
    """Latents → picture; a level has one residual block more than the encoder's."""

    def __init__(self, inputs: int, channels: int, half: Half) -> None:
        super().__init__()
        style, widths, deepest = half.style, half.widths, half.widths[-1]
        self.conv_in = nn.Conv2d(inputs, deepest, 3, 1, 1)
        self.mid_block = MidBlock(deepest, half.mid_attention, style)
        self.up_blocks = nn.ModuleList(
            half.levels([deepest, *widths[::-1]], half.attention[::-1], half.layers + 1, "upsample")
        )
        self.conv_norm_out = style.norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], channels, 3, 1, 1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.mid_block(self.conv_in(z))
        for level in self.up_blocks:
            h = level(h)
        return self.conv_out(F.silu(self.conv_norm_out(h)))


class AutoencoderKL(nn.Module):
    """Picture ↔ latents that a diffusion model would work on.

    Args:
        in_channels, out_channels: image channels.
        block_out_channels: encoder channels by level, finest first; each level but the last halves the size.
        decoder_block_out_channels: the decoder's, finest first too.
        layers_per_block: residual blocks of an encoder level; a decoder level has one more.
        latent_channels: channels of the latents.
        z_channels: channels between the quantisation convolutions and the rest; None for the same number.
        double_z: whether the encoder gives a log-variance beside the mean.
        use_quant_conv, use_post_quant_conv: whether 1×1 convolutions follow the encoder, precede the decoder.
        mid_block_add_attention: attention at the lowest resolution.
        attention, decoder_attention: levels with attention of their own, finest first; None for no level.
        norm_num_groups: groups of every group norm (no shape tells; 32 in every known file).
        act_fn: name of the activation in the residual blocks; the last one of each half is always SiLU.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        block_out_channels: Sequence[int] = (128, 256, 512, 512),
        decoder_block_out_channels: Sequence[int] | None = None,
        layers_per_block: int = 2,
        latent_channels: int = 4,
        z_channels: int | None = None,
        double_z: bool = True,
        use_quant_conv: bool = True,
        use_post_quant_conv: bool = True,
        mid_block_add_attention: bool = True,
        attention: Sequence[bool] | None = None,
        decoder_attention: Sequence[bool] | None = None,
        norm_num_groups: int = 32,
        act_fn: str = "silu",
    ) -> None:
        super().__init__()
        style, inner = Style(norm_num_groups, act_fn), z_channels or latent_channels

        def half(widths: Sequence[int], attends: Sequence[bool] | None) -> Half:
            attends = attends or [False] * len(widths)
            return Half(widths, attends, layers_per_block, mid_block_add_attention, style)

        moments = 2 if double_z else 1
        self.double_z = double_z
        self.encoder = Encoder(in_channels, moments * inner, half(block_out_channels, attention))
        self.quant_conv = (
            nn.Conv2d(moments * inner, moments * latent_channels, 1) if use_quant_conv else nn.Identity()
        )
        self.post_quant_conv = nn.Conv2d(latent_channels, inner, 1) if use_post_quant_conv else nn.Identity()
        decoder_widths = decoder_block_out_channels or block_out_channels
        self.decoder = Decoder(inner, out_channels, half(decoder_widths, decoder_attention))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """N×C×H×W in [-1, 1] → mean and log-variance of the latents, each N×latent_channels×h×w.

        Height and width must be multiples of 2^(levels−1), by which h and w are smaller. Latents are as the
        network has them; the scaling factor of a diffusion model is not applied.
        """
        moments = self.quant_conv(self.encoder(x))
        if not self.double_z:
            return moments, None
        mean, log_variance = moments.chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_BOUNDS)

    def decode(self, z: Tensor) -> Tensor:
        """N×latent_channels×h×w → N×C×H×W, about [-1, 1] but not bounded."""
        return self.decoder(self.post_quant_conv(z))

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction at the mean."""
        return self.decode(self.encode(x)[0])


def detect(shapes: Shapes) -> bool:
    needed = (
        "encoder.conv_in.weight",
        "encoder.down_blocks.0.resnets.0.conv1.weight",
        "encoder.mid_block.resnets.0.conv1.weight",
        "decoder.up_blocks.0.resnets.0.conv1.weight",
    )
    # Video codecs have five dimensions; vector-quantised ones (VQGAN) a codebook that this network lacks.
    return all(len(shapes.get(k, ())) == 4 for k in needed) and not any(
        k.startswith("quantize.") for k in shapes
    )


def count(shapes: Shapes, key: str) -> int:
    """How many keys read `key` with a number for its N."""
    pattern = re.compile(re.escape(key).replace("N", "[0-9]+"))
    return sum(bool(pattern.fullmatch(k)) for k in shapes)


def read_levels(shapes: Shapes, blocks: str) -> tuple[list[int], list[bool]]:
    """Output channels of each level in the order of the keys, and whether it has attention."""
    levels = range(count(shapes, f"{blocks}.N.resnets.0.conv1.weight"))
    widths = [shapes[f"{blocks}.{i}.resnets.0.conv1.weight"][0] for i in levels]
    return widths, [f"{blocks}.{i}.attentions.0.to_q.weight" in shapes for i in levels]


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    widths, attention = read_levels(shapes, "encoder.down_blocks")
    decoder_widths, decoder_attention = read_levels(shapes, "decoder.up_blocks")
    inner = shapes["decoder.conv_in.weight"][1]
    latents = shapes["post_quant_conv.weight"][1] if "post_quant_conv.weight" in shapes else inner
    groups = int(hints.get("norm_num_groups", 32))
    if groups < 1:
        raise ValueError("a group norm has one group at least")
    return {
        "in_channels": shapes["encoder.conv_in.weight"][1],
        "out_channels": shapes["decoder.conv_out.weight"][0],
        "block_out_channels": widths,
        "decoder_block_out_channels": decoder_widths[::-1],
        "layers_per_block": count(shapes, "encoder.down_blocks.0.resnets.N.conv1.weight"),
        "latent_channels": latents,
        "z_channels": inner,
        "double_z": shapes["encoder.conv_out.weight"][0] == 2 * inner,
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
        "mid_block_add_attention": "encoder.mid_block.attentions.0.to_q.weight" in shapes,
        "attention": attention,
        "decoder_attention": decoder_attention[::-1],
        "norm_num_groups": groups,
        "act_fn": activation_in(hints, "silu"),
    }


AUTOENCODER_KL = Architecture(
    name="autoencoder_kl",
    title="AutoencoderKL, latent diffusion's codec (Rombach et al. 2022)",
    family="autoencoder",
    build=AutoencoderKL,
    detect=detect,
    read=read,
    example={},
    canonical=canonical,
    output_range=SIGNED,
    input_range=SIGNED,
    multiple=lambda h: 2 ** (len(h["block_out_channels"]) - 1),
    channels=lambda h: (h["in_channels"], h["out_channels"]),
    prior=False,
)
