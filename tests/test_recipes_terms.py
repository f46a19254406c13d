"""What recipes measure: reconstructions, codes, droplets, holes, collapse and overfitting."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from builders import pixels
from imgsynth.metrics.bands import laplacian_bands
from imgsynth.training import reconstruction
from imgsynth.training.collapse import COUNT, LEAST, Watch, held_back, memorisation, spread, sureness
from imgsynth.training.data import ImageSet
from imgsynth.training.droplets import FREE, DropletPenalty, peaks
from imgsynth.training.holes import HOLES


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# Codes


def test_kl_is_zero_at_the_prior_and_right_elsewhere() -> None:
    zero = torch.zeros(4, 6)
    assert reconstruction.kl_divergence(zero, zero).item() == 0
    mean, variance = 1.5, 0.25
    expected = 6 * 0.5 * (mean**2 + variance - 1 - math.log(variance))
    found = reconstruction.kl_divergence(zero + mean, zero + math.log(variance))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_free_bits_cost_nothing_and_teach_nothing() -> None:
    """Of two latents with 0.02 and 2 nats only the second is held by a floor of 0.5."""
    mean = torch.tensor([[0.2, 2.0]], requires_grad=True)
    found = reconstruction.kl_divergence(mean, torch.zeros(1, 2), free_bits=0.5)
    assert found.item() == pytest.approx(0.5 + 2.0)
    found.backward()
    assert mean.grad is not None
    assert mean.grad.tolist() == [[0.0, 2.0]]


def test_free_bits_are_of_a_latent_and_not_of_a_picture() -> None:
    """What one picture tells beyond the floor may be made up for by another of the batch."""
    mean = torch.tensor([[0.0], [2.0]])
    assert reconstruction.kl_divergence(mean, torch.zeros(2, 1), free_bits=0.9).item() == pytest.approx(1.0)


# Reconstructions


@pytest.mark.parametrize("size", [(32, 32), (20, 36), (21, 33)])
def test_a_pyramid_holds_all_of_a_picture(size: tuple[int, int]) -> None:
    x = noise(2, 3, *size)
    bands = laplacian_bands(x)
    rebuilt = bands[-1]
    for band in reversed(bands[:-1]):
        rebuilt = F.interpolate(rebuilt, size=band.shape[-2:], mode="bilinear", align_corners=False) + band
    assert torch.allclose(rebuilt, x, atol=1e-5)
    assert 4 <= min(bands[-1].shape[-2:]) < 8


def test_a_wrong_shade_does_not_drown_in_wrong_texture() -> None:
    zero, texture = torch.zeros(1, 1, 64, 64), noise(1, 1, 64, 64)
    plain = [F.l1_loss(texture + shade, zero).item() for shade in (0.0, 0.2)]
    banded = [reconstruction.multi_scale_l1(texture + shade, zero).item() for shade in (0.0, 0.2)]
    assert plain[1] < 1.04 * plain[0]
    assert banded[1] > 1.08 * banded[0]


@pytest.mark.parametrize("name", sorted(reconstruction.RECONSTRUCTIONS))
def test_the_likelihood_prefers_what_is_nearer(name: str) -> None:
    views = reconstruction.RECONSTRUCTIONS[name]
    target = noise(2, 3, 16, 16, seed=1).sigmoid()
    near, far = (
        reconstruction.laplace_likelihood(target + size * noise(2, 3, 16, 16), target, views)
        for size in (0.01, 0.1)
    )
    dimensions = 3 * 16 * 16
    assert (far - near).item() == pytest.approx(dimensions * math.log(10), rel=0.05)
    assert torch.isfinite(reconstruction.laplace_likelihood(target, target, views))


def test_feature_matching_is_the_mean_distance() -> None:
    real = [torch.zeros(2, 4, 4), torch.zeros(2, 3)]
    fake = [torch.ones(2, 4, 4), torch.full((2, 3), 3.0)]
    assert reconstruction.feature_matching(real, fake).item() == 2
    assert reconstruction.feature_matching(real, real).item() == 0


# Droplets


def test_a_peak_is_counted_in_deviations() -> None:
    x = torch.zeros(1, 2, 10, 10)
    x[0, 0, 3, 4], x[0, 1, 0, 0] = 5.0, -0.5
    # One of a hundred equal values stands out by the root of 99 deviations, up or down, however high it is.
    assert peaks(x)[0].tolist() == pytest.approx([99**0.5, 99**0.5], rel=0.02)
    assert peaks(noise(1, 4, 32, 32)).max() < 6


def test_only_droplets_cost_and_they_shrink() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Identity(), nn.InstanceNorm2d(3), nn.ReLU(inplace=True))
    penalty = DropletPenalty(network)
    plain = noise(2, 3, 32, 32)
    with penalty.listening():
        network(plain)
    assert penalty.value().item() == 0
    spot = torch.zeros_like(plain)
    spot[:, 1, 8, 8] = 60.0
    x = (plain + spot).requires_grad_(True)
    with penalty.listening():
        network(x)
    cost = penalty.value()
    assert cost.item() == pytest.approx(
        (peaks(plain + spot)[:, 1] - FREE).square().sum().item() / 6, rel=1e-4
    )
    cost.backward()
    assert x.grad is not None
    assert (x.grad[:, 1, 8, 8] > 0).all()
    assert (x.grad[:, 0] == 0).all()


def test_what_is_not_listened_to_costs_nothing() -> None:
    network = nn.InstanceNorm2d(1)
    penalty = DropletPenalty(network)
    spot = torch.zeros(1, 1, 16, 16)
    spot[..., 0, 0] = 1
    network(spot)
    assert penalty.value().item() == 0
    with penalty.listening(False):
        network(spot)
    assert penalty.value().item() == 0
    with penalty.listening():
        network(spot)
        network(spot)
    assert len(penalty.terms) == 2
    assert penalty.value() > 0


# Holes


@pytest.mark.parametrize("kind", HOLES)
def test_holes_cover_what_they_are_asked_to(kind: str) -> None:
    shares = []
    for seed in range(12):
        mask = HOLES[kind](40, 56, np.random.RandomState(seed), 0.1, 0.3)
        assert (mask.shape, mask.dtype) == ((40, 56), bool)
        shares.append(mask.mean())
    assert 0.1 - 1e-3 <= min(shares) < 0.17 < 0.23 < max(shares) <= 0.3 + 1e-3
    one, same, other = (HOLES[kind](40, 56, np.random.RandomState(s), 0.1, 0.3) for s in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_irregular_holes_are_islands_with_ragged_shores() -> None:
    """More than a few pixels together, and a longer outline than boxes of the same area."""
    ragged, boxes = (
        HOLES[kind](64, 64, np.random.RandomState(0), 0.19, 0.21) for kind in ("irregular", "boxes")
    )
    outlines = [np.abs(np.diff(m.astype(int), axis=a)).sum() for m in (ragged, boxes) for a in (0, 1)]
    assert sum(outlines[:2]) > sum(outlines[2:])
    inner = ragged[1:-1, 1:-1] & ragged[:-2, 1:-1] & ragged[2:, 1:-1] & ragged[1:-1, :-2] & ragged[1:-1, 2:]
    assert inner.sum() > 0.4 * ragged.sum()


# Collapse and overfitting


def test_spread_is_the_distance_of_pairs() -> None:
    assert spread(torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])) == pytest.approx(1)
    assert spread(noise(1, 3, 8, 8).expand(5, -1, -1, -1)) == 0
    assert spread(noise(40, 3, 16, 16)) == pytest.approx(2**0.5, rel=0.02)


def test_overfitting_is_seen_in_scores() -> None:
    assert sureness(torch.tensor([1.0, 2.0, 0.1, -3.0]), 0.0) == 0.5
    assert sureness(torch.tensor([0.6, 0.4]), 0.5) == 0.0
    train, fake = torch.tensor([2.0, 4.0]), torch.tensor([-1.0, -1.0])
    assert memorisation(train, torch.tensor([3.0]), fake) == 0
    assert memorisation(train, torch.tensor([-1.0]), fake) == 1
    assert memorisation(train, torch.tensor([1.0]), fake) == 0.5
    assert memorisation(train, torch.tensor([1.0]), train) in (-1, 1)
    assert memorisation(train, train, train) == 0


def image_set(count: int, seed: int = 0) -> ImageSet:
    return ImageSet([torch.from_numpy(pixels(20, 20, seed=seed + i)).permute(2, 0, 1) for i in range(count)])


def test_the_watch_looks_at_the_same_pictures_each_time() -> None:
    cpu = torch.device("cpu")
    watch = Watch(image_set(40), image_set(9, seed=50), 16, cpu)
    assert len(watch) == 9
    samples = noise(9, 3, 16, 16).tanh()

    def critic(images: Tensor) -> Tensor:
        return images.mean((1, 2, 3)) + 5

    watch.measure(samples, critic, 0.0)
    first = watch.figures
    assert first.keys() == {"spread", "real spread", "r_t", "r_v"}
    assert (first["r_t"], first["spread"]) == (1.0, pytest.approx(spread(samples)))
    watch.measure(samples, critic, None)
    assert watch.figures == {name: value for name, value in first.items() if name != "r_t"}
    alone = Watch(image_set(40), None, 16, cpu)
    assert len(alone) == COUNT
    alone.measure(noise(COUNT, 3, 16, 16), critic, None)
    assert alone.figures.keys() == {"spread", "real spread"}


def test_held_back_pictures_are_taken_from_all_over_their_list(tmp_path: Path) -> None:
    for i in range(100):
        Image.fromarray(np.full((16, 16, 3), 2 * i, np.uint8)).save(tmp_path / f"{i:03}.png")
    found = held_back([tmp_path], 16, 0.9)
    assert found is not None
    shades = [int(image[0, 0, 0]) // 2 for image in found.images]
    assert len(shades) == COUNT
    assert (min(shades), shades == sorted(shades)) == (10, True)
    assert max(shades) > 70
    assert held_back([tmp_path], 16, (LEAST - 1) / 100) is None
