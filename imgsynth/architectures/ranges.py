"""Value ranges that networks speak, and their way to and from the range [0, 1]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ValueRange:
    """How a network's pixel values relate to [0, 1].

    Attributes:
        name: what `inspect` shows.
        to_unit: native values → [0, 1], clamped.
        from_unit: [0, 1] → native values.
    """

    name: str
    to_unit: Callable[[Tensor], Tensor]
    from_unit: Callable[[Tensor], Tensor]


def _imagenet(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of ImageNet's channels, shaped to broadcast over N×3×H×W."""
    mean, std = x.new_tensor([0.485, 0.456, 0.406]), x.new_tensor([0.229, 0.224, 0.225])
    return mean[:, None, None], std[:, None, None]


def _from_imagenet(x: Tensor) -> Tensor:
    mean, std = _imagenet(x)
    return (x * std + mean).clamp(0, 1)


def _to_imagenet(x: Tensor) -> Tensor:
    mean, std = _imagenet(x)
    return (x - mean) / std


def _half(x: Tensor) -> Tensor:
    return (x * 0.5 + 0.5).clamp(0, 1)


def _signed(x: Tensor) -> Tensor:
    return x * 2 - 1


TANH = ValueRange("[-1, 1] (tanh)", _half, _signed)
SIGNED = ValueRange("[-1, 1] (clamped)", _half, _signed)
UNIT = ValueRange("[0, 1]", lambda x: x.clamp(0, 1), lambda x: x)
LOGITS = ValueRange("logits (sigmoid gives [0, 1])", torch.sigmoid, torch.logit)
BYTES = ValueRange("[0, 255]", lambda x: (x / 255).clamp(0, 1), lambda x: x * 255)
IMAGENET = ValueRange("ImageNet mean and deviation", _from_imagenet, _to_imagenet)

# As the catalog and a config.json spell them, where they know better than the architecture.
BY_NAME = {
    "tanh": TANH,
    "signed": SIGNED,
    "unit": UNIT,
    "logits": LOGITS,
    "bytes": BYTES,
    "imagenet": IMAGENET,
}
