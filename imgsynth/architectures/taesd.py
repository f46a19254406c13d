"""TAESD, a tiny codec distilled from latent diffusion's (Boer Bohan 2023, github.com/madebyollin/taesd).

It is published in two layouts: bare, two files of one `nn.Sequential` each, for pictures in [0, 1]; and as
diffusers' AutoencoderTiny, one file, for pictures in [-1, 1]. The network is the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from imgsynth.architectures.activations import ACTIVATIONS, activation_in
from imgsynth.architectures.ranges import SIGNED, UNIT
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes, StateDict

Stem = Literal["plain", "strided", "patched"]

LAYER_KEY = re.compile(r"([0-9]{1,4})\.(?:(?:conv\.[024]|pool\.[013])\.)?(?:weight|bias)")
DIFFUSERS_KEY = re.compile(r"(encoder|decoder)\.layers\.([0-9]{1,4})\.(.+)")
POOL_GROUPS = 4
POOL_EXPANSION = 4


def conv(inner: int, outer: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, 3, stride, 1, bias=bias)


class Clamp(nn.Module):
    """Bends latents smoothly into [-3, 3]."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z / 3) * 3


class Block(nn.Module):
    """Three 3×3 convolutions around a shortcut; a pooled block first adds a wide, group-normalised branch."""

    def __init__(self, width: int, act_fn: str, pooled: bool) -> None:
        super().__init__()
        inner = ACTIVATIONS[act_fn]
        self.conv = nn.Sequential(
            conv(width, width), inner(), conv(width, width), inner(), conv(width, width)
        )
        self.fuse = nn.ReLU(inplace=True)  # whatever the inner activation
        self.pool = pool(width) if pooled else None

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return self.fuse(self.conv(x) + x)


def pool(width: int) -> nn.Sequential:
    wide = width * POOL_EXPANSION
    widen, narrow = nn.Conv2d(width, wide, 1, bias=False), nn.Conv2d(wide, width, 1, bias=False)
    return nn.Sequential(widen, nn.GroupNorm(POOL_GROUPS, wide), nn.ReLU(inplace=True), narrow)


def stem_layers(stem: Stem, channels: int, widths: Sequence[int]) -> list[nn.Module]:
    """What the encoder has before its first block.

    plain: one convolution; strided: two of stride 2 (taesana); patched: one, over patches of 2×2 (taeqi).
    """
    if stem == "strided":
        return [conv(channels, widths[0], 2), nn.ReLU(), conv(widths[0], widths[1], 2), nn.ReLU()]
    if stem == "patched":
        return [nn.PixelUnshuffle(2), conv(channels * 4, widths[0]), nn.ReLU()]
    return [conv(channels, widths[0])]


