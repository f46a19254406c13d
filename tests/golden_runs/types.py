"""Types of the golden runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from imgsynth.families import Model

Tensors = Mapping[str, Tensor]
Outputs = dict[str, Tensor]
Run = Callable[[Model, Tensors], Outputs]
