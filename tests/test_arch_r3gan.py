"""R3GAN: every size is read back, whatever stands before the keys."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from builders import model_of, randomised
from imgsynth.architectures.r3gan import R3GANGenerator, Resampler
from imgsynth.architectures.registry import open_state_dict

TINY: dict[str, Any] = {
    "latent_dim": 5,
    "widths": [8, 6],
    "expanded": [16, 12],
    "cardinalities": [4, 2],
    "blocks": [1, 2],
    "classes": 3,
    "embedding_dim": 2,
    "kernel": 3,
    "taps": 4,
    "channels": 3,
}
Z = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([2, 0])


def tiny(**changes: Any) -> nn.Module:
    return randomised(R3GANGenerator(**{**TINY, **changes}), 0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"classes": 0, "embedding_dim": 0, "channels": 1},
        {
            "widths": [6, 6, 6, 4],
            "expanded": [6, 12, 18, 8],
            "cardinalities": [1, 12, 3, 8],
            "blocks": [3, 1, 2, 1],
        },
        {"kernel": 5, "taps": 6},
        {"kernel": 1, "taps": 2},
        {"taps": 5},
        {
            "widths": [6, 6, 6, 4],
            "expanded": [0, 12, 0, 8],
            "cardinalities": [0, 2, 0, 8],
            "blocks": [0, 2, 0, 1],
        },
        {"widths": [8], "expanded": [8], "cardinalities": [2], "blocks": [1]},
    ],
)
@torch.no_grad()
def test_every_size_is_read_as_it_was_built(changes: dict[str, Any]) -> None:
    network = tiny(**changes)
    model = model_of(network)
    assert model.architecture.name == "r3gan"
    sizes = model.opened.hyperparameters
    assert sizes == {**TINY, **changes}
    picture = model.network(Z, LABELS)
    assert torch.equal(picture, network(Z, LABELS))
    assert picture.shape == (2, sizes["channels"], model.image_size, model.image_size)


def test_the_wrapper_of_the_training_code_is_taken_off() -> None:
    network = tiny()
    opened = open_state_dict({f"Model.{key}": value for key, value in network.state_dict().items()})
    assert opened.hyperparameters == TINY
    assert torch.equal(opened.network(Z, LABELS), network(Z, LABELS))


@torch.no_grad()
def test_a_class_changes_the_picture() -> None:
    model = model_of(tiny())
    drawn = [model.render(Z[:1], labels=[label]) for label in (0, 0, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_a_conditional_network_asks_for_labels() -> None:
    with pytest.raises(ValueError, match="labels"):
        tiny()(Z)


@pytest.mark.parametrize(
    ("taps", "filter_1d"),
    [
        (2, [1, 1]),
        (3, [1, 2, 1]),
        (4, [1, 3, 3, 1]),
        (5, [1, 4, 6, 4, 1]),
        (6, [1, 5, 10, 10, 5, 1]),
    ],
)
def test_upsampling_filters_between_zeros(taps: int, filter_1d: list[float]) -> None:
    kernel = torch.tensor(filter_1d).float() * 2 / sum(filter_1d)
    x = torch.randn(2, 3, 4, 5)
    spread = torch.zeros(2, 3, 8, 10)
    spread[..., ::2, ::2] = x
    before, after = (taps + 1) // 2, (taps - 2) // 2
    padded = F.pad(spread, (before, after, before, after)).flatten(0, 1)[:, None]
    expected = F.conv2d(padded, kernel.outer(kernel)[None, None]).reshape(spread.shape)
    torch.testing.assert_close(Resampler(taps)(x), expected)


@pytest.mark.parametrize("taps", [0, 1, 10**6])
def test_other_filters_are_refused(taps: int) -> None:
    with pytest.raises(ValueError, match="taps"):
        Resampler(taps)
