"""Random numbers under which a network with spectral norm or batch statistics computes no nonsense."""

from __future__ import annotations

import torch
from torch import nn

from builders import randomised


@torch.no_grad()
def settled(network: nn.Module, seed: int = 0) -> nn.Module:
    """Randomised; every variance is positive and every uᵀWv a half or so of the weight's largest gain."""
    state = randomised(network, seed).state_dict()
    for key, value in state.items():
        if key.endswith("running_vars"):
            value.abs_().add_(0.5)
        elif key.endswith("weight_u"):
            weight, v = (state[key.replace("weight_u", name)] for name in ("weight_orig", "weight_v"))
            v.copy_(nn.functional.normalize(v, dim=0))
            gain = weight.flatten(1) @ v
            value.copy_(0.5 * nn.functional.normalize(gain, dim=0))
    return network
