"""Figures of sets of pictures: each does what its paper says, and tells good sets from bad ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from imgsynth.metrics.descriptors import descriptors
from imgsynth.metrics.frechet import frechet_distance
from imgsynth.metrics.inception_score import inception_score
from imgsynth.metrics.kernel_distance import kernel_distance
from imgsynth.metrics.precision_recall import precision_recall
from imgsynth.metrics.pyramid import level_sides, pyramid_level
from imgsynth.metrics.swd import patch_cloud, sliced_distances, sliced_wasserstein
from real_pictures import scenes


def naive_blur(picture: np.ndarray) -> np.ndarray:
    """One channel through the 5×5 binomial filter, pixel by pixel, borders mirrored."""
    taps = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    padded = np.pad(picture, 2, mode="reflect")
    side = len(picture)
    return np.array([[(padded[i : i + 5, j : j + 5] * taps).sum() for j in range(side)] for i in range(side)])


def naive_pyramid(picture: np.ndarray) -> list[np.ndarray]:
    levels = []
    while len(picture) % 2 == 0 and len(picture) // 2 >= 16:
        smaller = naive_blur(picture)[::2, ::2]
        spread = np.zeros_like(picture)
        spread[::2, ::2] = smaller
        levels.append(picture - 4 * naive_blur(spread))
        picture = smaller
    return [*levels, picture]


@pytest.mark.parametrize("side", [16, 33, 36, 64])
def test_the_pyramid_is_that_of_burt_and_adelson(side: int) -> None:
    pictures = torch.rand(2, 3, side, side) * 255
    levels = [pyramid_level(pictures, i) for i in range(len(level_sides(side)))]
    for n, c in ((0, 0), (1, 2)):
        expected = naive_pyramid(pictures[n, c].double().numpy())
        assert [len(level) for level in expected] == level_sides(side)
        for level, wanted in zip(levels, expected, strict=True):
            np.testing.assert_allclose(level[n, c].numpy(), wanted, atol=1e-3)


def test_more_pictures_than_a_batch_make_the_same_levels() -> None:
    pictures = scenes(40, 32)
    assert torch.equal(pyramid_level(pictures, 0)[35:], pyramid_level(pictures[35:], 0))


def test_patches_are_cut_where_they_should_be_and_normalised_by_channel() -> None:
    pictures = scenes(3, 20, seed=1)
    places = torch.tensor([[[0, 13], [4, 5], [7, 1]], [[13, 0], [2, 3], [9, 9]]])
    cut = np.array(
        [
            pictures[n, :, top : top + 7, left : left + 7].double().numpy()
            for n in range(3)
            for top, left in zip(places[0, n].tolist(), places[1, n].tolist(), strict=True)
        ]
    )
    expected = (cut - cut.mean((0, 2, 3), keepdims=True)) / cut.std((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(patch_cloud(pictures, 0, places), expected.reshape(6, -1), atol=1e-4)


def test_sliced_distances_match_line_by_line_sorting() -> None:
    first, second = torch.randn(50, 6), torch.randn(50, 6) * 2 + 1
    lines = F.normalize(torch.randn(70, 6), dim=1)
    naive = [
        np.abs(np.sort((first @ line).numpy()) - np.sort((second @ line).numpy())).mean() for line in lines
    ]
    same, apart = sliced_distances([first, first.flip(0), second], lines)
    assert same < 1e-6 and apart == pytest.approx(np.mean(naive), rel=1e-5)


def test_a_shifted_cloud_is_as_far_as_it_was_shifted() -> None:
    cloud, lines = torch.randn(200, 5), F.normalize(torch.randn(64, 5), dim=1)
    shift = torch.tensor([3.0, 0, 0, 0, -1])
    expected = (lines @ shift).abs().mean().item()
    assert sliced_distances([cloud, cloud + shift], lines) == [pytest.approx(expected, rel=1e-4)]


def mean_swd(reference: Tensor, other: Tensor, seed: int = 0) -> float:
    levels = sliced_wasserstein(reference, [other], seed)[0]
    return sum(levels.values()) / len(levels)


def blurred(pictures: Tensor, width: int) -> Tensor:
    return F.avg_pool2d(pictures.float(), width, 1, width // 2, count_include_pad=False).round().byte()


def test_swd_is_nothing_for_a_set_itself_and_grows_with_blur_and_shift() -> None:
    real, more = scenes(24, 32), scenes(24, 32, seed=1)
    floor = mean_swd(real, more)
    assert mean_swd(real, real) == 0 < floor
    assert floor < mean_swd(real, blurred(more, 3)) < mean_swd(real, blurred(more, 7))
    aside = [mean_swd(real, F.pad(more, (by, 0, by, 0))[..., :32, :32]) for by in (4, 8)]
    assert floor < aside[0] < aside[1]


def test_swd_gives_every_level_and_depends_on_nothing_but_its_seed() -> None:
    real, more = scenes(16, 64), scenes(16, 64, seed=1)
    first, second = sliced_wasserstein(real, [more, more], seed=3)
    assert list(first) == [64, 32, 16] and first == second
    assert sliced_wasserstein(real, [more], seed=3) == [first] != sliced_wasserstein(real, [more], seed=4)


def test_flat_pictures_have_a_distance() -> None:
    flat = torch.full((16, 3, 32, 32), 7, dtype=torch.uint8)
    assert math.isfinite(mean_swd(scenes(16, 32), flat)) and mean_swd(flat, flat) == 0


def test_precision_and_recall_on_made_up_manifolds() -> None:
    left, right = torch.randn(100, 4), torch.randn(100, 4) + 50
    both = torch.cat([left, right])
    assert precision_recall(both, both) == (1, 1)
    assert precision_recall(both, left + 0.01) == (1, pytest.approx(0.5, abs=0.03))
    precision, recall = precision_recall(left, both)
    assert precision == pytest.approx(0.5, abs=0.03) and recall == 1
    assert precision_recall(both, both + 500) == (0, 0)


def test_the_ball_reaches_to_the_kth_neighbour() -> None:
    real = torch.tensor([[0.0], [1.0], [3.0]])
    drawn = torch.tensor([[4.5], [5.5], [-1.1]])
    assert precision_recall(real, drawn, neighbours=1) == (pytest.approx(1 / 3), 1)
    assert precision_recall(real, drawn, neighbours=2) == (1, 1)
    assert precision_recall(drawn, real[:2], neighbours=1) == (1, 0)


def collapsed(pictures: Tensor) -> Tensor:
    """The same two pictures over and over, but for the grain."""
    grain = scenes(len(pictures), pictures.shape[-1], seed=9) // 64
    return pictures[:2].repeat(len(pictures) // 2, 1, 1, 1) + grain


def test_precision_and_recall_of_pictures_tell_collapse_and_blur() -> None:
    real, more = scenes(100, 32), scenes(100, 32, seed=1)
    own, others, few, soft = descriptors(real, more, collapsed(real), blurred(more, 7))
    floor = precision_recall(own, others)
    assert min(floor) > 0.6
    precision, recall = precision_recall(own, few)
    assert precision > 0.9 and recall < 0.1
    assert precision_recall(own, soft)[0] < floor[0] - 0.2 or precision_recall(own, soft)[1] < 0.2


def test_every_block_of_the_descriptors_counts_as_much() -> None:
    own, dim = descriptors(scenes(50, 64), scenes(50, 64) // 8)
    layout = 3 * 16**2
    parts = [own[:, :layout], *own[:, layout:].split(3 * 8**2, 1)]
    assert [part.var(0).sum().item() for part in parts] == pytest.approx([1, 1, 1], rel=1e-4)
    assert dim.var(0).sum() < own.var(0).sum() / 10


def test_frechet_distance_of_known_gaussians() -> None:
    x = torch.randn(500, 6)
    spread = x.double().var(0).sum().item()
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x, x + 2) == pytest.approx(6 * 4, rel=1e-5)
    assert frechet_distance(x, 2 * (x - x.mean(0)) + x.mean(0)) == pytest.approx(spread, rel=1e-5)


def test_frechet_distance_of_fewer_pictures_than_features_matches_the_roots_of_the_covariances() -> None:
    a, b = torch.randn(7, 12).double(), (torch.randn(9, 12) @ torch.randn(12, 12)).double()
    product = torch.linalg.eigvals(torch.cov(a.T) @ torch.cov(b.T)).real.clamp(min=0).sqrt().sum()
    apart = (a.mean(0) - b.mean(0)).square().sum()
    expected = apart + torch.cov(a.T).trace() + torch.cov(b.T).trace() - 2 * product
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-6)


def test_kernel_distance_matches_its_sums_and_is_unbiased() -> None:
    a, b = torch.randn(5, 3).double(), torch.randn(4, 3).double() + 1

    def kernel(x: Tensor, y: Tensor) -> float:
        return (float(x @ y) / 3 + 1) ** 3

    within = [
        sum(kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j)
        / (len(s) * (len(s) - 1))
        for s in (a, b)
    ]
    between = sum(kernel(x, y) for x in a for y in b) / 20
    assert kernel_distance(a, b) == pytest.approx(sum(within) - 2 * between)
    rng = torch.Generator().manual_seed(0)
    same = [kernel_distance(*torch.randn(2, 30, 4, generator=rng)) for _ in range(200)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 200**0.5 and min(same) < 0


def test_inception_score_counts_what_is_named() -> None:
    assert inception_score(torch.zeros(10, 5)) == pytest.approx(1)
    assert inception_score(100 * torch.eye(5)) == pytest.approx(5)
    assert inception_score(100 * torch.eye(5)[:1].repeat(5, 1)) == pytest.approx(1)
