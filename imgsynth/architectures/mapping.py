"""What generators with a mapping network z → w share (Karras et al. 2019, arXiv:1812.04948)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.registry import Shapes

SLOPE = 0.2
EPSILON = 1e-8
MAPPINGS = 4096  # latents behind a computed mean of w
LARGEST_LATENT = 2**14  # numbers; published ones have at most 1024


class PixelNorm(nn.Module):
    """Scales each N×C row to a mean square of 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + EPSILON)


class EqualLinear(nn.Module):
    """Linear layer whose weights are scaled as they are used, not as they are drawn.

    It stays in float32 under autocast: styles are few, and whole feature maps are multiplied by them.

    Args:
        inner: features in.
        outer: features out.
        gain: of the variance; 2 makes up for a rectifier.
        lr_multiplier: how much slower the layer learns than others.
        bias: what every bias starts at.
    """

    def __init__(
        self, inner: int, outer: int, gain: float = 1.0, lr_multiplier: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outer, inner) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outer,), bias))
        self.scale = (gain / inner) ** 0.5 * lr_multiplier
        self.lr_multiplier = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """N×inner → N×outer, in the type of the weights."""
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x.to(self.weight.dtype) * self.scale, self.weight, self.bias * self.lr_multiplier)


class MappingGenerator(nn.Module):
    """Base of generators whose pictures are drawn from w = mapping(z).

    Attributes:
        z_dim: length of z.
        layers: how many styles a picture takes; each may come from a w of its own.
        w_mean: where truncation leads to, float32 w_dim.
        mapping: z, N×z_dim → w, N×w_dim.
        synthesis: w, N×w_dim or N×layers×w_dim, and noise maps → picture.
    """

    z_dim: int
    layers: int
    w_mean: Tensor
    mapping: Callable[[Tensor], Tensor]
    synthesis: Callable[[Tensor, Sequence[Tensor] | None], Tensor]

    def forward(self, z: Tensor, psi: float = 1.0, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Standard normal latents → pictures, N×channels×H×W.

        Args:
            z: N×z_dim, or N×z_dim×1×1.
            psi: truncation (see `truncate`).
            noise: one N×1×H×W or 1×1×H×W map per layer that takes noise, in their order; None takes the
                network's own.
        """
        return self.from_w(self.mapping(z.flatten(1)), psi, noise)

    def from_w(self, w: Tensor, psi: float = 1.0, noise: Sequence[Tensor] | None = None) -> Tensor:
        """As `forward`, from w before truncation, N×w_dim or N×layers×w_dim."""
        return self.synthesis(self.truncate(w, psi), noise)

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Moves w, …×w_dim, towards its mean: psi 1 changes nothing, 0 leaves the mean alone."""
        return w if psi == 1 else torch.lerp(self.w_mean, w, psi)

    def mix(self, first: Tensor, second: Tensor, layer: int) -> Tensor:
        """Style mixing: the w, N×w_dim, of the layers before `layer` and of the others → N×layers×w_dim."""
        before = first.unsqueeze(1).expand(-1, layer, -1)
        after = second.unsqueeze(1).expand(-1, self.layers - layer, -1)
        return torch.cat([before, after], 1)

    @torch.no_grad()
    def set_w_mean(self, mean: Tensor | None = None) -> None:
        """Takes w_dim numbers as the mean of w; None computes it, from seeded latents, always the same."""
        device = next(self.parameters()).device
        if mean is None:
            z = torch.from_numpy(np.random.RandomState(0).randn(MAPPINGS, self.z_dim)).float()
            mean = self.mapping(z.to(device)).mean(0)
        self.w_mean = mean.float().to(device)


def per_layer(w: Tensor, layers: int) -> Sequence[Tensor]:
    """One N×w_dim per layer, of w as N×w_dim for all or N×layers×w_dim.

    Raises:
        ValueError: w is for another number of layers.
    """
    styles = w.unbind(1) if w.dim() == 3 else (w,) * layers
    if len(styles) != layers:
        raise ValueError(f"This network takes {layers} styles, not {len(styles)}: give one w for each layer.")
    return styles


def plausible_latent(length: int) -> int:
    """The length of z as a file tells it, unless computing a mean of w would take absurdly long.

    Raises:
        ValueError: it would.
    """
    if not 1 <= length <= LARGEST_LATENT:
        raise ValueError(f"no generator has latents of {length} numbers")
    return length


def count(shapes: Shapes, pattern: str) -> int:
    """How many keys match a regular expression as a whole."""
    return sum(bool(re.fullmatch(pattern, key)) for key in shapes)
