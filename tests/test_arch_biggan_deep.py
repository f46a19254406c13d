"""BigGAN-deep: every size is read back, and what no golden file has: drawing z, and statistics in between."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.special import ndtr

from builders import model_of
from imgsynth.architectures.biggan_deep import (
    BigGANDeep,
    ConditionalBatchNorm,
    Statistics,
    ToRGB,
    truncated_normal,
)
from imgsynth.architectures.registry import open_state_dict
from imgsynth.errors import UnknownArchitecture
from spectral_state import settled

TINY: dict[str, Any] = {
    "latent_dim": 5,
    "classes": 3,
    "widths": [16, 16, 8, 8],
    "upsampling": [False, True, False],
    "attention": 2,
    "rows": 51,
    "eps": 1e-4,
    "spectral_norm": True,
}
Z = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([2, 0])
LAYERS_512 = [(16, 16), (16, 16), (16, 16), (16, 8), (8, 8), (8, 8), (8, 8)]
LAYERS_512 += [(8, 4), (4, 4), (4, 2), (2, 2), (2, 1), (1, 1), (1, 1)]
PUBLISHED = {
    128: LAYERS_512[:4] + LAYERS_512[6:12],
    256: LAYERS_512[:12],
    512: LAYERS_512,
}


def tiny(**changes: Any) -> nn.Module:
    return settled(BigGANDeep(**{**TINY, **changes}))


def layers_of(sizes: dict[str, Any]) -> list[list[Any]]:
    """The hint `layers` as a config.json has it."""
    multiples = [width // sizes["widths"][-1] for width in sizes["widths"]]
    return [list(layer) for layer in zip(sizes["upsampling"], multiples, multiples[1:], strict=False)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"attention": None, "upsampling": [True, False, True]},
        {"attention": 0, "rows": 3, "eps": 1e-2},
        {"widths": [64, 64, 32, 16, 4], "upsampling": [True, True, False, True], "classes": 1},
        {"spectral_norm": False, "latent_dim": 7},
    ],
)
@torch.no_grad()
def test_every_size_is_read_as_it_was_built(changes: dict[str, Any]) -> None:
    sizes = {**TINY, **changes}
    network = tiny(**changes)
    model = model_of(network, {"layers": layers_of(sizes), "eps": sizes["eps"]})
    assert model.architecture.name == "biggan_deep"
    assert model.opened.hyperparameters == sizes
    z, labels = torch.randn(2, sizes["latent_dim"]), torch.tensor([0, 0])
    picture = model.network(z, labels, 0.7)
    torch.testing.assert_close(picture, network(z, labels, 0.7))
    assert picture.shape == (2, 3, model.image_size, model.image_size)


@pytest.mark.parametrize("size", PUBLISHED)
def test_published_networks_need_no_configuration(size: int) -> None:
    widths = [16, *(outer for _, outer in PUBLISHED[size])]
    sizes = {**TINY, "widths": [8 * w for w in widths], "upsampling": [False, True] * (len(widths) // 2)}
    with torch.device("meta"):
        state = BigGANDeep(**{**sizes, "attention": 8}).state_dict()
    opened = open_state_dict({key: torch.zeros(value.shape) for key, value in state.items()})
    assert opened.hyperparameters == {**sizes, "attention": 8}
    assert opened.architecture.image_size(opened.hyperparameters) == size


@pytest.mark.parametrize("layers", [[[True, 2, 2]], [[True, 2, 1]] * 3, 12, "layers", [[True, "a", "b"]]])
def test_a_configuration_of_another_network_is_refused(layers: Any) -> None:
    with pytest.raises(UnknownArchitecture, match="biggan_deep"):
        open_state_dict(tiny().state_dict(), {"layers": layers})


def test_statistics_in_between_are_swapped_as_upstream_does() -> None:
    statistics = Statistics(1, 51, 1e-4)
    rows = torch.arange(51.0)[:, None]
    statistics.running_means, statistics.running_vars = rows, rows + 100
    expected = {0.0: 0.0, 0.4: 20.0, 1.0: 50.0, 0.405: 20 * 0.25 + 21 * 0.75, 0.995: 49 * 0.75 + 50 * 0.25}
    for truncation, row in expected.items():
        mean, variance = (t.item() for t in statistics.at(truncation))
        assert (mean, variance - 100) == pytest.approx((row, row), abs=1e-4)
    assert statistics.at(2.0)[0].item() == 50


@torch.no_grad()
def test_conditional_norm() -> None:
    norm = ConditionalBatchNorm(4, 3, 2, 0.5, normalised=False)
    settled(norm)
    x, condition = torch.randn(2, 4, 3, 3), torch.randn(2, 3)
    mean, variance = (t[1][:, None, None] for t in (norm.running_means, norm.running_vars))
    gain, bias = (layer(condition)[..., None, None] for layer in (norm.scale, norm.offset))
    expected = (x - mean) / (variance + 0.5).sqrt() * (1 + gain) + bias
    torch.testing.assert_close(norm(x, condition, 1.0), expected)


def test_z_is_normal_cut_off_at_two() -> None:
    z = torch.linspace(-12, 12, 4001)
    found = truncated_normal(z)
    assert found.dtype == z.dtype and found.abs().max() == 2
    assert (found.diff() >= 0).all()
    outside = ndtr(torch.tensor(-2.0, dtype=torch.float64))
    share_below = (ndtr(found.double()) - outside) / (1 - 2 * outside)
    torch.testing.assert_close(share_below, ndtr(z.double()), atol=1e-7, rtol=0)


@torch.no_grad()
def test_psi_scales_z_and_chooses_the_statistics() -> None:
    network: Any = tiny()
    found = network(Z, LABELS, 0.6)
    torch.testing.assert_close(found, network.generate(truncated_normal(Z) * 0.6, LABELS, 0.6))
    assert not torch.equal(found, network.generate(truncated_normal(Z) * 0.6, LABELS, 1.0))
    assert not torch.equal(found, network.generate(truncated_normal(Z), LABELS, 0.6))


@pytest.mark.parametrize("psi", [0.0, 0.02, 1.0, 2.0])
def test_the_app_draws_at_every_psi(psi: float) -> None:
    model = model_of(tiny())
    pictures = model.render(model.latents([1, 2]), psi=psi, labels=[0, 2])
    assert pictures.isfinite().all()
    assert not torch.equal(pictures[0], pictures[1])


@torch.no_grad()
def test_only_the_first_three_filters_make_the_picture() -> None:
    layer = ToRGB(6, 6, 3, padding=1)
    x = torch.randn(1, 6, 4, 4)
    torch.testing.assert_close(layer(x), nn.Conv2d.forward(layer, x)[:, :3])