class TAESD(nn.Module):
    """Tiny codec in the bare layout, both halves joined.

    Args:
        channels, output_channels: image channels.
        latent_channels: channels of the latents.
        encoder_widths, encoder_blocks: channels of each stage in the order in which they run, and how many
            residual blocks it has. A strided stem's first convolution is a stage without blocks.
        decoder_widths, decoder_blocks: the decoder's.
        pooled: whether the blocks next to the latents have a group-normalised branch (taef2).
        stem: see `stem_layers`.
        act_fn: name of the activation.
        upsample_fn, upsampling_scaling_factor: how the decoder enlarges.
    """

    def __init__(
        self,
        channels: int = 3,
        output_channels: int = 3,
        latent_channels: int = 4,
        encoder_widths: Sequence[int] = (64, 64, 64, 64),
        encoder_blocks: Sequence[int] = (1, 3, 3, 3),
        decoder_widths: Sequence[int] = (64, 64, 64, 64),
        decoder_blocks: Sequence[int] = (3, 3, 3, 1),
        pooled: bool = False,
        stem: Stem = "plain",
        act_fn: str = "relu",
        upsample_fn: str = "nearest",
        upsampling_scaling_factor: int = 2,
    ) -> None:
        super().__init__()
        start = 1 if stem == "strided" else 0
        layers = stem_layers(stem, channels, encoder_widths)
        for i in range(start, len(encoder_widths)):
            if i > start:
                layers.append(conv(encoder_widths[i - 1], encoder_widths[i], 2, bias=False))
            deepest = i == len(encoder_widths) - 1
            layers += [Block(encoder_widths[i], act_fn, pooled and deepest) for _ in range(encoder_blocks[i])]
        layers.append(conv(encoder_widths[-1], latent_channels))
        self.encoder: nn.Module = nn.Sequential(*layers)

        layers = [Clamp(), conv(latent_channels, decoder_widths[0]), ACTIVATIONS[act_fn]()]
        layers += [Block(decoder_widths[0], act_fn, pooled) for _ in range(decoder_blocks[0])]
        for (inner, outer), blocks in zip(pairwise(decoder_widths), decoder_blocks[1:], strict=True):
            layers.append(nn.Upsample(scale_factor=upsampling_scaling_factor, mode=upsample_fn))
            layers.append(conv(inner, outer, bias=False))
            layers += [Block(outer, act_fn, False) for _ in range(blocks)]
        patch = 2 if stem == "patched" else 1
        layers.append(conv(decoder_widths[-1], output_channels * patch**2))
        if patch > 1:
            layers.append(nn.PixelShuffle(patch))
        self.decoder: nn.Module = nn.Sequential(*layers)

    def encode(self, x: Tensor) -> tuple[Tensor, None]:
        """N×C×H×W in [0, 1] → N×latent_channels×h×w, mostly within [-3, 3]; there is no log-variance.

        Height and width must be multiples of 8, by which h and w are smaller (of `multiple`, for variants).
        """
        return self.encoder(x), None

    def decode(self, z: Tensor) -> Tensor:
        """N×latent_channels×h×w → N×C×H×W, about [0, 1] but not bounded."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction."""
        return self.decode(self.encode(x)[0])


class Layers(nn.Module):
    """One half as diffusers names it."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class AutoencoderTiny(TAESD):
    """The same codec in diffusers' layout, for pictures in [-1, 1]."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.encoder = Layers(list(self.encoder.children()))
        self.clamp, *decoder = self.decoder.children()
        self.decoder = Layers(decoder)

    def encode(self, x: Tensor) -> tuple[Tensor, None]:
        """N×C×H×W in [-1, 1] → N×latent_channels×h×w; sizes as TAESD's."""
        return self.encoder((x + 1) / 2), None

    def decode(self, z: Tensor) -> Tensor:
        """N×latent_channels×h×w → N×C×H×W, about [-1, 1] but not bounded."""
        return self.decoder(self.clamp(z)) * 2 - 1


def join_halves(encoder: StateDict, decoder: StateDict) -> StateDict:
    """One state dict from the two files in which the bare layout is published."""
    halves: Mapping[str, StateDict] = {"encoder": encoder, "decoder": decoder}
    return {f"{name}.{key}": value for name, half in halves.items() for key, value in half.items()}


def half_of(shapes: Shapes) -> Literal["encoder", "decoder"] | None:
    """Which half of the bare layout these keys are (`0.weight`, `1.conv.0.weight`, …), or None.

    Layers without parameters leave gaps in the numbering: a decoder has an upsampling before each
    convolution without bias, an encoder a block.
    """
    matches = [match for key in shapes if (match := LAYER_KEY.fullmatch(key))]
    has_blocks = any(k.endswith(".conv.4.weight") and len(s) == 4 for k, s in shapes.items())
    if len(matches) < len(shapes) or not has_blocks:
        return None
    indices = {int(match[1]) for match in matches}
    resampled = [i for i in indices if f"{i}.weight" in shapes and f"{i}.bias" not in shapes]
    if resampled:
        return "encoder" if min(resampled) - 1 in indices else "decoder"
    return "encoder" if 0 in indices else "decoder"


def below(prefix: str, shapes: Shapes) -> Shapes:
    return {k.removeprefix(prefix): s for k, s in shapes.items() if k.startswith(prefix)}


