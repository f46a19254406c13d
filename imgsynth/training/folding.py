"""A start for CycleGAN's ResNet without norms from one that was trained with instance norms.

An instance norm takes mean and contrast out of every channel of every picture, so a translation cannot tell
a dark photo from a bright one, nor a blue one from a red one, and the way back has to guess (it ends near
18 dB). Without norms the tones go through, but a network that starts without them hardly paints
(`identity_resnet.py`). So painting is learnt with norms first. Then each norm is replaced by what it does to
the average picture, which is the same for all and goes into the convolution before it (as batch norms are
folded: Jacob et al. 2018, arXiv:1712.05877, section 3.2): strokes and palette stay, and training goes on.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from imgsynth.architectures.cyclegan_resnet import ResnetGenerator


class Statistics:
    """Mean, and mean variance within a picture, of each channel that goes into a norm."""

    def __init__(self, eps: float) -> None:
        self.eps = eps
        self.mean: Tensor | float = 0.0
        self.variance: Tensor | float = 0.0
        self.pictures = 0

    def add(self, features: Tensor) -> None:
        """Takes note of N×C×H×W."""
        self.mean = self.mean + features.mean((2, 3)).sum(0)
        self.variance = self.variance + features.var((2, 3), correction=0).sum(0)
        self.pictures += len(features)

    def fold_into(self, conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
        """Makes a convolution give what the norm behind it gave on average."""
        mean = torch.as_tensor(self.mean) / self.pictures
        # The mean deviation would be smaller: pictures of much contrast then burst into blobs.
        deviation = torch.sqrt(torch.as_tensor(self.variance) / self.pictures + self.eps)
        transposed = isinstance(conv, nn.ConvTranspose2d)
        conv.weight.div_(deviation[None, :, None, None] if transposed else deviation[:, None, None, None])
        assert conv.bias is not None
        conv.bias.sub_(mean).div_(deviation)


@torch.no_grad()
def fold_norms(generator: ResnetGenerator, pictures: Iterable[Tensor]) -> None:
    """Changes weights that were trained with instance norms into some that work without.

    Args:
        generator: with instance norms; its norms stay where they are.
        pictures: batches N×3×H×W in [-1, 1] of what it translates; a few dozen are enough.
    """
    found: list[tuple[nn.Conv2d | nn.ConvTranspose2d, Statistics]] = []
    hooks = []
    for layers in (m for m in generator.modules() if isinstance(m, nn.Sequential)):
        for conv, norm in zip(layers, list(layers)[1:], strict=False):
            if isinstance(norm, nn.InstanceNorm2d) and isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
                statistics = Statistics(norm.eps)
                found.append((conv, statistics))
                hooks.append(norm.register_forward_hook(lambda _, given, __, s=statistics: s.add(given[0])))
    for batch in pictures:
        generator(batch)
    for hook in hooks:
        hook.remove()
    for conv, statistics in found:
        statistics.fold_into(conv)
