"""Batch norms that do not look at the batch.

A batch norm that learns with four crops at a time gives each of them a brightness and contrast that depend on
the other three; a network that is to continue a picture's own colours cannot then learn to. Here they take
means and variances once, from the first pictures, and keep them (data-dependent initialisation, Krähenbühl et
al. 2016, arXiv:1511.06856): what they do afterwards is scale and shift, and a convolution can do it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def norms_of(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def fix_norms(network: nn.Module) -> None:
    """Lets every batch norm go by the means and variances that it has."""
    for norm in norms_of(network):
        norm.eval()


@torch.no_grad()
def calibrate(network: nn.Module, inputs: Tensor, kept: Mapping[nn.BatchNorm2d, int]) -> None:
    """Gives batch norms the means and variances of what they see, each after those before it.

    Args:
        network: with fixed norms.
        inputs: a batch, as large as memory allows.
        kept: how many of a norm's first channels stay as they are.
    """

    def measure(norm: nn.Module, given: tuple[Any, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None and norm.running_var is not None
        variances, means = torch.var_mean(given[0].float(), (0, 2, 3))
        first = kept.get(norm, 0)
        norm.running_mean[first:] = means[first:]
        norm.running_var[first:] = variances[first:]

    hooks = [norm.register_forward_pre_hook(measure) for norm in norms_of(network)]
    try:
        network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
