"""Norms with statistics from elsewhere than their own input, for pictures that are run in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

Moments = tuple[Tensor, Tensor]
Inset = tuple[float, float, float, float]
NORMS = (F.instance_norm, F.group_norm)


class _NormsReplaced(TorchFunctionMode):
    """Whatever calls `F.instance_norm` or `F.group_norm` in this thread, as a module or not, gets ours."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.instance_norm:
            func = self.instance_norm
        elif func is F.group_norm:
            func = self.group_norm
        return func(*args, **(kwargs or {}))

    def instance_norm(
        self,
        input: Tensor,
        running_mean: Tensor | None = None,
        running_var: Tensor | None = None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        use_input_stats: bool = True,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not use_input_stats:  # has its statistics from training, the same for every part
            return F.instance_norm(
                input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
            )
        return F.batch_norm(input, *self.moments_of(input, input.shape[1]), weight, bias, eps=eps)

    def group_norm(
        self,
        input: Tensor,
        num_groups: int,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
    ) -> Tensor:
        return F.batch_norm(input, *self.moments_of(input, num_groups), weight, bias, eps=eps)

    def moments_of(self, x: Tensor, groups: int) -> Moments:
        """Mean and variance for each channel of N×C×H×W, float32."""
        raise NotImplementedError


class Measuring(_NormsReplaced):
    """Every norm takes its statistics from the whole batch, whose members are parts of one picture.

    In a single pass each layer's statistics are taken under the earlier layers' shared ones, just as in the
    whole picture; taken for each part alone they would differ, and so would the parts' colours.

    Args:
        insets: for each part, the shares of its height and width that are not counted at its top, bottom,
            left and right: there shows what a network makes of an edge that the picture does not have.

    Attributes:
        moments: mean and variance of each norm, in the order of the calls.
    """

    def __init__(self, insets: Sequence[Inset]) -> None:
        super().__init__()
        self.insets = insets
        self.moments: list[Moments] = []

    def moments_of(self, x: Tensor, groups: int) -> Moments:
        parts = [_inner(part, inset) for part, inset in zip(x, self.insets, strict=True)]
        found = [torch.var_mean(p.float().reshape(groups, -1), dim=1, correction=0) for p in parts]
        variances, means = (torch.stack(each) for each in zip(*found, strict=True))
        shares = x.new_tensor([p[0].numel() for p in parts], dtype=torch.float32)[:, None]
        shares /= shares.sum()
        mean = (shares * means).sum(0)
        var = (shares * (variances + (means - mean) ** 2)).sum(0)
        repeats = x.shape[1] // groups
        self.moments.append((mean.repeat_interleave(repeats), var.repeat_interleave(repeats)))
        return self.moments[-1]


def _inner(part: Tensor, inset: Inset) -> Tensor:
    """C×H×W without the shares at its edges."""
    height, width = part.shape[-2:]
    top, bottom, left, right = inset
    rows = slice(round(height * top), height - round(height * bottom))
    return part[:, rows, round(width * left) : width - round(width * right)]


class Frozen(_NormsReplaced):
    """Every norm uses the statistics that `Measuring` found for it; good for one pass of the network."""

    def __init__(self, moments: Sequence[Moments]) -> None:
        super().__init__()
        self.remaining = iter(moments)

    def moments_of(self, x: Tensor, groups: int) -> Moments:
        return next(self.remaining)


class Footprint(TorchFunctionMode):
    """Watches a pass of a network.

    Attributes:
        largest: bytes of the largest tensor that a layer put out.
        norms: how often statistics were taken from the picture.
    """

    def __init__(self) -> None:
        super().__init__()
        self.largest, self.norms = 0, 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.largest = max(self.largest, result.nbytes)
        self.norms += func in NORMS
        return result
