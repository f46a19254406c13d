"""How a golden file's inputs are given to each network, and which of its outputs they make."""

from __future__ import annotations

from golden_runs.autoencoders import AUTOENCODERS
from golden_runs.generators import GENERATORS
from golden_runs.inpainters import INPAINTERS
from golden_runs.styles import STYLES
from golden_runs.translators import TRANSLATORS
from golden_runs.types import Outputs, Run, Tensors

RUN: dict[str, Run] = {**GENERATORS, **STYLES, **AUTOENCODERS, **TRANSLATORS, **INPAINTERS}

__all__ = ["RUN", "Outputs", "Run", "Tensors"]
