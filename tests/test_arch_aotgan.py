"""AOT-GAN of every size is opened as it was built, and fills holes of any photo."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from builders import model_of, randomised
from imgsynth.architectures.aotgan import AOTGenerator, assemble, steep_norm
from imgsynth.architectures.registry import open_state_dict
from imgsynth.errors import UnknownArchitecture
from imgsynth.families import Inpainter


def sizes(widths: list[int], blocks: int, rates: list[int], channels: int = 3) -> dict[str, Any]:
    return {
        "widths": widths,
        "blocks": blocks,
        "rates": rates,
        "channels": channels,
        "output_channels": channels,
    }


SIZES = [
    sizes([3, 5, 8], 1, [1, 2, 4, 8]),
    sizes([4, 8, 16], 11, [1, 2, 4, 8], channels=1),
    sizes([2, 3, 4], 2, [1, 2]),
]


@pytest.mark.parametrize("built", SIZES, ids=str)
def test_read_as_it_was_built(built: dict[str, Any]) -> None:
    network = randomised(AOTGenerator(**built), 0)
    opened = open_state_dict(network.state_dict())
    assert opened.architecture.name == "aotgan"
    assert opened.hyperparameters == built
    x = torch.rand(1, built["channels"] + 1, 48, 40)
    with torch.inference_mode():
        assert torch.equal(opened.network(x), network(x))


@pytest.mark.parametrize("hint", [[1, 3, 5, 7], "1+3+5+7", (1.0, 3.0, 5.0, 7.0)], ids=str)
def test_rates_are_heard_from_a_hint(hint: Any) -> None:
    network = randomised(AOTGenerator([2, 4, 8], 1, [1, 3, 5, 7]), 0)
    opened = open_state_dict(network.state_dict(), {"rates": hint})
    assert opened.hyperparameters["rates"] == [1, 3, 5, 7]
    x = torch.rand(1, 4, 40, 40)
    assert torch.equal(opened.network(x), network(x))


@pytest.mark.parametrize("hint", [[1, 2], [1, 2, 4, 0], [1, 2, 4, 10**9], "1,2,4,8", 3, None], ids=str)
def test_rates_that_cannot_be_are_refused(hint: Any) -> None:
    state = AOTGenerator([2, 4, 8], 1, [1, 2, 4, 8]).state_dict()
    with pytest.raises(UnknownArchitecture, match="nearly a aotgan"):
        open_state_dict(state, {"rates": hint})


def test_holes_are_white() -> None:
    image, mask = torch.full((1, 3, 1, 2), -0.5), torch.tensor([[[[0.0, 1.0]]]])
    assert assemble(image, mask).flatten().tolist() == [-0.5, 1, -0.5, 1, -0.5, 1, 0, 1]


def test_a_gate_is_set_by_the_deviation_within_its_sample_and_channel() -> None:
    x = torch.stack([torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[10.0, 30.0]]])])
    # Mean 2 and unbiased deviation √2: ±1/√2 deviations, ten-fold, less 5.
    expected = torch.tensor([-1, 1]) * 10 / 2**0.5 - 5
    torch.testing.assert_close(steep_norm(x).flatten(1), expected.expand(2, 2))


@pytest.mark.parametrize("size", [(1, 1), (9, 50), (64, 40)], ids=str)
def test_photos_smaller_than_the_widest_branch_reflects(size: tuple[int, int]) -> None:
    model = model_of(randomised(AOTGenerator([2, 4, 8], 1, [1, 2, 4, 8]), 0))
    assert isinstance(model, Inpainter)
    mask = torch.zeros(1, 1, *size)
    mask[..., 0] = 1
    filled = model.inpaint(torch.rand(1, 3, *size), mask)
    assert filled.shape == (1, 3, *size)
    assert filled.isfinite().all()
