"""Every network computes what its original implementation does.

Each golden file holds a state dict that the original code made, an input, and the outputs it gave.
Set IMGSYNTH_GOLDEN_DIR to the folder where they lie.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import imgsynth
from builders import save
from golden_files import cases, fill, layout, read
from golden_runs import RUN, Outputs
from imgsynth.architectures.registry import architectures, shapes_of
from imgsynth.checkpoints.naming import from_path
from imgsynth.families import Model
from imgsynth.runtime.opening import load

TOLERANCE = 1e-4  # of an output's range


def opened(path: Path, hints: Mapping[str, Any]) -> Model:
    """The file as a person opens it; hints go where those of a repository's config.json go."""
    if not hints:
        return imgsynth.open_checkpoint(str(path), device="cpu", precision="fp32")
    return load(replace(from_path(path), hints=hints), torch.device("cpu"), "fp32")


def as_stored(outputs: Outputs, name: str) -> Tensor:
    """An output in the form in which the file keeps it: whole, every K-th pixel, or the mean of each row."""
    if match := re.fullmatch(r"(.+)_stride(\d+)", name):
        step = int(match[2])
        return outputs[match[1]][..., ::step, ::step]
    if name.endswith("_row_mean"):
        return outputs[name.removesuffix("_row_mean")].mean(-1)
    return outputs[name]


@pytest.mark.parametrize("path", cases())
def test_network_computes_what_the_original_does(path: Path, tmp_path: Path) -> None:
    golden = read(path)
    model = opened(save(golden.state, tmp_path / "flat.safetensors"), golden.hints)
    with torch.inference_mode():
        outputs = RUN[model.architecture.name](model, golden.given)
    assert golden.expected
    for name, expected in golden.expected.items():
        found = as_stored(outputs, name)
        assert found.shape == expected.shape, name
        worst = (found - expected).abs().max().item()
        assert worst <= TOLERANCE * (expected.max() - expected.min()).item(), name

    again = opened(save(golden.state, tmp_path / "flat.pth"), golden.hints)
    assert again.opened.hyperparameters == model.opened.hyperparameters
    theirs = again.network.state_dict()
    assert all(torch.equal(theirs[key], value) for key, value in model.network.state_dict().items())


@pytest.mark.parametrize("path", cases())
def test_one_architecture_alone_claims_a_file(path: Path) -> None:
    state, _ = layout(path)
    claims = [a.name for a in architectures() if a.detect(shapes_of(a.canonical(state)))]
    assert len(claims) == 1


def test_the_fill_rule_gives_the_values_it_was_published_with() -> None:
    found = fill("beta_vae_celeba__z32_full/encoder.0.weight", (2, 2), "float32", -0.35, 0.35)
    expected = [
        [0.08456198126077652, 0.18441075086593628],
        [-0.12101686000823975, -0.0202951543033123],
    ]
    assert found.tolist() == expected
