"""Parts of the lightweight GAN's generator: blur, noise, attention, and the gates between far-off stages."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEADS = 8
HEAD_WIDTH = 64
INNER = HEADS * HEAD_WIDTH
SCALE = HEAD_WIDTH**-0.5
SLOPE = 0.1


class Blur(nn.Module):
    """A 3×3 binomial filter; `f` is a row of it, up to a factor."""

    f: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("f", torch.tensor([1.0, 2.0, 1.0]))

    def forward(self, x: Tensor) -> Tensor:
        kernel = torch.outer(self.f, self.f)
        kernel = (kernel / kernel.abs().sum()).expand(x.shape[1], 1, 3, 3)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), kernel, groups=x.shape[1])


class Noise(nn.Module):
    """Adds one map of noise to every channel, as loud as `weight` says."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """x: N×C×H×W; noise: N×1×H×W, drawn from N(0, 1) if unsaid."""
        if noise is None:
            noise = torch.randn(x.shape[0], 1, *x.shape[2:], device=x.device, dtype=x.dtype)
        return x + self.weight * noise


class PixelShuffleUpsample(nn.Module):
    """Twice the size: each pixel's four successors come from a 1×1 convolution."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(inner, outer * 4, 1), nn.SiLU(inplace=True), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def same_conv4x4(inner: int, outer: int) -> nn.Sequential:
    """An even kernel keeps the size if it sees one more row and column before a pixel than after it."""
    return nn.Sequential(nn.ZeroPad2d((2, 1, 2, 1)), nn.Conv2d(inner, outer, 4))


# Attention


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1, width, 1, 1))
        self.b = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + 1e-5) * self.g + self.b


class SeparableConv(nn.Module):
    """A 3×3 convolution of each channel by itself, then a 1×1 convolution, both without bias."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        each = nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False)
        self.net = nn.Sequential(each, nn.Conv2d(inner, outer, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def linear_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Efficient attention (Shen et al. 2018, arXiv:1812.01243) of each N×512×H×W, at linear cost in H·W."""
    q, k, v = (t.unflatten(1, (HEADS, HEAD_WIDTH)).flatten(3) for t in (q, k, v))
    context = v @ k.softmax(-1).transpose(-2, -1)
    return context @ (q.softmax(2) * SCALE)


def local_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of each pixel to its 3×3 surroundings, of each N×512×H×W.

    The zeros beyond the border are attended to like any pixel.
    """
    height, width = q.shape[-2:]
    q = q.unflatten(1, (HEADS, HEAD_WIDTH)) * SCALE
    k, v = (F.pad(t, (1, 1, 1, 1)).unflatten(1, (HEADS, HEAD_WIDTH)) for t in (k, v))
    windows = [(..., slice(i, i + height), slice(j, j + width)) for i in range(3) for j in range(3)]
    weights = torch.stack([(q * k[window]).sum(2, keepdim=True) for window in windows]).softmax(0)
    out = weights[0] * v[windows[0]]
    for weight, window in zip(weights[1:], windows[1:], strict=True):
        out = out + weight * v[window]
    return out


class LinearAttention(nn.Module):
    """Linear attention only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_q = nn.Conv2d(width, INNER, 1, bias=False)
        self.to_kv = SeparableConv(width, INNER * 2)
        self.to_out = nn.Conv2d(INNER, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen = linear_attention(self.to_q(x), *self.to_kv(x).chunk(2, dim=1))
        return self.to_out(F.gelu(seen).reshape(-1, INNER, *x.shape[2:]))


class LinearAndLocalAttention(nn.Module):
    """Linear attention beside attention to the 3×3 surroundings; only the former is activated."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_lin_q = nn.Conv2d(width, INNER, 1, bias=False)
        self.to_lin_kv = SeparableConv(width, INNER * 2)
        self.to_q = nn.Conv2d(width, INNER, 1, bias=False)
        self.to_kv = nn.Conv2d(width, INNER * 2, 1, bias=False)
        self.to_out = nn.Conv2d(INNER * 2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, INNER, *x.shape[2:])
        far = linear_attention(self.to_lin_q(x), *self.to_lin_kv(x).chunk(2, dim=1))
        near = local_attention(self.to_q(x), *self.to_kv(x).chunk(2, dim=1))
        return self.to_out(torch.cat([F.gelu(far).reshape(shape), near.reshape(shape)], dim=1))


class PreNorm(nn.Module):
    """Attention to normalised pixels."""

    def __init__(self, width: int, attention: nn.Module) -> None:
        super().__init__()
        self.fn, self.norm = attention, ChannelNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(self.norm(x))


class LayerScale(nn.Module):
    """Attention that starts at almost nothing (Touvron et al. 2021, arXiv:2103.17239)."""

    def __init__(self, width: int, attention: nn.Module) -> None:
        super().__init__()
        self.fn = attention
        self.g = nn.Parameter(torch.full((1, width, 1, 1), 1e-3))

    def forward(self, x: Tensor) -> Tensor:
        return self.g * self.fn(x)


ATTENTION: dict[str, Callable[[int], nn.Module]] = {
    "linear": lambda width: PreNorm(width, LinearAttention(width)),
    "scaled": lambda width: LayerScale(width, LinearAttention(width)),
    "linear and local": lambda width: PreNorm(width, LinearAndLocalAttention(width)),
}


# Gates: skip-layer excitation


def excitation(inner: int, middle: int, outer: int) -> nn.Sequential:
    """N×inner×1×1 → a factor in (0, 1) for each of `outer` channels."""
    layers = [nn.Conv2d(inner, middle, 1), nn.LeakyReLU(SLOPE), nn.Conv2d(middle, outer, 1), nn.Sigmoid()]
    return nn.Sequential(*layers)


class GlobalContext(nn.Module):
    """Channel factors from a picture averaged by attention (Cao et al. 2020, arXiv:2012.13375)."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.to_k = nn.Conv2d(inner, 1, 1)
        self.net = excitation(inner, max(3, outer // 2), outer)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.to_k(x).flatten(2).softmax(-1)
        return self.net((x.flatten(2) @ weights.transpose(1, 2)).unsqueeze(-1))


class FrequencyAttention(nn.Module):
    """Channel factors from one frequency of each channel (FcaNet, Qin et al. 2021, arXiv:2012.11879)."""

    dct_weights: Tensor

    def __init__(self, inner: int, outer: int, side: int) -> None:
        super().__init__()
        self.register_buffer("dct_weights", dct_weights(inner, side))
        self.net = excitation(inner, max(3, outer // 4), outer)

    def forward(self, x: Tensor) -> Tensor:
        return self.net((x * self.dct_weights).sum((2, 3), keepdim=True))


def dct_weights(channels: int, side: int) -> Tensor:
    """1×channels×side×side: the eight lowest cosine waves across, then the same waves down.

    Each is had by a sixteenth of the channels; those that are left over see nothing.
    """
    share = channels // 16
    weights = torch.zeros(1, channels, side, side)
    for frequency in range(8):
        scale = math.sqrt(2 if frequency else 1) / side
        wave = torch.tensor([scale * math.cos(math.pi * frequency * (i + 0.5) / side) for i in range(side)])
        across, down = frequency * share, (8 + frequency) * share
        weights[:, across : across + share] = wave
        weights[:, down : down + share] = wave[:, None]
    return weights
