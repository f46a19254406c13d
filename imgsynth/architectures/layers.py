"""Layers that several image-to-image networks share, and what a file tells about them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from imgsynth.architectures.registry import Hints, Shapes, StateDict

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": nn.InstanceNorm2d,
    "affine_instance": partial(nn.InstanceNorm2d, affine=True),
    "none": lambda _: nn.Identity(),
}
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def named(**layers: nn.Module) -> nn.Sequential:
    """An `nn.Sequential` whose layers have names instead of numbers."""
    return nn.Sequential(OrderedDict(layers))


def make_norm(norm: str, channels: int) -> nn.Module:
    """The norm of a name in `NORMS`.

    Raises:
        KeyError: there is none of that name.
    """
    return NORMS[norm](channels)


def norm_at(shapes: Shapes, module: str, bias: bool, hints: Hints) -> str:
    """Which of `NORMS` stands at a module.

    Args:
        shapes: without statistics that no norm reads (`without_unused_statistics`).
        module: key of the norm, up to the last dot.
        bias: whether the convolution before it has a bias.
        hints: `norm` as the published options name it.
    """
    if f"{module}.running_mean" in shapes:
        return "batch"
    if f"{module}.weight" in shapes:
        return "affine_instance"
    # A norm without parameters leaves no key; the published networks have biases before instance norms only.
    usual = "instance" if bias else "none"
    told = hints.get("norm")
    return told if told in ("instance", "none") else usual


def without_unused_statistics(state: StateDict) -> StateDict:
    """Drops the running statistics that PyTorch 0.3 stored for instance norms and never used.

    Norms that do use them have a weight beside them.
    """
    return {k: v for k, v in state.items() if not _unused(k, state)}


def _unused(key: str, state: StateDict) -> bool:
    module, _, name = key.rpartition(".")
    return name in STATISTICS and f"{module}.weight" not in state
