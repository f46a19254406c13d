"""pythae's nets are opened as they were built, under each of their spellings, without what trained them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from builders import model_of, randomised
from imgsynth.architectures.pythae import PythaeAutoencoder
from imgsynth.architectures.pythae_layers import DECODERS
from imgsynth.architectures.registry import detect, open_state_dict
from imgsynth.errors import UnknownArchitecture

State = dict[str, Tensor]


def linear(kind: str, shape: list[int], encoder: list[int], decoder: list[int]) -> dict[str, Any]:
    return {
        "latent_dim": 3,
        "shape": shape,
        "encoder": {"kind": kind, "widths": encoder},
        "decoder": {"kind": kind, "widths": decoder},
        "features": encoder[-1],
        "posterior": "gaussian",
        "activation": "relu",
    }


def convolutional(name: str, side: int, features: int, up: list[int], base: int) -> dict[str, Any]:
    """A published net of other widths."""
    resnet = name.startswith("resnet")
    kernels = [4, 4] + ([3] * (2 if "celeba" in name else 1) if resnet else [4, 4])
    residual = [2, 3] if resnet else []
    encoder = {"widths": [3, 4, 2, 4][: len(kernels)], "kernels": kernels, "residual": residual}
    return {
        "latent_dim": 5,
        "shape": [2, side, side],
        "encoder": {
            "kind": name.split("_")[0],
            **encoder,
            "stride": 1 if name == "resnet_cifar" else 2,
        },
        "decoder": {"kind": name, "widths": up, "base": base, "residual": residual},
        "features": features,
        "posterior": "gaussian",
        "activation": "relu",
    }


SIZES = {
    "mlp": linear("mlp", [1, 5, 5], [7], [6]),
    "mlp of two hidden layers": linear("mlp", [3, 4, 4], [7, 5], [6, 4, 5]),
    "tanh": linear("tanh", [1, 4, 4], [7, 5], [6, 4]),
    "gated": linear("gated", [1, 4, 4], [7, 5], [6, 4]),
    "mlp to tanh": {**linear("mlp", [1, 4, 4], [7], [6]), "decoder": {"kind": "tanh", "widths": [6, 5, 4]}},
    "conv_celeba": convolutional("conv_celeba", 64, 4 * 4 * 4, [6, 5, 4, 3], 8),
    "conv_cifar": convolutional("conv_cifar", 32, 4 * 2 * 2, [6, 5, 4], 8),
    "conv_mnist": convolutional("conv_mnist", 28, 4, [6, 5, 4], 4),
    "resnet_celeba": convolutional("resnet_celeba", 64, 4 * 4 * 4, [6, 5, 4, 3], 4),
    "resnet_cifar": convolutional("resnet_cifar", 32, 2 * 8 * 8, [6, 5], 8),
    "resnet_mnist": convolutional("resnet_mnist", 28, 2 * 4 * 4, [6, 5, 4], 4),
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("posterior", ["gaussian", "sphere", "point"])
def test_read_as_it_was_built(sizes: dict[str, Any], posterior: str) -> None:
    sizes = {**sizes, "posterior": posterior}
    network = randomised(PythaeAutoencoder(**sizes), 0)
    opened = open_state_dict(network.state_dict())
    assert opened.architecture.name == "pythae"
    assert opened.hyperparameters == sizes
    x = torch.rand(2, *sizes["shape"])
    rebuilt = opened.network(x)
    assert torch.equal(rebuilt, network(x))
    assert rebuilt.shape == x.shape
    assert 0 <= rebuilt.min() <= rebuilt.max() <= 1


def test_every_published_decoder_is_tried() -> None:
    assert DECODERS.keys() == {name for name in SIZES if "_" in name}


def test_a_decoder_of_other_kernels_is_refused() -> None:
    state = randomised(PythaeAutoencoder(**SIZES["conv_cifar"]), 0).state_dict()
    state["decoder.layers.2.0.weight"] = torch.zeros(5, 4, 5, 5)
    with pytest.raises(UnknownArchitecture, match="nearly a pythae network"):
        open_state_dict(state)


def test_an_encoder_of_other_pictures_than_the_decoder_makes_is_refused() -> None:
    state = randomised(PythaeAutoencoder(**SIZES["conv_mnist"]), 0).state_dict()
    state["encoder.embedding.weight"], state["encoder.log_var.weight"] = torch.zeros(5, 8), torch.zeros(5, 8)
    with pytest.raises(UnknownArchitecture, match="nearly a pythae network"):
        open_state_dict(state)


def linear_at(state: State, name: str, x: Tensor) -> Tensor:
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"].flatten())


def random_state(**layers: tuple[int, int]) -> State:
    named = nn.ModuleDict({name.replace(".", "/"): nn.Linear(a, b) for name, (a, b) in layers.items()})
    return {k.replace("/", "."): v for k, v in randomised(named, 0).state_dict().items()}


def test_numbered_layers_have_tanh_and_may_have_rows_as_biases() -> None:
    layers = {"encoder.fc1": (16, 6), "encoder.fc2": (6, 5), "encoder.embedding": (5, 3)}
    layers |= {
        "encoder.log_var": (5, 3),
        "decoder.fc1": (3, 5),
        "decoder.fc2": (5, 6),
        "decoder.fc3": (6, 16),
    }
    flat = random_state(**layers)
    state = {k: v[None] if k.endswith("bias") else v for k, v in flat.items()}
    opened = open_state_dict(state)
    assert opened.hyperparameters == {**linear("tanh", [1, 4, 4], [6, 5], [5, 6])}
    network: Any = opened.network
    x, z = torch.rand(2, 1, 4, 4), torch.randn(2, 3)
    h = linear_at(state, "encoder.fc2", linear_at(state, "encoder.fc1", x.flatten(1)).tanh()).tanh()
    heads = linear_at(state, "encoder.embedding", h), linear_at(state, "encoder.log_var", h)
    torch.testing.assert_close(network.encode(x), heads)
    h = linear_at(state, "decoder.fc2", linear_at(state, "decoder.fc1", z).tanh()).tanh()
    picture = linear_at(state, "decoder.fc3", h).sigmoid()
    torch.testing.assert_close(network.decode(z), picture.reshape(2, 1, 4, 4))


def test_several_layers_in_one_place() -> None:
    layers = {"encoder.layers.0.0": (16, 6), "encoder.layers.0.2": (6, 5), "encoder.embedding": (5, 3)}
    layers |= {"decoder.layers.0.0": (3, 5), "decoder.layers.0.2": (5, 6), "decoder.layers.1.0": (6, 16)}
    state = random_state(**layers)
    opened = open_state_dict(state)
    assert opened.hyperparameters == {**linear("mlp", [1, 4, 4], [6, 5], [5, 6]), "posterior": "point"}
    network: Any = opened.network
    z = torch.randn(2, 3)
    h = linear_at(state, "decoder.layers.0.2", linear_at(state, "decoder.layers.0.0", z).relu()).relu()
    picture = linear_at(state, "decoder.layers.1.0", h).sigmoid()
    torch.testing.assert_close(network.decode(z), picture.reshape(2, 1, 4, 4))


def test_gated_layers_and_their_bounded_log_variance() -> None:
    network: Any = randomised(PythaeAutoencoder(**SIZES["gated"]), 0)
    state = {
        k.replace("log_var.", "log_var.linear.").replace("layers.1.0.", "layers.1.0.linear."): v
        for k, v in network.state_dict().items()
    }
    state["encoder.log_var.linear.bias"] = torch.tensor([100.0, 0.0, -100.0])
    opened: Any = open_state_dict({**state, "pseudo_inputs.0.weight": torch.zeros(16, 2)})
    x = torch.rand(2, 1, 4, 4)
    mean, log_variance = opened.network.encode(x)
    assert torch.equal(mean, network.encode(x)[0])
    assert log_variance[:, 0].tolist() == [2.0, 2.0]
    assert log_variance[:, 2].tolist() == [-6.0, -6.0]
    assert len(opened.warnings) == 1 and "prior" in opened.warnings[0]


@pytest.mark.parametrize("name", ["conv_mnist", "conv_cifar", "resnet_mnist"])
def test_layers_without_a_sequential_of_their_own(name: str) -> None:
    network = randomised(PythaeAutoencoder(**SIZES[name]), 0)
    state = {
        k.replace("decoder.layers.0.0.", "decoder.layers.0."): v for k, v in network.state_dict().items()
    }
    if name == "resnet_mnist":
        state = {k.replace("decoder.layers.1.0.", "decoder.layers.1."): v for k, v in state.items()}
    assert state.keys() != network.state_dict().keys()
    opened = open_state_dict(state).network.state_dict()
    assert all(torch.equal(opened[k], v) for k, v in network.state_dict().items())


def test_what_only_trained_a_model_is_left_out() -> None:
    network = randomised(PythaeAutoencoder(**SIZES["mlp"]), 0)
    names = (
        "discriminator.layers.0.0.weight",
        "pseudo_inputs.0.weight",
        "idle_input",
        "eps_lf",
        "iaf_flow.n",
    )
    opened = open_state_dict({**network.state_dict(), **{name: torch.zeros(2, 2) for name in names}})
    assert opened.network.state_dict().keys() == network.state_dict().keys()


@pytest.mark.parametrize("name", ["quantizer.embeddings.weight", "_pz_mu"])
def test_latents_of_another_kind_are_refused(name: str) -> None:
    state = randomised(PythaeAutoencoder(**SIZES["mlp"]), 0).state_dict()
    with pytest.raises(UnknownArchitecture, match=name):
        open_state_dict({**state, name: torch.zeros(2, 2)})


def test_latents_on_a_sphere() -> None:
    network: Any = randomised(PythaeAutoencoder(**{**SIZES["mlp"], "posterior": "sphere"}), 0)
    mean, log_variance = network.encode(torch.rand(4, 1, 5, 5))
    torch.testing.assert_close(mean.norm(dim=-1), torch.ones(4))
    assert log_variance is None
    z = torch.randn(4, 3)
    torch.testing.assert_close(network.decode(3 * z), network.decode(z))
    assert not torch.allclose(network.decoder(3 * z), network.decoder(z))


@pytest.mark.parametrize(
    ("name", "width", "activation"),
    [("HVAEConfig", 30, "softplus"), ("HVAEConfig", 512, "relu"), ("VAEConfig", 30, "relu")],
)
def test_the_published_hamiltonian_vae_has_softplus(name: str, width: int, activation: str) -> None:
    sizes = {**linear("mlp", [1, 2, 2], [width], [width]), "activation": activation}
    network = randomised(PythaeAutoencoder(**sizes), 0)
    opened = open_state_dict(network.state_dict(), {"name": name, "input_dim": [1, 2, 2]})
    assert opened.hyperparameters == sizes
    x = torch.rand(1, 1, 2, 2)
    assert torch.equal(opened.network(x), network(x))


def test_the_published_hamiltonian_vae_has_logits_inside_and_pictures_outside() -> None:
    sizes = {**linear("mlp", [1, 2, 2], [30], [30]), "activation": "softplus"}
    network: Any = randomised(PythaeAutoencoder(**sizes), 0)
    state, z = network.state_dict(), torch.randn(4, 3)
    h = F.softplus(linear_at(state, "decoder.layers.0.0", z))
    logits = linear_at(state, "decoder.layers.1.0", h).reshape(4, 1, 2, 2)
    torch.testing.assert_close(network.decoder(z), logits)
    torch.testing.assert_close(network.decode(z), logits.sigmoid())


def test_input_dim_shapes_the_picture() -> None:
    state = randomised(PythaeAutoencoder(**linear("mlp", [4, 3, 3], [7], [6])), 0).state_dict()
    assert open_state_dict(state).hyperparameters["shape"] == [1, 6, 6]
    assert open_state_dict(state, {"input_dim": [4, 3, 3]}).hyperparameters["shape"] == [4, 3, 3]
    with pytest.raises(UnknownArchitecture):
        open_state_dict(state, {"input_dim": [3, 3, 3]})


def test_an_encoder_without_a_decoder_is_not_claimed() -> None:
    state = randomised(PythaeAutoencoder(**SIZES["mlp"]), 0).state_dict()
    assert detect({k: v for k, v in state.items() if k.startswith("encoder.")}) is None


def test_it_samples_and_interpolates() -> None:
    model = model_of(randomised(PythaeAutoencoder(**{**SIZES["mlp"]}), 0))
    assert model.tasks == ("sample", "interpolate")
    assert model.image_size == 5
