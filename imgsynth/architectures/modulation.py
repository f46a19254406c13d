"""Modulated convolution and the low-pass filters around it (Karras et al. 2020, arXiv:1912.04958)."""

from __future__ import annotations

from math import comb

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.mapping import EPSILON, EqualLinear


def fir(taps: int) -> Tensor:
    """Binomial low-pass filter, taps×taps, that makes up for the zeros that upsampling by 2 inserts."""
    row = torch.tensor([float(comb(taps - 1, i)) for i in range(taps)])
    return torch.outer(row, row) * (4 / row.sum() ** 2)


class Blur(nn.Module):
    """Low-pass filter after a 3×3 transposed convolution of stride 2: 2H+1 rows become 2H."""

    kernel: Tensor

    def __init__(self, taps: int) -> None:
        super().__init__()
        self.register_buffer("kernel", fir(taps))

    def forward(self, x: Tensor) -> Tensor:
        channels, height, width = x.shape[1:]
        # As published, an odd number of taps has one row and column less of padding after than before.
        padding = (len(self.kernel) - 3) // 2 + 1
        kernel = self.kernel.flip(0, 1).expand(channels, 1, -1, -1)
        return F.conv2d(x, kernel, padding=padding, groups=channels)[..., : height - 1, : width - 1]


class Upsample(nn.Module):
    """Twice the height and width: zeros between the pixels, then the low-pass filter."""

    kernel: Tensor

    def __init__(self, taps: int) -> None:
        super().__init__()
        self.register_buffer("kernel", fir(taps))

    def forward(self, x: Tensor) -> Tensor:
        channels, taps = x.shape[1], len(self.kernel)
        full = F.conv_transpose2d(x, self.kernel.expand(channels, 1, -1, -1), stride=2, groups=channels)
        after = (taps - 1) // 2
        before = taps - 2 - after
        return F.pad(full, (-before, -after, -before, -after))


class ModulatedConv2d(nn.Module):
    """Convolution whose weights each sample's style scales, and which normalises them again.

    Scaling a filter's input channels is scaling what goes in, and normalising it is scaling what comes out.
    So one dense convolution serves the whole batch, with the same numbers as a grouped convolution, which has
    filters for each sample, and in less time.

    Args:
        inner: channels in.
        outer: channels out.
        kernel: side of the filters.
        style_dim: length of w.
        demodulate: whether the filters are normalised.
        blur: taps of the low-pass filter of an upsampling convolution; None keeps the size.
    """

    def __init__(
        self,
        inner: int,
        outer: int,
        kernel: int,
        style_dim: int,
        demodulate: bool = True,
        blur: int | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outer, inner, kernel, kernel))
        self.modulation = EqualLinear(style_dim, inner, bias=1.0)
        self.blur = None if blur is None else Blur(blur)
        self.demodulate = demodulate
        self.scale = (inner * kernel**2) ** -0.5

    def forward(self, x: Tensor, w: Tensor, shift: Tensor, gain: float = 1.0) -> Tensor:
        """gain · convolution + shift.

        Args:
            x: N×inner×H×W.
            w: N×style_dim.
            shift: what broadcasts to the result, N×outer×H×W or twice as high and wide.
            gain: factor of the result.
        """
        style = self.modulation(w) * self.scale
        x = self._convolve(x * style[:, :, None, None].to(x.dtype))
        factor = self._demodulation(style)[:, :, None, None] * gain
        if not self.demodulate:  # a picture: what is added to it keeps its precision
            return torch.addcmul(shift, x, factor)
        return torch.addcmul(shift.to(x.dtype), x, factor.to(x.dtype))

    def _convolve(self, x: Tensor) -> Tensor:
        weight = self.weight[0]
        if self.blur is None:
            return F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        return self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))

    def _demodulation(self, style: Tensor) -> Tensor:
        """Factors of the output channels, N×outer, which give each sample's filters unit norm."""
        if not self.demodulate:
            return style.new_ones(1, 1)
        with torch.autocast(style.device.type, enabled=False):
            energy = self.weight[0].square().sum((2, 3))
            return torch.rsqrt(F.linear(style.square(), energy) + EPSILON)
