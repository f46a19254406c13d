"""Linear VAEs are found by what their layers do, however they are numbered."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from builders import model_of, randomised
from imgsynth.architectures.mlp_vae import MLPVAE, numbered
from imgsynth.architectures.registry import detect, open_state_dict, shapes_of
from imgsynth.errors import UnknownArchitecture

State = dict[str, Tensor]


def state_of(**layers: tuple[int, int]) -> State:
    """Linear layers by name, from so many inputs to so many outputs."""
    network = randomised(nn.ModuleDict({name: nn.Linear(a, b) for name, (a, b) in layers.items()}), 0)
    return dict(network.state_dict())


def chain(x: Tensor, state: State, *names: str) -> Tensor:
    for name in names:
        x = (x @ state[f"{name}.weight"].T + state[f"{name}.bias"]).relu()
    return x


def head(x: Tensor, state: State, name: str) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


# Names of the encoder, the mean, the log-variance and the decoder in public code.
NUMBERINGS = {
    "as in PyTorch's example": (["fc1"], "fc21", "fc22", ["fc3", "fc4"]),
    "two hidden layers": (["fc1", "fc2"], "fc31", "fc32", ["fc4", "fc5", "fc6"]),
    "unequal halves": (["fc1", "fc2"], "fc31", "fc32", ["fc4", "fc5"]),
    "counted on": (["fc1"], "fc2", "fc3", ["fc4", "fc5"]),
    "counted on, two hidden layers": (["fc1", "fc2"], "fc3", "fc4", ["fc5", "fc6", "fc7"]),
}


@pytest.mark.parametrize("names", NUMBERINGS.values(), ids=NUMBERINGS)
def test_numbered_layers_are_told_by_what_they_do(names: tuple[list[str], str, str, list[str]]) -> None:
    encoder, mean, log_variance, decoder = names
    inwards, outwards = [9, *range(8, 8 - len(encoder), -1)], [3, *range(5, 4 + len(decoder)), 9]
    sizes = {name: (inwards[i], inwards[i + 1]) for i, name in enumerate(encoder)}
    sizes |= {mean: (inwards[-1], 3), log_variance: (inwards[-1], 3)}
    sizes |= {name: (outwards[i], outwards[i + 1]) for i, name in enumerate(decoder)}
    state = state_of(**dict(reversed(sizes.items())))
    opened = open_state_dict(state)
    assert opened.architecture.name == "mlp_vae"
    assert opened.hyperparameters == {
        "latent_dim": 3,
        "encoder_widths": inwards[1:],
        "decoder_widths": outwards[1:-1],
        "shape": [1, 3, 3],
        "activation": "relu",
    }
    network: Any = opened.network
    x, z = torch.rand(2, 1, 3, 3), torch.randn(2, 3)
    hidden = chain(x.flatten(1), state, *encoder)
    expected = head(hidden, state, mean), head(hidden, state, log_variance)
    torch.testing.assert_close(network.encode(x), expected)
    picture = head(chain(z, state, *decoder[:-1]), state, decoder[-1]).sigmoid()
    torch.testing.assert_close(network.decode(z), picture.reshape(2, 1, 3, 3))


OTHERS = {
    "a chain without heads": state_of(fc1=(9, 8), fc2=(8, 7), fc3=(7, 8), fc4=(8, 9)),
    "one head": state_of(fc1=(9, 8), fc21=(8, 3), fc3=(3, 8), fc4=(8, 9)),
    "another output": state_of(fc1=(9, 8), fc21=(8, 3), fc22=(8, 3), fc3=(3, 8), fc4=(8, 10)),
    "another layer": state_of(fc1=(9, 8), fc21=(8, 3), fc22=(8, 3), fc3=(3, 8), fc4=(8, 9), out=(9, 9)),
    "a gap": state_of(fc1=(9, 8), fc21=(8, 3), fc22=(8, 3), fc4=(3, 8), fc5=(8, 9)),
}


@pytest.mark.parametrize("state", OTHERS.values(), ids=OTHERS)
def test_other_numbered_layers_are_no_autoencoder(state: State) -> None:
    assert numbered(shapes_of(state)) is None
    assert detect(state) is None


TANH: dict[str, Any] = {
    "latent_dim": 3,
    "encoder_widths": [8, 4],
    "decoder_widths": [8],
    "shape": [1, 4, 4],
    "activation": "tanh",
}


@pytest.mark.parametrize(
    "changes", [{}, {"encoder_widths": [6]}, {"decoder_widths": [8, 8]}, {"shape": [3, 4, 4]}], ids=str
)
def test_named_layers_are_read_as_they_were_built(changes: dict[str, Any]) -> None:
    network = randomised(MLPVAE(**{**TANH, **changes}), 0)
    opened = open_state_dict(network.state_dict())
    assert opened.architecture.name == "mlp_vae"
    assert opened.hyperparameters == {**TANH, **changes}
    x = torch.rand(2, *opened.hyperparameters["shape"])
    assert torch.equal(opened.network(x), network(x))


def test_named_layers_have_tanh() -> None:
    network: Any = randomised(MLPVAE(**TANH), 0)
    state, x = network.state_dict(), torch.rand(2, 16)
    h = head(head(x, state, "encodeLayers.0").tanh(), state, "encodeLayers.2").tanh()
    torch.testing.assert_close(network.encode(x)[0], head(h, state, "fc_mu"))
    assert {k.rpartition(".")[0] for k in state} == {
        *("encodeLayers.0", "encodeLayers.2", "fc_mu", "fc_logvar"),
        *("decoder_bernoulli.0", "decoder_bernoulli.2"),
    }


def test_the_decoder_for_continuous_data_is_left_out() -> None:
    network = randomised(MLPVAE(**TANH), 0)
    other = {
        "decoder_gaussian_layers.0.weight": torch.zeros(8, 3),
        "decoder_gaussian_mean.bias": torch.zeros(3),
    }
    opened = open_state_dict({**network.state_dict(), **other})
    assert opened.network.state_dict().keys() == network.state_dict().keys()


def test_input_dim_decides_between_grey_and_colour() -> None:
    state = randomised(MLPVAE(2, [3], [3], (1, 6, 6)), 0).state_dict()
    renamed = {k.replace("fc_encoder.0", "fc1").replace("fc_mu", "fc21"): v for k, v in state.items()}
    renamed = {k.replace("fc_logvar", "fc22"): v for k, v in renamed.items()}
    renamed = {k.replace("fc_decoder.0", "fc3").replace("fc_decoder.2", "fc4"): v for k, v in renamed.items()}
    assert open_state_dict(renamed).hyperparameters["shape"] == [1, 6, 6]
    assert open_state_dict(renamed, {"input_dim": [36]}).hyperparameters["shape"] == [1, 6, 6]
    assert open_state_dict(renamed, {"input_dim": [6, 6]}).hyperparameters["shape"] == [1, 6, 6]
    assert open_state_dict(renamed, {"input_dim": [4, 3, 3]}).hyperparameters["shape"] == [4, 3, 3]


@pytest.mark.parametrize("given", [[1, 5, 5], [1, 4, 9], [1, "six", 6], [1, None, 6]], ids=str)
def test_an_input_dim_of_other_pictures_is_refused(given: Any) -> None:
    state = randomised(MLPVAE(**{**TANH, "shape": [1, 6, 6]}), 0).state_dict()
    with pytest.raises(UnknownArchitecture):
        open_state_dict(state, {"input_dim": given})


def test_values_that_make_no_square_are_refused() -> None:
    with pytest.raises(UnknownArchitecture):
        open_state_dict(randomised(MLPVAE(**{**TANH, "shape": [1, 4, 5]}), 0).state_dict())


def test_it_samples_and_interpolates() -> None:
    model = model_of(randomised(MLPVAE(**TANH), 0))
    assert model.tasks == ("sample", "interpolate")
    assert model.image_size == 4
