"""Against the droplets of networks with instance norm.

Instance norm takes from every channel the strength that it had. A generator learns to smuggle it through: it
makes one spot of a channel so strong that the deviation is the spot's alone, and so sets how strong all else
comes out (Karras et al. 2020, arXiv:1912.04958, section 2, on the same norm in StyleGAN). Where such a spot
shows, the picture has a dark or glaring blob. In a CycleGAN it pays twice: what the way back needs to
know can be hidden there. StyleGAN2 changed its layers; here the layout is a published one and has to stay,
so the spots themselves are made dear. They are easily told: what lies so many deviations from its channel's
mean is no texture. Untouched channels keep below 7 deviations or so, droplets have 15 to 25.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FREE = 8.0  # deviations that cost nothing: edges, lamps and the sun need them


def peaks(x: Tensor) -> Tensor:
    """How many deviations the outermost value of each channel lies from its mean, N×C of N×C×H×W."""
    x = x.float()
    variance, mean = torch.var_mean(x, dim=(2, 3), correction=0)
    reach = torch.maximum(x.amax((2, 3)) - mean, mean - x.amin((2, 3)))
    return reach * torch.rsqrt(variance + 1e-5)


class DropletPenalty:
    """Mean square of what exceeds `FREE` deviations, over all channels that an instance norm is given."""

    def __init__(self, *networks: nn.Module) -> None:
        self.terms: list[Tensor] = []
        self.listens = False
        for network in networks:
            for module in network.modules():
                if isinstance(module, nn.InstanceNorm2d):
                    module.register_forward_pre_hook(self._note)

    def _note(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        if self.listens:
            self.terms.append(F.relu(peaks(inputs[0]) - FREE).square().mean())

    @contextmanager
    def listening(self, on: bool = True) -> Iterator[None]:
        """Only passes within count, and only if it is on."""
        self.terms, self.listens = [], on
        try:
            yield
        finally:
            self.listens = False

    def value(self) -> Tensor:
        """The penalty for what was heard last; 0 where there is no such norm."""
        return torch.stack(self.terms).mean() if self.terms else torch.zeros(())
