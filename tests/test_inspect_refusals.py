"""What is no network of ours: what it looks like, the nearest network, and the first keys that differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet50

from builders import save, tiny_dcgan
from cli_runs import Run, assert_refused

State = dict[str, Any]


def classifier() -> State:
    return {key: value.half() for key, value in resnet50().state_dict().items()}


def text_model() -> State:
    """GPT-2's keys."""
    block = {"attn.c_attn.weight": (8, 24), "attn.c_proj.weight": (8, 8), "mlp.c_fc.weight": (8, 32)}
    blocks = {f"h.{i}.{key}": torch.zeros(shape) for i in range(3) for key, shape in block.items()}
    return {"wte.weight": torch.zeros(50, 8), "wpe.weight": torch.zeros(16, 8), **blocks}


def lora() -> State:
    name = "unet.down_blocks.0.attentions.0.to_q"
    return {f"{name}.lora_A.weight": torch.zeros(4, 8), f"{name}.lora_B.weight": torch.zeros(8, 4)}


def optimizer() -> State:
    network: nn.Module = tiny_dcgan().train().requires_grad_(True)
    adam = torch.optim.Adam(network.parameters())
    network(torch.randn(2, 6)).sum().backward()
    adam.step()
    return adam.state_dict()


KINDS: list[tuple[Callable[[], State], str]] = [
    (classifier, "a network that classifies"),
    (text_model, "a network for text"),
    (lora, "a LoRA"),
    (optimizer, "an optimizer's state"),
]


@pytest.mark.parametrize(("make", "kind"), KINDS)
def test_what_a_file_is_instead_is_said(
    make: Callable[[], State], kind: str, run: Run, tmp_path: Path
) -> None:
    file = save(make(), tmp_path / "other.pth")
    assert_refused(run("inspect", file), "no network that imgsynth knows", f"it looks like {kind}")
    told = json.loads(run("inspect", file, "--json").out)
    assert set(told) == {"error", "nearest", "missing", "unexpected"}
    assert told["nearest"] and told["missing"] and told["unexpected"]


def truncated(state: dict[str, Tensor], file: Path) -> Path:
    save(state, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 2 // 3])
    return file


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_a_truncated_file_is_told(ending: str, run: Run, tmp_path: Path) -> None:
    file = truncated(tiny_dcgan().state_dict(), tmp_path / f"net{ending}")
    assert_refused(run("inspect", file), "cut short or damaged")
    assert "cut short" in json.loads(run("inspect", file, "--json").out)["error"]
