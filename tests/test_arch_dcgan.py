"""DCGANs under every name their authors gave the layers, with and without what is optional."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import imgsynth
from builders import randomised, save, tiny_dcgan
from imgsynth.architectures.dcgan import DCGANGenerator
from imgsynth.architectures.registry import open_state_dict
from imgsynth.errors import UnknownArchitecture

State = dict[str, Tensor]

STAGES = 3  # of `tiny_dcgan`, the last one without a norm


def spelled(layer: Callable[[int], str], norm: Callable[[int], str], **changes: Any) -> State:
    """`tiny_dcgan` with its layers and norms, counted from 0, under other names."""
    names = {f"main.{3 * i}": layer(i) for i in range(STAGES + 1)}
    names |= {f"main.{3 * i + 1}": norm(i) for i in range(STAGES)}
    state = tiny_dcgan(**changes).state_dict()
    parts = {key: key.rpartition(".") for key in state}
    return {f"{names[module]}.{tensor}": state[key] for key, (module, _, tensor) in parts.items()}


def numbered(name: str, first: int = 1) -> Callable[[int], str]:
    return lambda i: name.format(i + first)


def with_dropout(name: str) -> tuple[Callable[[int], str], Callable[[int], str]]:
    """An `nn.Sequential` with one more layer behind the first activation."""
    return lambda i: f"{name}.{3 * i + (i > 0)}", lambda i: f"{name}.{3 * i + 1 + (i > 0)}"


def last_flat(i: int) -> str:
    """A block per stage, but the last layer by itself."""
    return f"net.{i}" if i == STAGES else f"net.{i}.0"


SPELLINGS = {
    "no name at all": (lambda i: f"{3 * i}", lambda i: f"{3 * i + 1}"),
    "model": (lambda i: f"model.{3 * i}", lambda i: f"model.{3 * i + 1}"),
    "layers": (lambda i: f"layers.{3 * i}", lambda i: f"layers.{3 * i + 1}"),
    "a part of a part": (lambda i: f"decoder.main.{3 * i}", lambda i: f"decoder.main.{3 * i + 1}"),
    "dropout": with_dropout("main"),
    "dropout in network": with_dropout("network"),
    "blocks": (lambda i: f"gen.{i}.0", lambda i: f"gen.{i}.1"),
    "blocks and a layer": (last_flat, lambda i: f"net.{i}.1"),
    "convTr1, batchNorm1": (numbered("convTr{}"), numbered("batchNorm{}")),
    "conv0, bn0": (numbered("conv{}", 0), numbered("bn{}", 0)),
    "tconv1, bn1": (numbered("tconv{}"), numbered("bn{}")),
    "ConvT_1, Norm_1": (numbered("ConvT_{}"), numbered("Norm_{}")),
    "conv1, norm1": (numbered("conv{}"), numbered("norm{}")),
    "up9, up10": (numbered("up{}", 8), numbered("batchnorm{}", 8)),
    "deconv1, deconv1_bn": (numbered("deconv{}"), numbered("deconv{}_bn")),
    "lists": (numbered("convs.{}", 0), numbered("norms.{}", 0)),
}


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_found_under_every_name(name: str, suffix: str, tmp_path: Path) -> None:
    """Equal widths, so that only the names tell the order; safetensors sort by name, torch files do not."""
    sizes = {"latent_dim": 5, "widths": [5, 5, 5], "channels": 5}
    path = save(spelled(*SPELLINGS[name], **sizes), tmp_path / f"weights{suffix}")
    opened = imgsynth.open_checkpoint(str(path), device="cpu", precision="fp32").opened
    assert opened.architecture.name == "dcgan"
    expected = tiny_dcgan(**sizes).state_dict()
    found = opened.network.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_a_torch_file_tells_the_order_that_names_do_not(tmp_path: Path) -> None:
    words = ("start", "middle", "later", "end")
    state = spelled(lambda i: f"{words[i]}.conv", lambda i: f"{words[i]}.norm")
    path = save(state, tmp_path / "weights.pth")
    opened = imgsynth.open_checkpoint(str(path), device="cpu", precision="fp32").opened
    assert opened.hyperparameters["widths"] == [8, 6, 4]


others = st.fixed_dictionaries(
    {
        "latent_dim": st.integers(1, 9),
        "widths": st.lists(st.integers(1, 6), min_size=1, max_size=4),
        "channels": st.sampled_from([1, 3]),
        "first_kernel": st.integers(2, 7),
        "bias": st.booleans(),
        "last_bias": st.booleans(),
        "num_classes": st.sampled_from([0, 1, 8]),
    }
)


@settings(deadline=None, max_examples=40)
@given(others)
def test_other_sizes_are_read_from_the_file(sizes: dict[str, Any]) -> None:
    network = randomised(DCGANGenerator(**sizes), seed=0)
    hints = {"num_classes": sizes["num_classes"]} if sizes["num_classes"] else {}
    opened = open_state_dict(network.state_dict(), hints)
    usual = {"last_kernel": 4, "last_padding": 1}
    usual |= {"first_kernel": 4, "bias": False, "last_bias": False, "num_classes": 0}
    assert {**usual, **opened.hyperparameters} == {**usual, **sizes}
    facts, architecture = opened.hyperparameters, opened.architecture
    z = torch.randn(2, *architecture.latent_shape(facts))
    given_too = {"labels": torch.tensor([0, sizes["num_classes"] - 1])} if hints else {}
    with torch.inference_mode():
        picture = opened.network(z, **given_too)
        assert torch.equal(picture, network(z, **given_too))
    side = architecture.image_size(facts)
    assert picture.shape == (2, sizes["channels"], side, side)


@pytest.mark.parametrize(
    ("hints", "side"),
    [
        ({}, 16),
        ({"last_padding": 2}, 12),
        ({"image_size": 12}, 12),
        ({"imageSize": 14, "last_padding": 0}, 16),
        ({"img_size": 64}, 16),
        ({"image_size": 11}, 16),
        ({"image_size": [12, 12]}, 16),
    ],
)
def test_hints_tell_how_far_a_last_layer_of_1x1_crops(hints: dict[str, Any], side: int) -> None:
    state = tiny_dcgan(last_kernel=1, last_padding=0).state_dict()
    opened = open_state_dict(state, hints)
    assert opened.network(torch.zeros(1, 6)).shape == (1, 3, side, side)
    assert opened.architecture.image_size(opened.hyperparameters) == side


def test_a_class_comes_one_hot_behind_the_latent() -> None:
    conditional = tiny_dcgan(num_classes=4)
    opened = open_state_dict(conditional.state_dict(), {"num_classes": 4})
    assert opened.architecture.classes(opened.hyperparameters) == 4
    assert opened.architecture.latent_shape(opened.hyperparameters) == (6,)
    z = torch.randn(2, 6)
    one_hot = torch.tensor([[0.0, 0, 0, 1], [0, 1, 0, 0]])
    with torch.inference_mode():
        plain = open_state_dict(conditional.state_dict()).network
        expected = plain(torch.cat([z, one_hot], dim=1))
        found = opened.network(z[..., None, None], labels=torch.tensor([3, 1]))
    assert torch.equal(found, expected)


def test_a_conditional_generator_asks_for_labels() -> None:
    with pytest.raises(ValueError, match="needs labels"):
        tiny_dcgan(num_classes=4)(torch.zeros(1, 6))


@pytest.mark.parametrize("num_classes", [-1, 6, 9, "many", [2], float("inf")])
def test_classes_that_do_not_fit_are_refused(num_classes: Any) -> None:
    with pytest.raises(UnknownArchitecture, match="sizes do not fit"):
        open_state_dict(tiny_dcgan().state_dict(), {"num_classes": num_classes})


@pytest.mark.parametrize("num_classes", [0, None])
def test_no_classes_leave_the_whole_latent(num_classes: int | None) -> None:
    opened = open_state_dict(tiny_dcgan().state_dict(), {"num_classes": num_classes})
    assert opened.architecture.classes(opened.hyperparameters) == 0
    assert opened.hyperparameters["latent_dim"] == 6


def test_a_kernel_whose_padding_cannot_be_known_is_named() -> None:
    state = tiny_dcgan().state_dict()
    state["main.3.weight"] = torch.zeros(8, 6, 3, 3)
    expected = r"has main\.3\.weight \[8, 6, 3, 3\] where main\.3\.weight \[8, 6, 4, 4\] is expected"
    with pytest.raises(UnknownArchitecture, match=expected):
        open_state_dict(state)


def test_a_number_that_python_refuses_to_read_is_only_a_name() -> None:
    state = {**tiny_dcgan().state_dict(), f"main.{'9' * 5000}.weight": torch.zeros(3)}
    with pytest.raises(UnknownArchitecture, match=r"also has main\.9999"):
        open_state_dict(state)


# What is not a DCGAN


def discriminator() -> nn.Module:
    """The DCGAN's own discriminator, which has the same names and kernels."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(8, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(16, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.LeakyReLU(0.2)),
        nn.Conv2d(32, 1, 4, bias=False),
    )


def convolutions() -> nn.Module:
    """Convolutions with norms whose kernels are stored outputs first."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.ReLU()),
        nn.Conv2d(16, 3, 4, 2, 1),
    )


def with_projection() -> nn.Module:
    """Transposed convolutions behind a linear layer."""
    network = nn.Sequential(nn.Linear(6, 12), nn.Unflatten(1, (12, 1, 1)))
    return network.append(tiny_dcgan(latent_dim=12).main)


def two_kinds_of_norm() -> nn.Module:
    """A stage with two norms."""
    network = tiny_dcgan().main
    network.insert(2, nn.BatchNorm2d(8))
    return network


@pytest.mark.parametrize("build", [discriminator, convolutions, with_projection, two_kinds_of_norm])
@pytest.mark.parametrize("prefix", ["", "main.", "model.", "layers."])
def test_other_networks_are_not_taken_for_one(build: Callable[[], nn.Module], prefix: str) -> None:
    state = {prefix + key: value for key, value in build().state_dict().items()}
    with pytest.raises(UnknownArchitecture, match="no network that imgsynth knows"):
        open_state_dict(state)
