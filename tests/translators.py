"""What the tests of several translation networks share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from builders import inputs_of, randomised
from imgsynth.architectures.registry import Opened, open_state_dict

State = dict[str, Tensor]


def opened_again(network: nn.Module, hints: Mapping[str, Any] | None = None, size: int = 32) -> Opened:
    """What a network's own state dict is taken for; it must compute the same."""
    randomised(network, 0)
    opened = open_state_dict(network.state_dict(), hints)
    x = inputs_of(network, size=size)
    with torch.inference_mode():
        assert torch.equal(opened.network(x), network(x))
    return opened


def with_statistics(network: nn.Module) -> State:
    """The state dict as PyTorch 0.3 wrote it: with statistics for every instance norm."""
    state = dict(network.state_dict())
    for name, module in network.named_modules():
        if isinstance(module, nn.InstanceNorm2d):
            state[f"{name}.running_mean"] = torch.full((module.num_features,), 3.0)
            state[f"{name}.running_var"] = torch.full((module.num_features,), 5.0)
            state[f"{name}.num_batches_tracked"] = torch.tensor(9)
    return state
