"""The computer vision course's CycleGAN of every width and depth is opened as it was built."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from imgsynth.architectures.johko_cyclegan import JohkoGenerator, detect
from imgsynth.architectures.registry import shapes_of
from translators import opened_again

SIZES = [
    {"input_channels": 3, "output_channels": 3, "width": 2, "blocks": 9},
    {"input_channels": 1, "output_channels": 3, "width": 5, "blocks": 11},
    {"input_channels": 3, "output_channels": 1, "width": 3, "blocks": 1},
    {"input_channels": 3, "output_channels": 3, "width": 4, "blocks": 0},
]


@pytest.mark.parametrize("built", SIZES, ids=str)
def test_read_as_it_was_built(built: dict[str, Any]) -> None:
    opened = opened_again(JohkoGenerator(**built))
    assert opened.architecture.name == "johko_cyclegan"
    assert opened.hyperparameters == built
    channels = built["input_channels"], built["output_channels"]
    assert opened.architecture.channels(opened.hyperparameters) == channels


def test_its_discriminator_is_another_network() -> None:
    """`disc_A.pth` lies beside the generators and begins with a layer of the same name."""
    state = {"upfeature.conv.weight": torch.zeros(64, 3, 7, 7), "final.weight": torch.zeros(1, 512, 1, 1)}
    state |= {f"contract{i}.conv1.weight": torch.zeros(2, 2, 4, 4) for i in (1, 2, 3)}
    assert not detect(shapes_of(state))
