"""The golden files: state dicts that original implementations made, with inputs and the outputs they gave."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from golden_runs import Tensors

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "golden"
FOLDER = Path(os.environ.get("IMGSYNTH_GOLDEN_DIR") or BESIDE)


@dataclass(frozen=True)
class Golden:
    """What one file holds; `hints` are the facts that a config.json would give."""

    state: Tensors
    given: Tensors
    expected: Tensors
    hints: Mapping[str, Any]


def cases() -> list[Any]:
    """One test parameter per file, or one that is skipped where there is no folder."""
    if not FOLDER.is_dir():
        reason = "there is no folder of golden files; name it in IMGSYNTH_GOLDEN_DIR"
        return [pytest.param(FOLDER, marks=pytest.mark.skip(reason=reason), id="no golden files")]
    return [pytest.param(path, id=path.stem) for path in sorted(FOLDER.glob("*.safetensors"))]


def read(path: Path) -> Golden:
    with safe_open(path, framework="pt") as file:
        meta = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, not a mapping
    stored = below("state/", tensors)
    state = {**(filled(meta) if "fill" in meta else {}), **stored}
    assert len(state) == int(meta["n_state_keys"])
    return Golden(
        {k: v.float() if v.is_floating_point() else v for k, v in state.items()},
        as_given(below("input/", tensors)),
        below("output/", tensors),
        json.loads(meta["hints"]),
    )


def as_given(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Inputs in float32, whatever took least room in the file; indices stay whole."""
    given = {k: v if k.endswith("_index") else v.float() for k, v in inputs.items()}
    return {"x": given["x_uint8"] / 255, **given} if "x_uint8" in given else given


def layout(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """Keys and shapes of a file's state dict, as tensors without values, and its hints."""
    with safe_open(path, framework="pt") as file:
        meta = file.metadata()
        kept = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118, not a mapping
    shapes = {key: shape for key, (shape, *_) in json.loads(meta.get("fill", "{}")).items()}
    shapes |= below("state/", kept)
    state = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    return state, json.loads(meta["hints"])


def below(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def filled(meta: Mapping[str, str]) -> dict[str, Tensor]:
    """The state of a network that is too large to be stored, by the rule that it was made with."""
    state = {
        key: fill(f"{meta['fill_seed']}/{key}", tuple(shape), dtype, low, high)
        for key, (shape, dtype, low, high) in json.loads(meta["fill"]).items()
    }
    for key, first in json.loads(meta["fill_check"]).items():
        assert state[key].flatten()[:4].tolist() == first, key
    return state


def fill(name: str, shape: tuple[int, ...], dtype: str, low: float, high: float) -> Tensor:
    if not dtype.startswith("float"):
        return torch.full(shape, int(low), dtype=getattr(torch, dtype))
    x = np.arange(int(np.prod(shape)), dtype=np.uint64) * 2654435761 + zlib.crc32(name.encode())
    x &= 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x ^= x >> np.uint64(shift)
        x = (x * factor) & 0xFFFFFFFF
    values = low + (high - low) * (x.astype(np.float64) / 2**32)
    return torch.from_numpy(values.astype(np.float32).reshape(shape))