def detect(shapes: Shapes) -> bool:
    return (
        half_of(below("encoder.", shapes)) == "encoder"
        and half_of(below("decoder.", shapes)) == "decoder"
        and all(k.startswith(("encoder.", "decoder.")) for k in shapes)
    )


def detect_diffusers(shapes: Shapes) -> bool:
    return all(DIFFUSERS_KEY.fullmatch(k) for k in shapes) and detect(as_bare(shapes))


def as_bare(shapes: Shapes) -> Shapes:
    """Shapes under the bare layout's keys: diffusers does not count the decoder's clamp as a layer."""

    def renamed(match: re.Match[str]) -> str:
        return f"{match[1]}.{int(match[2]) + (match[1] == 'decoder')}.{match[3]}"

    return {DIFFUSERS_KEY.sub(renamed, key): shape for key, shape in shapes.items()}


def read_stages(half: Shapes) -> tuple[list[int], list[int]]:
    """Output channels of each convolution but the last, and how many blocks follow it."""
    indices = sorted({int(k.split(".")[0]) for k in half})
    convolutions = [place for place, i in enumerate(indices) if f"{i}.weight" in half]
    widths = [half[f"{indices[place]}.weight"][0] for place in convolutions[:-1]]
    return widths, [b - a - 1 for a, b in pairwise(convolutions)]


def read_stem(encoder: Shapes) -> Stem:
    if "0.weight" not in encoder:
        return "patched"
    return "strided" if "2.bias" in encoder and "1.conv.0.weight" not in encoder else "plain"


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    encoder, decoder = below("encoder.", shapes), below("decoder.", shapes)
    stem = read_stem(encoder)
    patch_area = 4 if stem == "patched" else 1
    last = max(int(k.split(".")[0]) for k in decoder)
    encoder_widths, encoder_blocks = read_stages(encoder)
    decoder_widths, decoder_blocks = read_stages(decoder)
    return {
        "channels": encoder["1.weight" if stem == "patched" else "0.weight"][1] // patch_area,
        "output_channels": decoder[f"{last}.weight"][0] // patch_area,
        "latent_channels": decoder["1.weight"][1],
        "encoder_widths": encoder_widths,
        "encoder_blocks": encoder_blocks,
        "decoder_widths": decoder_widths,
        "decoder_blocks": decoder_blocks,
        "pooled": any(".pool." in k for k in shapes),
        "stem": stem,
        "act_fn": activation_in(hints, "relu"),
        **read_upsampling(hints),
    }


def read_upsampling(hints: Hints) -> Hyperparameters:
    mode, factor = hints.get("upsample_fn", "nearest"), hints.get("upsampling_scaling_factor", 2)
    if mode not in ("nearest", "nearest-exact", "bilinear", "bicubic") or factor not in range(1, 9):
        raise ValueError("there is no such upsampling")
    return {"upsample_fn": mode, "upsampling_scaling_factor": factor}


def multiple(h: Hyperparameters) -> int:
    """The halvings lie between the stages; the stems that are not plain have one more."""
    return 2 ** (len(h["encoder_widths"]) - (h["stem"] == "plain"))


TAESD_BARE = Architecture(
    name="taesd",
    title="TAESD, tiny codec (Boer Bohan 2023)",
    family="autoencoder",
    build=TAESD,
    detect=detect,
    read=read,
    example={},
    output_range=UNIT,
    input_range=UNIT,
    multiple=multiple,
    channels=lambda h: (h["channels"], h["output_channels"]),
    prior=False,
)

AUTOENCODER_TINY = Architecture(
    name="autoencoder_tiny",
    title="TAESD in diffusers' layout, AutoencoderTiny (Boer Bohan 2023)",
    family="autoencoder",
    build=AutoencoderTiny,
    detect=detect_diffusers,
    read=lambda shapes, hints: read(as_bare(shapes), hints),
    example={},
    output_range=SIGNED,
    input_range=SIGNED,
    multiple=multiple,
    channels=lambda h: (h["channels"], h["output_channels"]),
    prior=False,
)
