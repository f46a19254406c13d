"""StyleGAN with AdaIN: its sizes, its mean of w, its noise, and styles mixed from two latents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imgsynth.architectures.registry import Opened, open_state_dict, recognise
from imgsynth.architectures.stylegan1 import STYLEGAN1, AdaIN, StyleGAN1Generator
from imgsynth.errors import UnknownArchitecture

TINY: dict[str, Any] = {"z_dim": 6, "w_dim": 5, "mapping_layers": 2, "widths": [8, 6, 4], "channels": 3}


@torch.no_grad()
def tiny(**changes: Any) -> StyleGAN1Generator:
    """16×16 pixels from 6 numbers, every parameter random, its mean of w known."""
    torch.manual_seed(0)
    network = StyleGAN1Generator(**{**TINY, **changes})
    for parameter in network.parameters():
        parameter.normal_()
    network.set_w_mean(torch.randn(network.w_mean.shape))
    return network.eval()


@pytest.fixture
def network() -> StyleGAN1Generator:
    return tiny()


def latents(network: StyleGAN1Generator, count: int = 2, seed: int = 1) -> Tensor:
    return torch.randn(count, network.z_dim, generator=torch.Generator().manual_seed(seed))


def noise_of(network: StyleGAN1Generator, count: int = 2) -> list[Tensor]:
    shapes = STYLEGAN1.noise_shapes({"widths": [None] * (network.layers // 2)})
    rng = torch.Generator().manual_seed(2)
    return [torch.randn(count, 1, *shape, generator=rng) for shape in shapes]


def reopened(network: nn.Module) -> Opened:
    return open_state_dict(network.state_dict())


SIZES: list[dict[str, Any]] = [
    {},
    {"z_dim": 3, "w_dim": 9},
    {"mapping_layers": 1},
    {"mapping_layers": 11},
    {"widths": [4]},
    {"widths": [3, 5, 7, 2, 6]},
    {"channels": 1},
]


@pytest.mark.parametrize("changes", SIZES)
def test_sizes_are_read_from_the_file(changes: dict[str, Any]) -> None:
    network = tiny(**changes)
    opened = reopened(network)
    assert opened.architecture.name == "stylegan1"
    assert opened.hyperparameters == {**TINY, **changes}
    assert opened.warnings == []
    z, noise = latents(network), noise_of(network)
    image = network(z, noise=noise)
    assert torch.equal(opened.network(z, noise=noise), image)
    side = STYLEGAN1.image_size(opened.hyperparameters)
    assert image.shape == (2, opened.hyperparameters["channels"], side, side)


def test_the_published_network_has_the_published_size() -> None:
    with torch.device("meta"):
        state = StyleGAN1Generator(**STYLEGAN1.example).state_dict()
    assert len(state) == 109
    assert sum(value.numel() for value in state.values()) == 18_918_320
    assert recognise(state)[0].hyperparameters == {**STYLEGAN1.example, "channels": 3}


@pytest.mark.parametrize("missing", ["w_mean", "synthesis.blocks.0.blur.kernel"])
def test_other_versions_of_the_layout_are_refused(network: StyleGAN1Generator, missing: str) -> None:
    state = network.state_dict()
    del state[missing]
    with pytest.raises(UnknownArchitecture, match="nearly a stylegan1"):
        open_state_dict(state)


def test_a_latent_of_absurd_length_is_refused() -> None:
    with torch.device("meta"):
        state = StyleGAN1Generator(**{**TINY, "z_dim": 10**9}).state_dict()
    with pytest.raises(UnknownArchitecture, match="sizes do not fit"):
        recognise(state)


def test_adain_gives_each_channel_the_mean_and_deviation_of_its_style() -> None:
    torch.manual_seed(0)
    layer, x, w = AdaIN(3, 5), torch.randn(2, 3, 8, 8) * 4 + 1, torch.randn(2, 5)
    scale, bias = (w @ a.weight.T * (2 / 5) ** 0.5 + a.bias for a in (layer.style_scale, layer.style_bias))
    styled = layer(x, w)
    torch.testing.assert_close(styled.mean((2, 3)), bias)
    torch.testing.assert_close(styled.var((2, 3), correction=0), scale**2, rtol=1e-4, atol=1e-4)


# The mean of w


def test_a_mean_of_zeros_is_computed_anew_and_said_so(network: StyleGAN1Generator) -> None:
    network.set_w_mean(torch.zeros(5))
    opened = reopened(network)
    (warning,) = opened.warnings
    assert "w_mean is all zeros" in warning
    z = torch.from_numpy(np.random.RandomState(0).randn(4096, 6)).float()
    torch.testing.assert_close(opened.network.w_mean, network.mapping(z).mean(0))
    assert torch.equal(opened.network.w_mean, reopened(network).network.w_mean)


def test_a_mean_that_the_file_knows_is_kept(network: StyleGAN1Generator) -> None:
    assert torch.equal(reopened(network).network.w_mean, network.w_mean)


def test_truncation_leads_from_the_mean_picture_to_the_whole_model(network: StyleGAN1Generator) -> None:
    z, noise = latents(network), noise_of(network)
    w = network.mapping(z)
    assert torch.equal(network(z, psi=1.0, noise=noise), network.synthesis(w, noise))
    mean = network.w_mean.expand(2, -1)
    assert torch.equal(network(z, psi=0.0, noise=noise), network.synthesis(mean, noise))
    halfway = network.synthesis((w + mean) / 2, noise)
    torch.testing.assert_close(network(z, psi=0.5, noise=noise), halfway)


# Noise and mixing


def test_noise_is_drawn_for_each_picture_unless_given(network: StyleGAN1Generator) -> None:
    z, noise = latents(network), noise_of(network)
    assert not torch.equal(network(z), network(z))
    assert torch.equal(network(z, noise=noise), network(z, noise=noise))
    assert [tuple(m.shape[2:]) for m in noise] == [(4, 4)] * 2 + [(8, 8)] * 2 + [(16, 16)] * 2


def test_too_few_noise_maps_are_refused(network: StyleGAN1Generator) -> None:
    with pytest.raises(ValueError, match="shorter"):
        network(latents(network), noise=noise_of(network)[:-1])


def test_a_latent_may_come_as_a_map_of_one_pixel(network: StyleGAN1Generator) -> None:
    z, noise = latents(network), noise_of(network)
    assert torch.equal(network(z[:, :, None, None], noise=noise), network(z, noise=noise))


def test_mixing_takes_each_layer_from_the_latent_it_should(network: StyleGAN1Generator) -> None:
    noise = noise_of(network)
    first, second = network.mapping(latents(network)), network.mapping(latents(network, seed=3))
    assert torch.equal(
        network.synthesis(network.mix(first, second, 6), noise), network.synthesis(first, noise)
    )
    assert torch.equal(
        network.synthesis(network.mix(first, second, 0), noise), network.synthesis(second, noise)
    )
    mixed = network.mix(first, second, 2)
    assert [torch.equal(mixed[:, i], first) for i in range(network.layers)] == [True] * 2 + [False] * 4
    by_hand = first.unsqueeze(1).repeat(1, 6, 1)
    by_hand[:, 2:] = second.unsqueeze(1)
    assert torch.equal(network.synthesis(mixed, noise), network.synthesis(by_hand, noise))


def test_styles_for_another_number_of_layers_are_refused(network: StyleGAN1Generator) -> None:
    with pytest.raises(ValueError, match="takes 6 styles, not 4"):
        network.synthesis(torch.zeros(2, 4, 5))


@torch.inference_mode()
def test_reduced_precision_changes_little(network: StyleGAN1Generator) -> None:
    z, noise = latents(network), noise_of(network)
    exact = network(z, noise=noise)
    with torch.autocast("cpu", torch.bfloat16):
        assert (network(z, noise=noise) - exact).abs().mean() < 0.05
