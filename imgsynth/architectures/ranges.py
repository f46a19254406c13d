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


TANH = ValueRange("[-1, 1] (tanh)", lambda x: (x * 0.5 + 0.5).clamp(0, 1), lambda x: x * 2 - 1)
UNIT = ValueRange("[0, 1]", lambda x: x.clamp(0, 1), lambda x: x)
LOGITS = ValueRange("logits (sigmoid gives [0, 1])", torch.sigmoid, torch.logit)
