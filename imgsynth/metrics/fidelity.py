"""How near a picture is to the one it should be: PSNR, and SSIM (Wang et al. 2004)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 11, 1.5
# (0.01)² and (0.03)² of the peak value 1: they keep flat regions from dividing by nothing.
C1, C2 = 1e-4, 9e-4
LUMA = (0.299, 0.587, 0.114)
# Equal 8-bit pictures would have an infinite PSNR, which no mean survives: half a grey level everywhere.
LEAST_ERROR = (0.5 / 255) ** 2


def psnr(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB of each picture, at most 54.15 (equal up to 8-bit rounding).

    Args:
        a, b: float N×C×H×W in [0, 1].
        mask: float N×1×H×W; only pixels where it is 1 count. Each mask has some.

    Returns:
        float N.
    """
    squared = (a - b).square().mean(1, keepdim=True)
    weights = torch.ones_like(squared) if mask is None else mask
    error = (squared * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3))
    return -10 * error.clamp(min=LEAST_ERROR).log10()


def ssim(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Structural similarity of each picture, of its luma, as Wang et al. measured it.

    Args:
        a, b: float N×3×H×W in [0, 1]; H and W at least 11.
        mask: float N×1×H×W; only windows around its ones count, for which borders are mirrored.

    Returns:
        float N, at most 1.
    """
    a, b = luma(a), luma(b)
    if mask is None:
        return ssim_map(a, b).mean((1, 2, 3))
    edges = (WINDOW // 2,) * 4
    similarity = ssim_map(F.pad(a, edges, "reflect"), F.pad(b, edges, "reflect"))
    return (similarity * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3))


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """float N×1×H×W → N×1×(H−10)×(W−10): the similarity of each 11×11 window."""
    n = len(a)
    moments = smoothed(torch.cat([a, b, a * a, b * b, a * b]))
    mean_a, mean_b, square_a, square_b, product = moments.split(n)
    variances = square_a - mean_a**2 + square_b - mean_b**2
    covariance = product - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return luminance * (2 * covariance + C2) / (variances + C2)


def smoothed(x: Tensor) -> Tensor:
    """Through the Gaussian window, where it fits whole."""
    offsets = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    kernel = (-offsets.square() / (2 * SIGMA**2)).exp()
    kernel /= kernel.sum()
    return F.conv2d(F.conv2d(x, kernel[None, None, None]), kernel[None, None, :, None])


def luma(x: Tensor) -> Tensor:
    """N×3×H×W → N×1×H×W (ITU-R 601)."""
    return (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
