"""Fréchet inception distance (Heusel et al. 2017, arXiv:1706.08500)."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Fréchet distance between Gaussians fitted to two sets of features, N×D and M×D.

    With fewer pictures than features it is far too large and depends on their number, so it tells little
    but beside that of real pictures at the same counts.
    """
    a, b = a.double(), b.double()
    centred_a = (a - a.mean(0)) / (len(a) - 1) ** 0.5
    centred_b = (b - b.mean(0)) / (len(b) - 1) ** 0.5
    # The trace of the root of the product of both covariances, as the sum of the singular values of an
    # N×M matrix: no root of a 2048×2048 matrix is taken, and no imaginary part is to be dropped.
    trace = torch.linalg.svdvals(centred_a @ centred_b.T).sum()
    apart = (a.mean(0) - b.mean(0)).square().sum()
    return float(apart + centred_a.square().sum() + centred_b.square().sum() - 2 * trace)
