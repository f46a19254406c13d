"""Line-art networks of every width and depth are opened as they were built."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from builders import model_of, randomised
from imgsynth.architectures.informative_drawings import DrawingGenerator
from imgsynth.architectures.registry import open_state_dict
from imgsynth.errors import UnknownArchitecture
from translators import opened_again

SIZES = [
    {"input_channels": 3, "output_channels": 1, "width": 2, "blocks": 3},
    {"input_channels": 1, "output_channels": 3, "width": 5, "blocks": 11},
    {"input_channels": 3, "output_channels": 3, "width": 3, "blocks": 0},
]


@pytest.mark.parametrize("built", SIZES, ids=str)
@pytest.mark.parametrize("sigmoid", [True, False])
def test_read_as_it_was_built(built: dict[str, Any], sigmoid: bool) -> None:
    hints = {} if sigmoid else {"sigmoid": False}
    opened = opened_again(DrawingGenerator(**built, sigmoid=sigmoid), hints)
    assert opened.architecture.name == "informative_drawings"
    assert opened.hyperparameters == {**built, "sigmoid": sigmoid}


@pytest.mark.parametrize("hint", [1, "yes", None])
def test_a_sigmoid_that_is_neither_true_nor_false_is_refused(hint: Any) -> None:
    with pytest.raises(UnknownArchitecture):
        open_state_dict(DrawingGenerator(width=2).state_dict(), {"sigmoid": hint})


def test_photos_and_drawings_are_between_0_and_1() -> None:
    model = model_of(randomised(DrawingGenerator(width=2), 0))
    photo = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        drawing = model.network(photo)
    assert drawing.shape == (1, 1, 32, 32)
    assert torch.equal(model.translate(photo), drawing.expand(-1, 3, -1, -1))
