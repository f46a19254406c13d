"""Checkpoints that would run a command when they are opened as pickles: it leaves a file behind."""

from __future__ import annotations

import builtins
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Call:
    """Pickles to a call: what a malicious file does."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class TensorLike(Tensor):
    """Looks like a tensor and pickles to a call deep inside its rebuilding."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        return torch._utils._rebuild_parameter, (Call(os.system, self.command), False, {})  # type: ignore[attr-defined]


def evil_objects(marker: Path) -> dict[str, tuple[Any, str]]:
    tensor = torch.ones(1).as_subclass(TensorLike)
    tensor.command = f"touch {marker}"  # type: ignore[attr-defined]
    system = f"{os.system.__module__}.system"
    return {
        "system": ({"a": Call(os.system, f"touch {marker}")}, system),
        "bare": (Call(os.system, f"touch {marker}"), system),
        "eval": ({"a": Call(builtins.eval, f"open({str(marker)!r}, 'w')")}, "builtins.eval"),
        "exec": (
            {"state_dict": {"w": [1.0], "x": Call(exec, f"open({str(marker)!r}, 'w')")}},
            "builtins.exec",
        ),
        "tensor": ({"w": tensor}, system),
        "module": (nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
    }
