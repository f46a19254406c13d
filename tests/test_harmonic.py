"""Holes that start as the smoothest continuation of what is around them, and a LaMa that goes on from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from builders import model_of, randomised
from imgsynth.architectures.harmonic import harmonic_fill, neighbours
from imgsynth.architectures.lama import LAMA, LaMaGenerator, assemble
from imgsynth.architectures.registry import open_state_dict
from imgsynth.training.fixed_norms import calibrate, fix_norms, norms_of
from imgsynth.training.identity import start_as_identity

SIZES: dict[str, Any] = {"width": 16, "downsamplings": 2, "blocks": 2, "global_channels": 48}


def box(height: int, width: int, rows: slice, columns: slice) -> Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[..., rows, columns] = 1
    return mask


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 37), st.integers(1, 37), st.integers(0, 999), st.floats(0.05, 0.98))
def test_only_holes_change_and_stay_between_what_is_known(
    height: int, width: int, seed: int, share: float
) -> None:
    image = noise(2, 3, height, width, seed=seed)
    mask = (noise(2, 1, height, width, seed=seed + 1) < share).float()
    mask[..., 0, 0] = 0
    filled = harmonic_fill(image, mask)
    hole = mask.bool().expand_as(image)
    assert torch.equal(filled[~hole], image[~hole])
    for i in range(2):
        known = image[i].masked_select(~hole[i])
        assert known.min() - 1e-5 <= filled[i].min() and filled[i].max() <= known.max() + 1e-5


def test_what_is_in_the_hole_is_not_looked_at() -> None:
    image, mask = noise(1, 3, 30, 41), box(30, 41, slice(5, 20), slice(7, 40))
    other = torch.where(mask.bool(), torch.nan, image)
    assert torch.equal(harmonic_fill(image, mask), harmonic_fill(other, mask))


def test_even_grounds_and_slopes_go_on() -> None:
    slope = (torch.arange(64.0) / 64).expand(1, 1, 64, 64)
    mask = box(64, 64, slice(20, 40), slice(16, 44))
    assert (harmonic_fill(slope, mask) - slope).abs().max() < 0.03
    assert torch.allclose(harmonic_fill(slope * 0 + 0.3, mask), slope * 0 + 0.3, atol=1e-6)


def test_it_is_near_the_solution() -> None:
    """The solution is where every pixel of the hole is the mean of its neighbours."""
    image = F.interpolate(noise(1, 1, 5, 5), size=(48, 48), mode="bicubic")
    mask = box(48, 48, slice(10, 34), slice(12, 40))
    filled = harmonic_fill(image, mask)
    solved = filled.clone()
    for _ in range(4000):
        solved = torch.where(mask.bool(), neighbours(solved), solved)
    mean = torch.where(mask.bool(), image[~mask.bool()].mean(), image)
    assert (filled - solved).abs().mean() < 0.2 * (mean - solved).abs().mean()


def test_types_stay_and_nothing_known_is_black() -> None:
    image = noise(1, 3, 9, 7).half()
    assert harmonic_fill(image, box(9, 7, slice(2, 5), slice(2, 5))).dtype == torch.float16
    assert harmonic_fill(image, torch.ones(1, 1, 9, 7)).abs().max() == 0


# The network


def identical(**options: Any) -> tuple[LaMaGenerator, dict[nn.BatchNorm2d, int]]:
    torch.manual_seed(0)
    generator = LaMaGenerator(**SIZES, **options)
    return generator, start_as_identity(generator)


def test_with_fixed_norms_it_begins_as_the_smooth_fill() -> None:
    generator, kept = identical(harmonic=True, output="none")
    fix_norms(generator)
    image, mask = noise(4, 3, 32, 32), box(32, 32, slice(8, 20), slice(8, 20)).expand(4, -1, -1, -1)
    given = assemble(image, mask)
    calibrate(generator, given, kept)
    with torch.inference_mode():
        out = generator(given)
    wanted = harmonic_fill(image, mask)
    assert (out - wanted).abs().mean() < 0.02
    assert (out - wanted).abs().mean() < 0.2 * (out - given[:, :3]).abs()[:, :, 8:20, 8:20].mean()


def test_the_fill_meets_the_photo_without_a_seam() -> None:
    """What is known comes back as it was, and a tint of the network's own is taken back in the hole too."""
    network = randomised(LaMaGenerator(**SIZES, harmonic=True, output="none"), 0)
    image, mask = noise(1, 3, 32, 32), box(32, 32, slice(8, 20), slice(8, 20))
    given = assemble(image, mask)
    with torch.inference_mode():
        one = network(given)
        network.model[-2].bias.add_(0.3)
        tinted = network(given)
        network.model[-2].weight.zero_()
        plain = network(given)
    assert torch.allclose(one[~mask.bool().expand_as(one)], image[~mask.bool().expand_as(one)], atol=1e-5)
    assert torch.allclose(one, tinted, atol=1e-4)
    assert torch.allclose(plain, harmonic_fill(image, mask), atol=1e-4)
    assert (one - plain).abs().max() > 0.01


def test_calibrated_norms_have_the_statistics_of_what_they_see() -> None:
    generator, kept = identical(harmonic=True, output="none")
    fix_norms(generator)
    given = assemble(noise(4, 3, 32, 32), box(32, 32, slice(8, 20), slice(8, 20)).expand(4, -1, -1, -1))
    before = {norm: (norm.running_mean.clone(), norm.running_var.clone()) for norm in norms_of(generator)}
    calibrate(generator, given, kept)
    seen: dict[nn.Module, Tensor] = {}
    for norm in norms_of(generator):
        norm.register_forward_pre_hook(lambda module, inputs: seen.update({module: inputs[0].detach()}))
    generator(given)
    assert any(0 < count < norm.num_features for norm, count in kept.items())
    for norm in norms_of(generator):
        first = kept.get(norm, 0)
        means = seen[norm].mean((0, 2, 3))
        assert torch.allclose(norm.running_mean[first:], means[first:], atol=1e-4)
        for now, then in zip((norm.running_mean, norm.running_var), before[norm], strict=True):
            assert torch.equal(now[:first], then[:first])


def test_a_file_says_that_its_holes_start_smooth() -> None:
    network = randomised(LaMaGenerator(**SIZES, harmonic=True, output="none"), 0)
    hints = {"hole_start": "harmonic", "add_out_act": "none"}
    opened = open_state_dict(network.state_dict(), hints)
    assert opened.hyperparameters["harmonic"] is True
    plain = open_state_dict(network.state_dict(), {"add_out_act": "none"})
    assert "harmonic" not in plain.hyperparameters
    given = assemble(noise(1, 3, 32, 32), box(32, 32, slice(8, 20), slice(8, 20)))
    with torch.inference_mode():
        assert torch.equal(opened.network(given), network(given))
        assert not torch.equal(plain.network(given), network(given))


@pytest.mark.parametrize("harmonic", [False, True])
def test_what_a_hole_hides_changes_nothing(harmonic: bool) -> None:
    network = randomised(LaMaGenerator(**SIZES, harmonic=harmonic), 0)
    model = model_of(network, {"hole_start": "harmonic"} if harmonic else {})
    assert model.architecture is LAMA
    image, mask = noise(1, 3, 40, 32), box(40, 32, slice(8, 20), slice(8, 20))
    one, other = (model.inpaint(x, mask) for x in (image, torch.where(mask.bool(), 0.5, image)))
    assert torch.equal(one, other)
