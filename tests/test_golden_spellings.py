"""A network is found whatever its file was wrapped in, in every format and number type."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from cli_runs import Run
from golden_files import cases, layout, read
from imgsynth.architectures.registry import recognise
from imgsynth.checkpoints.state_dict import unwrapped

State = Mapping[str, Tensor]


def prefixed(prefix: str, state: State) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state.items()}


def with_discriminator(state: State) -> dict[str, Any]:
    judge = {"D.conv.weight": torch.zeros(4, 3, 3, 3), "D_aug.D.conv.weight": torch.zeros(4, 3, 3, 3)}
    untrained = {key: torch.zeros_like(value) for key, value in state.items()}
    return {"GAN": {**prefixed("G.", untrained), **prefixed("GE.", state), **judge}, "version": "1.2.1"}


WRAPPINGS: dict[str, Callable[[State], dict[str, Any]]] = {
    "bare": dict,
    "state_dict": lambda s: {"state_dict": dict(s), "epoch": 7},
    "model_state_dict": lambda s: {"model_state_dict": dict(s)},
    "GAN with G, GE and D": with_discriminator,
    "module.": lambda s: prefixed("module.", s),
    "_orig_mod.": lambda s: prefixed("_orig_mod.", s),
    "_orig_mod.module.": lambda s: prefixed("_orig_mod.module.", s),
    "g_ema beside g": lambda s: {"g": {k: torch.zeros_like(v) for k, v in s.items()}, "g_ema": dict(s)},
    "params_ema beside params": lambda s: {"params": {}, "params_ema": dict(s)},
    "state_dict of module.": lambda s: {"state_dict": prefixed("module.", s)},
    "netG.": lambda s: prefixed("netG.", s),
}


@pytest.mark.parametrize("path", cases())
def test_every_wrapping_of_every_network_is_taken_off(path: Path) -> None:
    state, hints = layout(path)
    bare = recognise(state, hints)[0]
    for name, wrap in WRAPPINGS.items():
        found = unwrapped(path, wrap(state)).tensors
        opened = recognise(found, hints)[0]
        assert opened.architecture is bare.architecture, name
        assert opened.hyperparameters == bare.hyperparameters, name


@pytest.mark.parametrize("path", cases())
def test_half_precision_changes_nothing_of_what_is_found(path: Path) -> None:
    state, hints = layout(path)
    halved = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    assert recognise(halved, hints)[0].hyperparameters == recognise(state, hints)[0].hyperparameters


@pytest.mark.parametrize("ending", ["half.safetensors", "half.pth", "module.bin", "g_ema.pt"])
@pytest.mark.parametrize("path", [c for c in cases() if "w8" in str(c.id) or "32" in str(c.id)])
def test_inspect_names_the_architecture(path: Path, ending: str, run: Run, tmp_path: Path) -> None:
    golden = read(path)
    file = tmp_path / ending
    (tmp_path / "config.json").write_text(json.dumps(dict(golden.hints)))
    halved = {k: v.half() if v.is_floating_point() else v for k, v in golden.state.items()}
    if file.suffix == ".safetensors":
        save_file({k: v.contiguous().clone() for k, v in halved.items()}, file)
    else:
        name = file.stem
        torch.save({"g_ema": halved} if name == "g_ema" else prefixed(f"{name}.", halved), file)
    if ending == "half.pth":
        torch.save(halved, file)
    facts = json.loads(run("inspect", file, "--json").out)
    bare = recognise(dict(golden.state), golden.hints)[0]
    assert facts["architecture"] == bare.architecture.name
    assert facts["hyperparameters"] == bare.hyperparameters
