"""MI-GAN of every resolution is opened as it was built, and fills holes of photos of other sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from builders import model_of, randomised
from imgsynth.architectures.migan import MIGANGenerator, Upsample, activate_, assemble
from imgsynth.architectures.registry import open_state_dict
from imgsynth.errors import UnknownArchitecture
from imgsynth.families import Inpainter
from imgsynth.families.inpainter import surroundings

SIZES = [
    {"widths": [6, 4], "channels": 3, "output_channels": 3, "masked": True},
    {"widths": [5, 5, 3, 2], "channels": 1, "output_channels": 1, "masked": True},
    {"widths": [4, 4, 4, 4, 3, 2], "channels": 3, "output_channels": 3, "masked": True},
    {"widths": [4, 4, 3, 2], "channels": 3, "output_channels": 3, "masked": False},
]


@torch.no_grad()
def as_usual(network: nn.Module) -> nn.Module:
    """With pixels spread out between zeros."""
    for module in network.modules():
        if isinstance(module, Upsample):
            spread = module.filter_const if module.insert_zeros is None else module.insert_zeros.weight
            spread.zero_()[..., ::2, ::2] = 1
    return network


@pytest.mark.parametrize("built", SIZES, ids=str)
def test_read_as_it_was_built(built: dict[str, Any]) -> None:
    network = randomised(MIGANGenerator(**built), 0)
    opened = open_state_dict(network.state_dict())
    assert opened.architecture.name == "migan"
    assert opened.hyperparameters == built
    side = 4 * 2 ** (len(built["widths"]) - 1)
    assert opened.architecture.image_size(built) == side
    x = torch.rand(2, built["channels"] + 1, side, side)
    with torch.inference_mode():
        assert torch.equal(opened.network(x), network(x))


@pytest.mark.parametrize("masked", [True, False])
def test_pixels_that_are_not_spread_as_usual_stay_so(masked: bool) -> None:
    unusual = randomised(MIGANGenerator([4, 3, 2], masked=masked), 0)
    usual = as_usual(randomised(MIGANGenerator([4, 3, 2], masked=masked), 0))
    x = torch.rand(1, 4, 16, 16)
    with torch.inference_mode():
        theirs, ours = (open_state_dict(n.state_dict()).network(x) for n in (unusual, usual))
        assert torch.equal(theirs, unusual(x))
        torch.testing.assert_close(ours, usual(x))
    assert not torch.allclose(theirs, ours)


@pytest.mark.parametrize("masked", [True, False])
def test_pixels_spread_as_usual_make_a_transposed_convolution(masked: bool) -> None:
    network = as_usual(randomised(MIGANGenerator([4, 3, 2], masked=masked), 0))
    opened = open_state_dict(network.state_dict())
    quick = [m for m in opened.network.modules() if isinstance(m, Upsample)]
    slow = [m for m in network.modules() if isinstance(m, Upsample)]
    assert len(quick) == 4 and all(m.transposable for m in quick) and not any(m.transposable for m in slow)
    for a, b in zip(quick, slow, strict=True):
        channels, side = len(a.filter.weight), a.filter_const.shape[-1] // 2 if masked else 5
        x = torch.rand(2, channels, side, side)
        torch.testing.assert_close(a(x), b(x))


def test_activation_keeps_the_variance_and_is_clamped() -> None:
    x = torch.tensor([-1000.0, -10.0, 0.0, 10.0, 1000.0])
    expected = torch.tensor([-256.0, -2 * 2**0.5, 0.0, 10 * 2**0.5, 256.0])
    torch.testing.assert_close(activate_(x), expected)


def test_what_is_known_comes_first() -> None:
    image, mask = torch.full((1, 3, 1, 2), -0.25), torch.tensor([[[[0.0, 1.0]]]])
    assert assemble(image, mask).flatten().tolist() == [0.5, -0.5, -0.25, 0, -0.25, 0, -0.25, 0]


@pytest.mark.parametrize("size", [(3, 5), (16, 16), (40, 22)], ids=str)
def test_photos_of_any_size_go_through_the_square(size: tuple[int, int]) -> None:
    model = model_of(as_usual(randomised(MIGANGenerator([4, 3, 2]), 0)))
    assert isinstance(model, Inpainter)
    photo, mask = torch.rand(1, 3, *size), torch.zeros(1, 1, *size)
    mask[..., : size[1] // 2] = 1
    filled = model.inpaint(photo, mask)
    assert filled.shape == photo.shape
    if size == (16, 16):
        with torch.inference_mode():
            native = model.network(assemble(photo * 2 - 1, mask))
        torch.testing.assert_close(filled, (native * 0.5 + 0.5).clamp(0, 1))


@pytest.mark.parametrize(("top", "left", "near"), [(20, 31, (14, 25)), (0, 46, (0, 34)), (36, 3, (24, 0))])
def test_a_hole_that_fits_is_filled_at_full_size(top: int, left: int, near: tuple[int, int]) -> None:
    model = model_of(as_usual(randomised(MIGANGenerator([4, 3, 2]), 0)))
    assert isinstance(model, Inpainter)
    photo, mask = torch.rand(1, 3, 40, 50), torch.zeros(1, 1, 40, 50)
    mask[..., top : top + 4, left : left + 4] = 1
    around = slice(near[0], near[0] + 16), slice(near[1], near[1] + 16)
    with torch.inference_mode():
        native = model.network(assemble(photo[..., *around] * 2 - 1, mask[..., *around]))
    expected = photo.clone()
    expected[..., *around] = (native * 0.5 + 0.5).clamp(0, 1)
    torch.testing.assert_close(model.inpaint(photo, mask), expected)


def test_a_hole_that_does_not_fit_is_seen_with_half_its_size_around_it() -> None:
    mask = torch.zeros(1, 1, 100, 90)
    mask[..., 30:50, 40:48] = 1
    assert surroundings(mask, 16) == (slice(25, 55), slice(29, 59))
    mask[..., 0, 89] = mask[..., 99, 0] = 1
    assert surroundings(mask, 16) == (slice(0, 150), slice(0, 150))
    assert surroundings(torch.zeros(1, 1, 9, 9), 16) == (slice(0, 16), slice(0, 16))


def test_what_is_to_go_never_shows_in_the_padding() -> None:
    model = model_of(as_usual(randomised(MIGANGenerator([4, 3, 2]), 0)))
    assert isinstance(model, Inpainter)
    photo, mask = torch.rand(1, 3, 8, 16), torch.zeros(1, 1, 8, 16)
    mask[..., 6:, :] = 1
    filled = model.inpaint(photo, mask)
    assert torch.equal(model.inpaint(photo * (1 - mask), mask), filled)


@pytest.mark.parametrize("key", ["encoder.b8.conv2.conv1.bias", "synthesis.b16.conv2.noise_strength"])
def test_a_file_that_lacks_a_tensor_is_refused_by_name(key: str) -> None:
    state = MIGANGenerator([4, 3, 2]).state_dict()
    del state[key]
    with pytest.raises(UnknownArchitecture, match=key):
        open_state_dict(state)


def test_noise_is_the_files_own() -> None:
    network = as_usual(randomised(MIGANGenerator([4, 3, 2]), 0))
    x = torch.rand(1, 4, 16, 16)
    state = network.state_dict()
    key = "synthesis.b16.conv2.noise_const"
    changed = {**state, key: state[key] + F.one_hot(torch.tensor(3), 16)}
    with torch.inference_mode():
        before, after = (open_state_dict(s).network(x) for s in (state, changed))
    moved = (before != after).any(1)[0].any(0)
    assert moved[3] and not moved[[0, 1, 2, 4, 5]].any()
