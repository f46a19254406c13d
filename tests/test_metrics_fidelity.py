"""PSNR, SSIM and the ELBO against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from imgsynth.metrics.elbo import fitted_scale, kl_bits, laplace_bits
from imgsynth.metrics.fidelity import psnr, ssim
from real_pictures import scenes


def test_psnr_of_a_known_error() -> None:
    a = torch.rand(2, 3, 8, 8) * 0.5
    assert psnr(a, a + 0.1).tolist() == pytest.approx([20, 20], abs=1e-4)
    assert psnr(a, a + 0.01).tolist() == pytest.approx([40, 40], abs=1e-3)
    assert psnr(a, a).tolist() == pytest.approx([54.15, 54.15], abs=0.01)


def test_psnr_in_a_hole_sees_nothing_else() -> None:
    a = torch.rand(1, 3, 8, 8) * 0.5
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:4, 3:7] = 1
    b = torch.where(mask == 1, a + 0.1, a + 0.4)
    assert psnr(a, b, mask).item() == pytest.approx(20, abs=1e-4)


def test_ssim_of_flat_pictures_is_that_of_their_light() -> None:
    a, b = torch.full((1, 3, 16, 16), 0.2), torch.full((1, 3, 16, 16), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ssim(a, b).item() == pytest.approx(expected, abs=1e-5)


def test_ssim_of_one_window_follows_the_formula() -> None:
    rng = np.random.RandomState(0)
    a, b = rng.rand(2, 11, 11)
    offsets = np.arange(11) - 5
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    mean_a, mean_b = (window * a).sum(), (window * b).sum()
    variances = (window * a**2).sum() - mean_a**2, (window * b**2).sum() - mean_b**2
    covariance = (window * a * b).sum() - mean_a * mean_b
    expected = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
    expected /= (mean_a**2 + mean_b**2 + 1e-4) * (sum(variances) + 9e-4)
    grey = [torch.from_numpy(x).float().expand(1, 3, 11, 11) for x in (a, b)]
    assert ssim(*grey).item() == pytest.approx(expected, abs=1e-4)


def test_ssim_is_one_for_equal_pictures_and_falls_with_noise() -> None:
    a = scenes(3, 32).float() / 255
    noise = torch.rand(a.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    values = [ssim(a, (a + noise * amount).clamp(0, 1)).mean().item() for amount in (0, 0.1, 0.5)]
    assert values[0] == pytest.approx(1, abs=1e-5) and values[0] > values[1] > values[2]


def test_ssim_in_a_hole_sees_nothing_far_from_it_and_reaches_the_border() -> None:
    a = scenes(1, 40).float() / 255
    b = a.clone()
    b[..., 30:] = 0
    near_left, corner = torch.zeros(2, 1, 1, 40, 40)
    near_left[..., 10:20, 5:15] = 1
    corner[..., :2, 38:] = 1
    assert ssim(a, b, near_left).item() == pytest.approx(1, abs=1e-5)
    assert ssim(a, b, corner).item() < 0.9


@pytest.mark.parametrize("mean", [0.0, 0.001, 0.3, 0.5003, 0.9999, 1.0])
@pytest.mark.parametrize("scale", [0.0005, 0.01, 0.3])
def test_the_probabilities_of_all_values_make_one(mean: float, scale: float) -> None:
    values = torch.arange(256).double() / 255
    probabilities = 2 ** -laplace_bits(values, torch.full_like(values, mean), scale)
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-4)


def test_bits_of_a_value_in_the_middle_of_its_interval() -> None:
    value, scale = torch.tensor([100 / 255]), 0.02
    expected = -math.log2(1 - math.exp(-(0.5 / 255) / scale))
    assert laplace_bits(value, value, scale).item() == pytest.approx(expected, rel=1e-4)


def test_the_fitted_scale_is_nearly_the_best() -> None:
    rng = torch.Generator().manual_seed(0)
    mean = torch.rand(20_000, generator=rng) * 0.2 + 0.4
    u = torch.rand(20_000, generator=rng) - 0.5
    values = ((mean - 0.03 * u.sign() * (1 - 2 * u.abs()).log()).clamp(0, 1) * 255).round() / 255
    scale = fitted_scale(values, mean)
    assert scale == pytest.approx(0.03, rel=0.05)
    best = laplace_bits(values, mean, scale).mean()
    assert best < laplace_bits(values, mean, scale * 1.3).mean()
    assert best < laplace_bits(values, mean, scale / 1.3).mean()


def test_perfect_pictures_cost_almost_nothing_and_stay_finite() -> None:
    values = torch.arange(256) / 255
    assert laplace_bits(values, values, fitted_scale(values, values)).max() < 0.01
    assert laplace_bits(values, 1 - values, 1e-4).isfinite().all()


def test_kl_in_bits() -> None:
    zero = torch.zeros(1, 3)
    assert kl_bits(zero, zero).item() == 0
    assert kl_bits(torch.tensor([[1.0, 0, 0]]), zero).item() == pytest.approx(0.5 / math.log(2))
    expected = 0.5 * (math.e - 1 - 1) / math.log(2)
    assert kl_bits(zero, torch.tensor([[1.0, 0, 0]])).item() == pytest.approx(expected, rel=1e-5)
