"""U-Nets of every depth, width and norm, under every spelling, are opened as they were built."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from builders import model_of, randomised, save
from imgsynth.architectures.pix2pix_unet import MOST_LEVELS, UNetGenerator
from imgsynth.architectures.registry import open_state_dict
from imgsynth.checkpoints.naming import from_path
from imgsynth.errors import UnknownArchitecture
from imgsynth.runtime.opening import open_file
from translators import State, opened_again, with_statistics


def sizes(widths: list[int], norm: str, bias: bool, channels: tuple[int, int] = (3, 3)) -> dict[str, Any]:
    outer = {"input_channels": channels[0], "output_channels": channels[1]}
    return {"widths": widths, **outer, "norm": norm, "bias": bias}


SIZES = [
    sizes([2, 4, 8, 16, 16], "instance", True, (3, 1)),
    sizes([2, 4, 8, 16, 16, 16, 16], "batch", False, (1, 3)),
    sizes([3, 6, 12, 24, 24], "batch", True),
    sizes([3, 6, 12, 24, 24], "none", False),
    sizes([5, 4, 3], "affine_instance", True),
    sizes([4, 7], "batch", False),
]


@pytest.mark.parametrize("built", SIZES, ids=str)
def test_read_as_it_was_built(built: dict[str, Any]) -> None:
    opened = opened_again(UNetGenerator(**built), size=2 ** len(built["widths"]))
    assert opened.architecture.name == "pix2pix_unet"
    assert opened.hyperparameters == built
    assert opened.architecture.multiple(built) == 2 ** len(built["widths"])


def test_the_norm_that_leaves_no_trace_can_be_named() -> None:
    built = sizes([2, 4, 6], "instance", False)
    assert opened_again(UNetGenerator(**built), {"norm": "instance"}).hyperparameters == built


def test_statistics_of_instance_norms_change_nothing() -> None:
    network = randomised(UNetGenerator(**SIZES[0]), 0)
    old = with_statistics(network)
    assert len(old) > len(network.state_dict())
    opened = open_state_dict(old)
    assert opened.hyperparameters == SIZES[0]
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(opened.network(x), network(x))


def prefixed(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + key: value for key, value in state.items()}


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "bare": dict,
    "module.": prefixed("module."),
    "netG.": prefixed("netG."),
    "model.module.": prefixed("model.module."),
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": prefixed("module.")(state)},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_keys_that_begin_with_model_are_left_whole(wrapping: str, tmp_path: Path) -> None:
    state = UNetGenerator(**SIZES[0]).state_dict()
    assert all(key.startswith("model.model.") for key in state)
    opened = open_file(from_path(save(WRAPPINGS[wrapping](state), tmp_path / "netG.pth"))).opened
    assert opened.network.state_dict().keys() == state.keys()


def test_a_sketch_is_shown_in_grey() -> None:
    model = model_of(randomised(UNetGenerator([2, 4, 4], 3, 1, "instance", True), 0))
    assert model.tasks == ("translate",)
    picture = model.translate(torch.rand(1, 3, 37, 41))
    assert picture.shape == (1, 3, 37, 41)
    assert torch.equal(picture[:, 0], picture[:, 1])
    assert picture.std() > 0


def test_levels_without_end_are_refused() -> None:
    state = {"model.model.0.weight": torch.zeros(0, 3, 4, 4)}
    for level in range(MOST_LEVELS):
        state[f"model.model.1{'.model.3' * level}.model.1.weight"] = torch.zeros(0, 0, 4, 4)
    with pytest.raises(UnknownArchitecture, match="sizes do not fit") as caught:
        open_state_dict(state)
    assert caught.value.nearest == "pix2pix_unet"
