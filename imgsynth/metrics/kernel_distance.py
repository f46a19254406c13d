"""Kernel inception distance (Bińkowski et al. 2018, arXiv:1801.01401)."""

from __future__ import annotations

import torch
from torch import Tensor


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """Squared maximum mean discrepancy of two sets of features, N×D and M×D, with the cubic kernel.

    Unbiased: its mean does not depend on the number of pictures and is 0 for equal distributions, so that
    single values may be negative.
    """
    a, b = a.double(), b.double()
    return off_diagonal_mean(kernel(a, a)) + off_diagonal_mean(kernel(b, b)) - 2 * kernel(a, b).mean().item()


def kernel(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3


def off_diagonal_mean(square: Tensor) -> float:
    n = len(square)
    return float((square.sum() - torch.trace(square)) / (n * (n - 1)))
