"""Inception score (Salimans et al. 2016, arXiv:1606.03498)."""

from __future__ import annotations

from torch import Tensor


def inception_score(logits: Tensor) -> float:
    """How surely an ImageNet classifier names each picture, and how many names it uses: 1 … classes.

    Args:
        logits: N×classes. The paper's figures are of 50,000 pictures; fewer give lower ones.
    """
    log_share = logits.double().log_softmax(1)
    share = log_share.exp()
    divergence = (share * (log_share - share.mean(0).log())).sum(1)
    return float(divergence.mean().exp())
