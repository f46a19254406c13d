"""CycleGAN generators with every option of the published code are opened as they were built."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from builders import randomised, tiny_cyclegan
from imgsynth.architectures.cyclegan_resnet import ConvBlock, ResnetGenerator
from imgsynth.architectures.registry import open_state_dict
from imgsynth.errors import UnknownArchitecture
from translators import opened_again

DEFAULTS: dict[str, Any] = {
    "input_channels": 3,
    "output_channels": 3,
    "width": 2,
    "blocks": 2,
    "downsamplings": 2,
    "norm": "instance",
    "dropout": False,
    "bias": True,
    "upsampling": "transposed",
    "padding": "zeros",
    "padding_type": "reflect",
}
TOLD_BY_THE_FILE: list[dict[str, Any]] = [
    {"padding_type": "zero"},
    {"padding_type": "zero", "dropout": True},
    {"padding_type": "zero", "norm": "batch", "bias": False},
    {"padding_type": "zero", "upsampling": "nearest"},
    {"norm": "none", "bias": False},
    {"norm": "none", "bias": False, "dropout": True},
    {"norm": "affine_instance"},
    {"norm": "batch"},  # pix2pixHD keeps the biases
    {"blocks": 0},
    {"blocks": 0, "upsampling": "nearest"},
    {"blocks": 0, "norm": "batch", "bias": False},
    {"downsamplings": 4, "blocks": 11, "input_channels": 1, "output_channels": 1},
    {"downsamplings": 0},
]


@pytest.mark.parametrize("changes", TOLD_BY_THE_FILE, ids=str)
def test_read_as_it_was_built(changes: dict[str, Any]) -> None:
    built = {**DEFAULTS, **changes}
    opened = opened_again(ResnetGenerator(**built))
    assert opened.architecture.name == "cyclegan_resnet"
    assert opened.hyperparameters == built


TOLD_BY_HINTS: list[dict[str, Any]] = [
    {"padding_type": "replicate"},
    {"padding_type": "replicate", "padding": "reflect", "upsampling": "nearest"},
    {"norm": "instance", "bias": False},
]


@pytest.mark.parametrize("changes", TOLD_BY_HINTS, ids=str)
def test_hints_tell_what_the_file_does_not(changes: dict[str, Any]) -> None:
    built = {**DEFAULTS, **changes}
    assert opened_again(ResnetGenerator(**built), changes).hyperparameters == built


def test_what_the_file_tells_is_not_asked_of_hints() -> None:
    hints = {"norm": "instance", "padding_type": "reflect"}
    built = {**DEFAULTS, "norm": "batch", "padding_type": "zero"}
    assert opened_again(ResnetGenerator(**built), hints).hyperparameters == built


@pytest.mark.parametrize("padding_type", ["zero", "mirror", 1, None, ["reflect"]])
def test_paddings_that_cannot_be_are_refused(padding_type: Any) -> None:
    with pytest.raises(UnknownArchitecture):
        open_state_dict(tiny_cyclegan().state_dict(), {"padding_type": padding_type})


MODES = {"reflect": "reflect", "replicate": "replicate", "zero": "constant"}


@pytest.mark.parametrize("padding_type", MODES)
def test_blocks_pad_as_they_say(padding_type: str) -> None:
    block = randomised(ConvBlock(3, padding=padding_type), 0)
    x = torch.rand(1, 3, 6, 7)
    first, second = (m for m in block.modules() if isinstance(m, torch.nn.Conv2d))

    def convolved(h: Tensor, conv: torch.nn.Conv2d) -> Tensor:
        padded = F.pad(h, (1, 1, 1, 1), MODES[padding_type])
        return F.instance_norm(F.conv2d(padded, conv.weight, conv.bias))

    expected = x + convolved(convolved(x, first).relu(), second)
    assert torch.allclose(block(x), expected, atol=1e-6)


def test_numbers_too_long_to_be_read_are_no_layers() -> None:
    state = {**tiny_cyclegan().state_dict(), f"model.{'9' * 5000}.weight": torch.zeros(1, 1, 3, 3)}
    with pytest.raises(UnknownArchitecture):
        open_state_dict(state)
