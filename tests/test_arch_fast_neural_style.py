"""Style networks of every width and depth are opened as they were built."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from builders import model_of, randomised
from imgsynth.architectures.fast_neural_style import TransformerNet
from imgsynth.architectures.registry import open_state_dict
from translators import opened_again, with_statistics

SIZES = [
    {"widths": [2, 4, 8], "input_channels": 3, "output_channels": 3, "blocks": 5},
    {"widths": [3, 2, 5], "input_channels": 1, "output_channels": 3, "blocks": 11},
    {"widths": [2, 2, 2], "input_channels": 3, "output_channels": 1, "blocks": 0},
]


@pytest.mark.parametrize("built", SIZES, ids=str)
def test_read_as_it_was_built(built: dict[str, Any]) -> None:
    opened = opened_again(TransformerNet(**built))
    assert opened.architecture.name == "fast_neural_style"
    assert opened.hyperparameters == built


def test_statistics_of_instance_norms_change_nothing() -> None:
    network = randomised(TransformerNet((2, 4, 6), blocks=2), 0)
    old = with_statistics(network)
    assert len(old) > len(network.state_dict())
    opened = open_state_dict(old)
    x = torch.rand(1, 3, 32, 32) * 255
    assert torch.equal(opened.network(x), network(x))


def test_pixels_are_bytes() -> None:
    model = model_of(randomised(TransformerNet((2, 4, 6), blocks=1), 0))
    photo = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        native = model.network(photo * 255)
    assert torch.equal(model.translate(photo), (native / 255).clamp(0, 1))
    assert native.max() - native.min() > 1
