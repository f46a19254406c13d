"""Convolutional variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114), residual, group-normalised.

The layout is that of the public CelebA beta-VAE `ayushshah/beta-vae-capacity-annealing-celeba`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.ranges import LOGITS, UNIT
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes

SLOPE = 0.2


def conv3x3(inner: int, outer: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, 3, stride, 1, bias=False, padding_mode="reflect")


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with group norm; the sum with the shortcut is activated."""

    def __init__(self, inner: int, outer: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1, self.gn1 = conv3x3(inner, outer, stride), nn.GroupNorm(groups, outer)
        self.conv2, self.gn2 = conv3x3(outer, outer), nn.GroupNorm(groups, outer)
        self.shortcut = nn.Sequential()
        if stride != 1 or inner != outer:
            self.shortcut.append(nn.Conv2d(inner, outer, 1, stride, bias=False))
            self.shortcut.append(nn.GroupNorm(groups, outer))

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(self.gn1(self.conv1(x)), SLOPE)
        return F.leaky_relu(self.gn2(self.conv2(h)) + self.shortcut(x), SLOPE)


def make_encoder(widths: Sequence[int], channels: int, groups: int) -> nn.Sequential:
    """What stands before the two linear layers: N×channels×H×W → a map of the last width."""
    first = widths[0]
    stem = nn.Conv2d(channels, first, 4, 2, 1, bias=False, padding_mode="reflect")
    encoder = nn.Sequential(stem, nn.GroupNorm(groups, first), nn.LeakyReLU(SLOPE))
    for inner, outer in pairwise(widths):
        encoder.append(ResidualBlock(inner, outer, 2, groups))
    return encoder


class EncodingVAE(nn.Module):
    """What both kinds of VAE have before their decoders: the encoder, and the two linear layers behind it.

    Args:
        as those of `ConvVAE`.
    """

    def __init__(
        self, latent_dim: int, encoder_widths: Sequence[int], base: int, channels: int, groups: int
    ) -> None:
        super().__init__()
        self.encoder = make_encoder(encoder_widths, channels, groups)
        flat = encoder_widths[-1] * base * base
        self.fc_mu, self.fc_logvar = nn.Linear(flat, latent_dim), nn.Linear(flat, latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """N×C×H×W in [0, 1] → mean and log-variance, each N×latent_dim."""
        h = self.encoder(x).flatten(1)
        return self.fc_mu(h), self.fc_logvar(h)

    def decode(self, z: Tensor) -> Tensor:
        """N×latent_dim → N×C×H×W, in the decoder's own range."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction at the mean, as `decode` gives it."""
        return self.decode(self.encode(x)[0])


class ConvVAE(EncodingVAE):
    """Encoder with mean and log-variance, decoder to logits.

    Args:
        latent_dim: length of z.
        encoder_widths: channels after each stride-2 stage, first the 4×4 convolution.
        decoder_widths: channels after each upsampling stage; before them stand `decoder_input` channels.
        decoder_input: channels of the map that the latent is projected to.
        base: side of the smallest feature map.
        channels: image channels.
        groups: groups of every group norm (no shape tells; 32 in every known file).
    """

    def __init__(
        self,
        latent_dim: int,
        encoder_widths: Sequence[int],
        decoder_widths: Sequence[int],
        decoder_input: int,
        base: int = 4,
        channels: int = 3,
        groups: int = 32,
    ) -> None:
        super().__init__(latent_dim, encoder_widths, base, channels, groups)
        self.fc = nn.Linear(latent_dim, decoder_input * base * base)
        self.decoder = nn.Sequential()
        for inner, outer in zip([decoder_input, *decoder_widths], decoder_widths, strict=False):
            self.decoder.append(nn.Upsample(scale_factor=2, mode="nearest"))
            self.decoder.append(ResidualBlock(inner, outer, 1, groups))
        self.decoder.append(nn.Conv2d(decoder_widths[-1], channels, 3, 1, 1))
        self.base = base

    def decode(self, z: Tensor) -> Tensor:
        """N×latent_dim → logits, N×C×H×W."""
        return self.decoder(self.fc(z).reshape(z.shape[0], -1, self.base, self.base))


def block_indices(shapes: Shapes, part: str) -> list[int]:
    return sorted(int(m[1]) for k in shapes if (m := re.fullmatch(rf"{part}\.(\d+)\.conv1\.weight", k)))


def detect(shapes: Shapes) -> bool:
    needed = (
        "encoder.0.weight",
        "encoder.3.gn1.weight",
        "fc_mu.weight",
        "fc_logvar.weight",
        "decoder.1.gn1.weight",
    )
    return all(k in shapes for k in needed)


def encoder_widths_of(shapes: Shapes) -> list[int]:
    """Channels after each stage of `make_encoder`."""
    blocks = [shapes[f"encoder.{i}.conv1.weight"][0] for i in block_indices(shapes, "encoder")]
    return [shapes["encoder.0.weight"][0], *blocks]


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    encoder = encoder_widths_of(shapes)
    decoder = [shapes[f"decoder.{i}.conv1.weight"][0] for i in block_indices(shapes, "decoder")]
    flat = shapes["fc_mu.weight"][1]
    return {
        "latent_dim": shapes["fc_mu.weight"][0],
        "encoder_widths": encoder,
        "decoder_widths": decoder,
        "decoder_input": shapes["decoder.1.conv1.weight"][1],
        "base": round((flat / encoder[-1]) ** 0.5),
        "channels": shapes["encoder.0.weight"][1],
        "groups": int(hints.get("norm_num_groups", 32)),
    }


def image_size(h: Hyperparameters) -> int:
    return int(h["base"] * 2 ** len(h["encoder_widths"]))


def channels(h: Hyperparameters) -> tuple[int, int]:
    return h["channels"], h["channels"]


CONV_VAE = Architecture(
    name="conv_vae",
    title="Convolutional VAE (Kingma & Welling 2014)",
    family="autoencoder",
    build=ConvVAE,
    detect=detect,
    read=read,
    example={
        "latent_dim": 32,
        "encoder_widths": [64, 128, 256, 256],
        "decoder_widths": [128, 64, 64, 64],
        "decoder_input": 256,
    },
    output_range=LOGITS,
    input_range=UNIT,
    latent_shape=lambda h: (h["latent_dim"],),
    image_size=image_size,
    channels=channels,
)
