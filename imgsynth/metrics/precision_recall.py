"""Improved precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991).

Around each picture of a set lies a ball that reaches to its third nearest neighbour; together the balls
stand for all that the set could hold. Precision is the share of drawn pictures inside the balls of real
ones: how many look real. Recall is the share of real pictures inside the balls of drawn ones: how much of
the variety is drawn. A collapsed model has high precision and low recall.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEIGHBOURS = 3


def precision_recall(real: Tensor, drawn: Tensor, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """
    Args:
        real, drawn: features, N×D and M×D; both more than `neighbours` rows.

    Returns:
        Precision and recall, each in [0, 1].
    """
    precision = share_inside(drawn, real, neighbours)
    recall = share_inside(real, drawn, neighbours)
    return precision, recall


def share_inside(features: Tensor, centres: Tensor, neighbours: int) -> float:
    """Share of rows that lie in the ball of any centre, which reaches to its k-th nearest other centre."""
    # Of a centre's own row, the smallest distance is that from itself.
    radii = torch.cdist(centres, centres).kthvalue(neighbours + 1, dim=1).values
    inside = torch.cdist(features, centres) <= radii
    return inside.any(1).double().mean().item()
