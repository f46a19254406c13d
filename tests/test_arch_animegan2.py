"""AnimeGAN generators of every width and expansion are opened as they were built, and keep odd sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from builders import model_of, randomised
from imgsynth.architectures.animegan2 import AnimeGenerator, InvertedResidual
from imgsynth.architectures.registry import open_state_dict
from imgsynth.errors import UnknownArchitecture
from translators import opened_again

SIZES = [
    {"widths": [2, 3, 4, 5], "expansions": [8, 10, 10, 10], "input_channels": 3, "output_channels": 3},
    {"widths": [4, 4, 4, 4], "expansions": [6, 5, 4], "input_channels": 1, "output_channels": 3},
    {"widths": [2, 3, 4, 5], "expansions": [None, None], "input_channels": 3, "output_channels": 1},
    {"widths": [2, 3, 4, 5], "expansions": [8, None], "input_channels": 3, "output_channels": 3},
    {"widths": [1, 1, 1, 1], "expansions": [1, None], "input_channels": 3, "output_channels": 3},
    {"widths": [2, 3, 4, 4], "expansions": [], "input_channels": 3, "output_channels": 3},
]


@pytest.mark.parametrize("built", SIZES, ids=str)
@pytest.mark.parametrize("align_corners", [True, False])
def test_read_as_it_was_built(built: dict[str, Any], align_corners: bool) -> None:
    hints = {} if align_corners else {"align_corners": False}
    opened = opened_again(AnimeGenerator(**built, align_corners=align_corners), hints)
    assert opened.architecture.name == "animegan2"
    assert opened.hyperparameters == {**built, "align_corners": align_corners}


@pytest.mark.parametrize("hint", [1, "yes", None])
def test_corners_that_are_neither_aligned_nor_not_are_refused(hint: Any) -> None:
    with pytest.raises(UnknownArchitecture):
        open_state_dict(tiny().state_dict(), {"align_corners": hint})


def tiny(align_corners: bool = True) -> AnimeGenerator:
    network = AnimeGenerator((2, 3, 4, 5), (8, 10), align_corners=align_corners)
    randomised(network, 0)
    return network


@pytest.mark.parametrize("size", [(8, 8), (9, 11), (37, 42), (50, 31)])
def test_pictures_of_odd_sizes_keep_them(size: tuple[int, int]) -> None:
    assert tiny()(torch.rand(1, 3, *size)).shape == (1, 3, *size)


def test_without_aligned_corners_sizes_are_multiples_of_4() -> None:
    network = tiny(align_corners=False)
    assert network(torch.rand(1, 3, 24, 36)).shape == (1, 3, 24, 36)
    assert network(torch.rand(1, 3, 25, 39)).shape == (1, 3, 24, 36)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (21, 34)])
def test_photos_of_any_size_are_translated(size: tuple[int, int], align_corners: bool) -> None:
    model = model_of(tiny(), {"align_corners": align_corners})
    assert model.translate(torch.rand(1, 3, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("expansion", [None, 6])
def test_the_input_is_added_where_widths_are_equal(expansion: int | None) -> None:
    x = torch.rand(1, 4, 8, 8)
    for outer, expected in ((4, x), (5, torch.zeros(1, 5, 8, 8))):
        block = InvertedResidual(4, outer, expansion)
        torch.nn.init.zeros_(block.layers[-1].weight)
        assert torch.equal(block(x), expected)
