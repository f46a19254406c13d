"""Activations that a config.json names and no tensor tells."""

from __future__ import annotations

from torch import nn

from imgsynth.architectures.registry import Hints

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "mish": nn.Mish,
    "gelu": nn.GELU,
    "relu": nn.ReLU,
}


def activation_in(hints: Hints, default: str) -> str:
    """The name under `act_fn`, as diffusers spells it.

    Raises:
        ValueError: it is none of ACTIVATIONS.
    """
    name = str(hints.get("act_fn", default)).lower()
    if name not in ACTIVATIONS:
        raise ValueError("no activation has this name")
    return name
