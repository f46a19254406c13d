"""Fast Fourier convolution (Chi et al. 2020), the form that LaMa (Suvorov et al. 2022) gives it."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Split = tuple[int, int]  # channels of the local and of the global branch; either may be 0
Branches = tuple[Tensor, Tensor | None]


class FourierUnit(nn.Module):
    """A 1×1 convolution over the spectrum: every output pixel sees the whole image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(width * 2, width * 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(width * 2)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        # Transforms run in float32: half types have no FFT on the CPU and only powers of two on CUDA.
        spectrum = torch.fft.rfftn(x.float(), dim=(-2, -1), norm="ortho")
        pairs = torch.view_as_real(spectrum).permute(0, 1, 4, 2, 3).reshape(n, 2 * c, h, -1)
        mixed = F.relu(self.bn(self.conv_layer(pairs))).float()
        mixed = mixed.reshape(n, c, 2, h, -1).permute(0, 1, 3, 4, 2).contiguous()
        return torch.fft.irfftn(torch.view_as_complex(mixed), s=(h, w), dim=(-2, -1), norm="ortho").to(
            x.dtype
        )


class SpectralTransform(nn.Module):
    """1×1 convolution in, Fourier unit with a skip, 1×1 convolution out.

    Args:
        local: a second Fourier unit sees the four quarters of the image, which lie on top of each other.
    """

    def __init__(self, inner: int, outer: int, stride: int, local: bool) -> None:
        super().__init__()
        half = outer // 2
        self.downsample = nn.AvgPool2d(2) if stride == 2 else nn.Identity()
        self.conv1 = nn.Sequential(
            nn.Conv2d(inner, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True)
        )
        self.fu = FourierUnit(half)
        self.lfu = FourierUnit(half) if local else None
        self.conv2 = nn.Conv2d(half, outer, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(self.downsample(x))
        mixed = x + self.fu(x)
        if self.lfu is not None:
            mixed = mixed + self.lfu(quarters(x)).repeat(1, 1, 2, 2)
        return self.conv2(mixed)


def quarters(x: Tensor) -> Tensor:
    """N×C×H×W → N×C×H/2×W/2: of the first quarter of the channels, the quarters of the image."""
    halves = torch.cat(x[:, : x.shape[1] // 4].chunk(2, dim=-2), dim=1)
    return torch.cat(halves.chunk(2, dim=-1), dim=1)


class FFC(nn.Module):
    """Fast Fourier convolution: a local and a global branch that feed each other."""

    def __init__(
        self, inner: Split, outer: Split, kernel: int, stride: int, padding: int, local_fourier: bool
    ) -> None:
        super().__init__()
        conv = partial(
            nn.Conv2d, kernel_size=kernel, stride=stride, padding=padding, bias=False, padding_mode="reflect"
        )
        (local_in, global_in), (local_out, global_out) = inner, outer
        self.convl2l = conv(local_in, local_out)
        self.convl2g = conv(local_in, global_out) if global_out else None
        self.convg2l = conv(global_in, local_out) if global_in else None
        both = global_in and global_out
        self.convg2g = SpectralTransform(global_in, global_out, stride, local_fourier) if both else None

    def forward(self, branches: Branches) -> Branches:
        x_local, x_global = branches
        local = self.convl2l(x_local)
        if self.convg2l is not None and x_global is not None:
            local = local + self.convg2l(x_global)
        if self.convl2g is None:
            return local, None
        mixed = self.convl2g(x_local)
        if self.convg2g is not None and x_global is not None:
            mixed = mixed + self.convg2g(x_global)
        return local, mixed


class FFCNormAct(nn.Module):
    """FFC, then batch norm and ReLU on each branch."""

    def __init__(
        self,
        inner: Split,
        outer: Split,
        kernel: int = 3,
        stride: int = 1,
        padding: int = 1,
        local_fourier: bool = False,
    ) -> None:
        super().__init__()
        self.ffc = FFC(inner, outer, kernel, stride, padding, local_fourier)
        self.bn_l = nn.BatchNorm2d(outer[0])
        self.bn_g = nn.BatchNorm2d(outer[1]) if outer[1] else None

    def forward(self, branches: Branches) -> Branches:
        local, mixed = self.ffc(branches)
        local = F.relu(self.bn_l(local))
        if self.bn_g is None or mixed is None:
            return local, None
        return local, F.relu(self.bn_g(mixed))
