"""StyleGAN2: its sizes, its layers against naive ones, its mean of w, noise, and mixed styles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.modulation import Blur, ModulatedConv2d, Upsample, fir
from imgsynth.architectures.registry import Opened, open_state_dict, recognise
from imgsynth.architectures.stylegan2 import STYLEGAN2, StyleGAN2Generator, published_widths
from imgsynth.errors import UnknownArchitecture

TINY: dict[str, Any] = {"size": 16, "style_dim": 6, "n_mlp": 3, "widths": [8, 6, 4]}
READ: dict[str, Any] = {
    **TINY,
    "channels": 3,
    "lr_mlp": 0.01,
    "blur": 4,
    "image_blur": 4,
    "stored_noise": True,
}


@torch.no_grad()
def tiny(**changes: Any) -> StyleGAN2Generator:
    """16×16 pixels from 6 numbers, as it starts but with noise and biases."""
    torch.manual_seed(0)
    network = StyleGAN2Generator(**{**TINY, **changes})
    for name, parameter in network.named_parameters():
        if name.endswith(("noise.weight", "bias")):
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return network.eval()


@pytest.fixture
def network() -> StyleGAN2Generator:
    network = tiny()
    network.set_w_mean()
    return network


def latents(count: int = 2, seed: int = 1) -> Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


def opened_with(network: nn.Module, **beside: Tensor) -> Opened:
    return open_state_dict(network.state_dict(), beside=beside)


SIZES: list[dict[str, Any]] = [
    {},
    {"style_dim": 11},
    {"n_mlp": 1},
    {"n_mlp": 8},
    {"size": 4, "widths": [5]},
    {"size": 64, "widths": [3, 7, 2, 5, 1]},
    {"size": 64, "widths": [5, 4, 3]},
    {"channels": 1},
    {"blur": 3},
    {"blur": 6, "image_blur": 2},
    {"lr_mlp": 0.1},
    {"stored_noise": False},
]


@pytest.mark.parametrize("changes", SIZES)
def test_sizes_are_read_from_the_file(changes: dict[str, Any]) -> None:
    network = tiny(**changes)
    opened = open_state_dict(
        network.state_dict(), {"lr_mlp": changes["lr_mlp"]} if "lr_mlp" in changes else {}
    )
    assert opened.architecture.name == "stylegan2"
    assert opened.hyperparameters == {**READ, **changes}
    assert opened.warnings == []
    z, noise = torch.randn(2, network.z_dim), network.draw_noise(2)
    image = network(z, noise=noise)
    assert torch.equal(opened.network(z, noise=noise), image)
    side = STYLEGAN2.image_size(opened.hyperparameters)
    assert image.shape == (2, opened.hyperparameters["channels"], side, side)


def test_a_wider_table_of_channels_is_read_too() -> None:
    sizes = {"size": 512, "style_dim": 1024, "n_mlp": 4, "widths": [*[1024] * 5, 512, 256, 128]}
    with torch.device("meta"):
        state = StyleGAN2Generator(**sizes).state_dict()
    assert recognise(state)[0].hyperparameters == {**READ, **sizes}


def test_published_widths() -> None:
    assert published_widths(1024) == [512, 512, 512, 512, 512, 256, 128, 64, 32]
    assert published_widths(128, multiplier=1) == [512, 512, 512, 512, 256, 128]


@pytest.mark.parametrize("lr_mlp", [0, -1, "slow", float("nan"), [], None])
def test_a_learning_rate_that_is_none_is_refused(network: StyleGAN2Generator, lr_mlp: object) -> None:
    with pytest.raises(UnknownArchitecture, match="sizes do not fit"):
        open_state_dict(network.state_dict(), {"lr_mlp": lr_mlp})


def test_a_file_with_some_of_its_noise_maps_is_refused(network: StyleGAN2Generator) -> None:
    state = network.state_dict()
    del state["noises.noise_3"]
    with pytest.raises(UnknownArchitecture, match=r"lacks noises\.noise_3"):
        open_state_dict(state)


def test_a_size_that_cannot_be_halved_so_often_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot end at 24"):
        StyleGAN2Generator(24, 6, 1, [4, 4, 4, 4, 4])


def test_it_starts_as_published() -> None:
    torch.manual_seed(0)
    network = StyleGAN2Generator(16, 32, 2, [32, 32, 32]).requires_grad_(False)
    parameters = dict(network.named_parameters())
    for name, values in parameters.items():
        if name.endswith("modulation.bias"):
            assert (values == 1).all()
        elif name.endswith(("bias", "noise.weight")):
            assert (values == 0).all()
        elif values.numel() > 100:
            deviation = 100 if name.startswith("style.") else 1
            assert values.std() == pytest.approx(deviation, rel=0.15)
    w = network.mapping(torch.randn(64, 32))
    assert w.square().mean() == pytest.approx(1, abs=0.5)


# Layers against naive ones


def filtered(x: Tensor, kernel: Tensor, before: int, after: int) -> Tensor:
    """Pads with zeros (crops where negative) and convolves, one output at a time; N×C×H×W."""
    taps = kernel.shape[0]
    padded = F.pad(x, (before, after, before, after))
    rows, columns = (side - taps + 1 for side in padded.shape[2:])
    turned = kernel.flip(0, 1)
    out = x.new_empty(*x.shape[:2], rows, columns)
    for i in range(rows):
        for j in range(columns):
            out[..., i, j] = (padded[..., i : i + taps, j : j + taps] * turned).sum((2, 3))
    return out


def with_zeros(x: Tensor) -> Tensor:
    """A zero after each pixel, in both directions."""
    out = x.new_zeros(*x.shape[:2], x.shape[2] * 2, x.shape[3] * 2)
    out[..., ::2, ::2] = x
    return out


def test_the_filter_is_binomial_and_makes_up_for_the_zeros() -> None:
    assert torch.equal(fir(4)[0] * 16, torch.tensor([1.0, 3.0, 3.0, 1.0]))
    assert fir(4).sum() == fir(3).sum() == 4


@pytest.mark.parametrize("taps", range(1, 8))
def test_upsampling_is_inserting_zeros_and_filtering(taps: int) -> None:
    torch.manual_seed(0)
    x, layer = torch.randn(2, 3, 5, 4), Upsample(taps)
    layer.kernel.normal_()
    p = taps - 2
    expected = filtered(with_zeros(x), layer.kernel, (p + 1) // 2 + 1, p // 2)
    torch.testing.assert_close(layer(x), expected)
    assert expected.shape == (2, 3, 10, 8)


@pytest.mark.parametrize("taps", range(1, 8))
def test_blurring_makes_the_size_even(taps: int) -> None:
    torch.manual_seed(0)
    x, layer = torch.randn(2, 3, 9, 7), Blur(taps)
    layer.kernel.normal_()
    p = taps - 4
    expected = filtered(x, layer.kernel, (p + 1) // 2 + 1, p // 2 + 1)
    torch.testing.assert_close(layer(x), expected)
    assert expected.shape == (2, 3, 8, 6)


def naive_modulated(layer: ModulatedConv2d, x: Tensor, w: Tensor) -> Tensor:
    """Filters of each sample's own, one sample at a time."""
    inner, side = layer.weight.shape[2], layer.weight.shape[-1]
    out = []
    for picture, latent in zip(x, w, strict=True):
        style = layer.modulation.weight @ latent / len(latent) ** 0.5 + layer.modulation.bias
        filters = layer.weight[0] * (inner * side**2) ** -0.5 * style[:, None, None]
        if layer.demodulate:
            filters = filters / (filters.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.blur is None:
            out.append(F.conv2d(picture[None], filters, padding=side // 2))
        else:
            sparse = F.pad(with_zeros(picture[None]), (2, 1, 2, 1))
            out.append(layer.blur(F.conv2d(sparse, filters.flip(2, 3))))
    return torch.cat(out)


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize(("kernel", "blur"), [(1, None), (3, None), (3, 4), (3, 3)])
def test_modulated_convolution_gives_each_sample_filters_of_its_own(
    demodulate: bool, kernel: int, blur: int | None
) -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(5, 7, kernel, 6, demodulate, blur)
    nn.init.normal_(layer.modulation.bias)
    x, w, bias = torch.randn(3, 5, 8, 6), torch.randn(3, 6), torch.randn(7, 1, 1)
    expected = naive_modulated(layer, x, w)
    torch.testing.assert_close(layer(x, w, bias, 3.0), expected * 3 + bias, rtol=1e-5, atol=1e-5)


# The mean of w


def test_the_mean_of_w_lies_beside_the_weights(network: StyleGAN2Generator) -> None:
    average = torch.randn(6)
    for stored in (average, average[None], average.expand(network.layers, -1), average.half()):
        opened = opened_with(network, latent_avg=stored)
        assert torch.equal(opened.network.w_mean, average.to(stored.dtype).float())
        assert opened.warnings == []


def test_a_missing_mean_of_w_is_computed(network: StyleGAN2Generator) -> None:
    opened = opened_with(network)
    z = torch.from_numpy(np.random.RandomState(0).randn(4096, 6)).float()
    torch.testing.assert_close(opened.network.w_mean, network.mapping(z).mean(0))
    assert opened.warnings == []
    assert "w_mean" not in opened.network.state_dict()


@pytest.mark.parametrize("shape", [(7,), (0,), (), (6, 2)])
def test_a_mean_of_another_network_is_not_taken(network: StyleGAN2Generator, shape: tuple[int, ...]) -> None:
    opened = opened_with(network, latent_avg=torch.ones(shape))
    (warning,) = opened.warnings
    assert "latent_avg does not fit" in warning
    assert torch.equal(opened.network.w_mean, network.w_mean)


def test_truncation_leads_from_the_mean_picture_to_the_whole_model(network: StyleGAN2Generator) -> None:
    z = latents()
    w, mean = network.mapping(z), network.w_mean.expand(2, -1)
    assert torch.equal(network(z, psi=1.0), network.synthesis(w))
    assert torch.equal(network(z, psi=0.0), network.synthesis(mean))
    torch.testing.assert_close(network(z, psi=0.5), network.synthesis((w + mean) / 2))
    torch.testing.assert_close(network(z, psi=1.5), network.synthesis(1.5 * w - 0.5 * mean))


# Noise and mixing


def test_stored_noise_is_the_same_for_every_picture(network: StyleGAN2Generator) -> None:
    z = latents()
    assert torch.equal(network(z), network(z))
    stored = [network.state_dict()[f"noises.noise_{i}"] for i in range(5)]
    assert torch.equal(network(z), network(z, noise=stored))
    assert not torch.equal(network(z), network(z, noise=network.draw_noise(2)))
    assert STYLEGAN2.noise_shapes(READ) == ()


def test_a_file_without_noise_maps_draws_its_own() -> None:
    network = tiny(stored_noise=False)
    assert not any(key.startswith("noises") for key in network.state_dict())
    z, noise = latents(), network.draw_noise(2)
    assert not torch.equal(network(z), network(z))
    assert torch.equal(network(z, noise=noise), network(z, noise=noise))
    shapes = STYLEGAN2.noise_shapes({**READ, "stored_noise": False})
    assert shapes == tuple(tuple(m.shape[2:]) for m in noise) == ((4, 4), (8, 8), (8, 8), (16, 16), (16, 16))


def test_mixing_takes_each_layer_from_the_latent_it_should(network: StyleGAN2Generator) -> None:
    first, second = network.mapping(latents()), network.mapping(latents(seed=3))
    assert network.layers == 6
    assert torch.equal(network.synthesis(network.mix(first, second, 6)), network.synthesis(first))
    assert torch.equal(network.synthesis(network.mix(first, second, 0)), network.synthesis(second))
    by_hand = first.unsqueeze(1).repeat(1, 6, 1)
    by_hand[:, 2:] = second.unsqueeze(1)
    assert torch.equal(network.mix(first, second, 2), by_hand)


def test_each_layer_listens_to_its_own_style(network: StyleGAN2Generator) -> None:
    """Styles 1, 3 and 5 make the picture of a size; 1 and 3 also drive the next size's first convolution."""
    w = network.mapping(latents()).unsqueeze(1).repeat(1, 6, 1).requires_grad_()
    heard: list[list[int]] = []
    for module in [network.conv1, *network.convs, network.to_rgb1, *network.to_rgbs]:
        style = module.conv.modulation.register_forward_hook(lambda _, given, __: heard.append(given[0]))
        network.synthesis(w)
        style.remove()
    layers = [torch.autograd.grad(style.sum(), w, retain_graph=True)[0].abs().sum((0, 2)) for style in heard]
    assert [layer.nonzero().item() for layer in layers] == [0, 1, 2, 3, 4, 1, 3, 5]


def test_styles_for_another_number_of_layers_are_refused(network: StyleGAN2Generator) -> None:
    with pytest.raises(ValueError, match="takes 6 styles, not 8"):
        network.synthesis(torch.zeros(2, 8, 6))


# Training and reduced precision


def test_every_weight_learns(network: StyleGAN2Generator) -> None:
    network(latents(), noise=network.draw_noise(2)).square().sum().backward()
    unmoved = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert unmoved == []


def test_path_length_regularisation_has_gradients(network: StyleGAN2Generator) -> None:
    w = network.mapping(latents())
    image = network.synthesis(w)
    (jacobian,) = torch.autograd.grad((image * torch.randn_like(image)).sum(), w, create_graph=True)
    jacobian.square().sum().backward()
    assert network.convs[0].conv.weight.grad.any()


def test_gradients_are_those_of_the_function() -> None:
    network = tiny(size=8, widths=[2, 2], style_dim=2).double()
    w = torch.randn(1, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: network.conv1(network.input(1), w, network.noises.noise_0), w)


@torch.inference_mode()
def test_reduced_precision_changes_little(network: StyleGAN2Generator) -> None:
    exact = network(latents())
    with torch.autocast("cpu", torch.bfloat16):
        assert (network(latents()).float() - exact).abs().mean() < 0.02 * exact.std()
