"""Discriminators; they are trained beside a network and never shipped."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class DCGANDiscriminator(nn.Module):
    """The mirror of a DCGAN generator, spectrally normalised (Miyato et al. 2018): N×3×S×S → N scores.

    A minibatch standard deviation map (Karras et al. 2018) before the last layer shows it a lack of variety.
    """

    def __init__(self, widths: list[int], channels: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inner, outer in zip([channels, *widths], widths, strict=False):
            layers += [spectral_norm(nn.Conv2d(inner, outer, 4, 2, 1)), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers)
        self.score = spectral_norm(nn.Conv2d(widths[-1] + 1, 1, 4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.features(x)
        spread = h.float().std(0).mean().to(h.dtype).expand(h.shape[0], 1, *h.shape[2:])
        return self.score(torch.cat([h, spread], 1)).flatten()


class PatchDiscriminator(nn.Module):
    """PatchGAN (Isola et al. 2017): a map of scores, each for one patch, and the features on the way."""

    def __init__(self, width: int, layers: int = 3, channels: int = 3, normalise: bool = True) -> None:
        super().__init__()
        widths = [width * min(8, 2**i) for i in range(layers + 1)]
        self.stages = nn.ModuleList([nn.Conv2d(channels, widths[0], 4, 2, 1)])
        make_norm: Callable[[int], nn.Module] = nn.InstanceNorm2d if normalise else lambda _: nn.Identity()
        for i, (inner, outer) in enumerate(pairwise(widths)):
            stride = 1 if i == layers - 1 else 2
            self.stages.append(nn.Sequential(nn.Conv2d(inner, outer, 4, stride, 1), make_norm(outer)))
        self.score = nn.Conv2d(widths[-1], 1, 4, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for stage in self.stages:
            x = F.leaky_relu(stage(x), 0.2)
            features.append(x)
        return self.score(x), features
