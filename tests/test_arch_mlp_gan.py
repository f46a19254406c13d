"""Generators of linear layers: the widely copied layouts, and the networks that look like them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import imgsynth
from builders import randomised, save
from imgsynth.architectures.mlp_gan import MLPGenerator
from imgsynth.architectures.registry import open_state_dict
from imgsynth.errors import UnknownArchitecture


def numbered(*widths: int) -> nn.ModuleDict:
    """`fc1` … `fcK` of these widths."""
    return nn.ModuleDict({f"fc{i}": nn.Linear(*pair) for i, pair in enumerate(pairwise(widths), start=1)})


def copied(*widths: int, first_norm: bool = False, eps: float = 0.8, dropout: bool = False) -> nn.Sequential:
    """`model` with a batch norm behind every hidden layer, or every one but the first."""
    layers: list[nn.Module] = []
    *hidden, last = pairwise(widths)
    for i, (inner, outer) in enumerate(hidden):
        layers.append(nn.Linear(inner, outer))
        if i > 0 or first_norm:
            layers.append(nn.BatchNorm1d(outer, eps))
        layers += [nn.LeakyReLU(0.2), nn.Dropout(0.3)] if dropout else [nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(*last), nn.Tanh())


def state_of(network: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    return {prefix + key: value for key, value in randomised(network, seed=0).state_dict().items()}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_numbered_layers_have_leaky_relus_between(suffix: str, tmp_path: Path) -> None:
    layers = numbered(5, 6, 6, 7, 64)
    path = save(state_of(layers), tmp_path / f"weights{suffix}")
    model = imgsynth.open_checkpoint(str(path), device="cpu", precision="fp32")
    assert model.architecture.name == "mlp_gan"
    assert model.tasks == ("sample", "interpolate")
    assert model.image_size == 8
    z = x = torch.randn(3, 5)
    with torch.inference_mode():
        for name in ("fc1", "fc2", "fc3"):
            x = F.leaky_relu(layers[name](x), 0.2)
        expected = torch.tanh(layers["fc4"](x)).reshape(3, 1, 8, 8)
        assert torch.equal(model.network(z), expected)
        assert torch.equal(model.network(z[..., None, None]), expected)


LAYOUTS: dict[str, tuple[dict[str, Any], float]] = {
    "no norm behind the first layer": ({}, 0.8),
    "a norm behind every hidden layer": ({"first_norm": True, "eps": 1e-5}, 1e-5),
    "dropout": ({"dropout": True}, 0.8),
}


@pytest.mark.parametrize("prefix", ["model.", "", "layers.", "net.main."])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_sequential_with_norms_is_found_under_every_name(layout: str, prefix: str) -> None:
    options, eps = LAYOUTS[layout]
    network = copied(5, 6, 7, 8, 3 * 64, **options)
    opened = open_state_dict(state_of(network, prefix))
    assert opened.architecture.name == "mlp_gan"
    assert opened.hyperparameters["norm_eps"] == eps
    z = torch.randn(4, 5)
    with torch.inference_mode():
        assert torch.equal(opened.network(z), network.eval()(z).reshape(4, 3, 8, 8))


sizes_of = st.integers(1, 4).flatmap(
    lambda depth: st.fixed_dictionaries(
        {
            "latent_dim": st.integers(1, 40),
            "widths": st.lists(st.integers(1, 9), min_size=depth + 1, max_size=depth + 1).map(sorted),
            "norms": st.lists(st.booleans(), min_size=depth + 1, max_size=depth + 1),
            "channels": st.sampled_from([1, 3]),
            "image_size": st.integers(8, 12),
            "norm_eps": st.sampled_from([1e-5, 0.8]),
            "negative_slope": st.sampled_from([0.0, 0.2]),
        }
    )
)


@settings(deadline=None, max_examples=40)
@given(sizes_of)
def test_every_one_is_read_as_it_was_built(sizes: dict[str, Any]) -> None:
    network = randomised(MLPGenerator(**sizes), seed=0)
    told = {name: sizes[name] for name in ("norm_eps", "negative_slope")}
    opened = open_state_dict(network.state_dict(), told)
    assert opened.hyperparameters == sizes
    facts, architecture = opened.hyperparameters, opened.architecture
    assert architecture.latent_shape(facts) == (sizes["latent_dim"],)
    assert architecture.channels(facts) == (sizes["channels"],) * 2
    z = torch.randn(2, sizes["latent_dim"])
    with torch.inference_mode():
        assert torch.equal(opened.network(z), network(z))


@pytest.mark.parametrize(
    ("hints", "expected"),
    [
        ({}, (1, 12)),
        ({"channels": 4}, (4, 6)),
        ({"channels": 1, "img_size": 12}, (1, 12)),
        ({"img_size": 6}, (4, 6)),
        ({"channels": None, "img_size": None}, (1, 12)),
    ],
)
def test_hints_say_which_picture_the_values_are(hints: dict[str, Any], expected: tuple[int, int]) -> None:
    sizes = open_state_dict(state_of(numbered(5, 6, 7, 144)), hints).hyperparameters
    assert (sizes["channels"], sizes["image_size"]) == expected


UNFIT: list[dict[str, Any]] = [
    *({"channels": 3}, {"img_size": 13}, {"img_size": -12}, {"channels": -1}, {"channels": 145}),
    *({"channels": [1]}, {"img_size": "large"}, {"norm_eps": None}, {"negative_slope": "some"}),
]


@pytest.mark.parametrize("hints", UNFIT)
def test_hints_that_do_not_fit_are_refused(hints: dict[str, Any]) -> None:
    with pytest.raises(UnknownArchitecture, match="sizes do not fit"):
        open_state_dict(state_of(numbered(5, 6, 7, 144)), hints)


OTHERS: dict[str, Callable[[], nn.Module]] = {
    "classifier": lambda: numbered(784, 512, 256, 10),
    "classifier of as many classes as a picture has pixels": lambda: numbered(512, 256, 128, 100),
    "classifier that widens": lambda: numbered(128, 256, 512, 100),
    "discriminator": lambda: nn.Sequential(*(nn.Linear(a, b) for a, b in ((784, 512), (512, 256), (256, 1)))),
    "autoencoder": lambda: numbered(100, 64, 8, 64, 100),
    "regression": lambda: numbered(5, 64, 64, 1),
    "no square": lambda: numbered(5, 6, 7, 65),
    "too small": lambda: numbered(5, 6, 7, 49),
    "long latent": lambda: numbered(1025, 1100, 1200, 64 * 64),
    "two layers": lambda: numbered(5, 6, 64),
    "embedding beside": lambda: nn.Sequential(nn.Embedding(10, 5), *copied(5, 6, 7, 64)),
    "norm behind the picture": lambda: nn.Sequential(copied(5, 6, 7, 64), nn.BatchNorm1d(64)),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("prefix", ["", "model."])
def test_other_networks_are_not_taken_for_one(name: str, prefix: str) -> None:
    with pytest.raises(UnknownArchitecture, match="no network that imgsynth knows"):
        open_state_dict(state_of(OTHERS[name](), prefix))


@pytest.mark.parametrize("prefix", ["", "model.", "net."])
def test_norms_of_another_kind_are_not_overlooked(prefix: str) -> None:
    layers = [nn.Linear(5, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 8), nn.LayerNorm(8), nn.ReLU()]
    with pytest.raises(UnknownArchitecture, match="nearly a mlp_gan"):
        open_state_dict(state_of(nn.Sequential(*layers, nn.Linear(8, 64)), prefix))
