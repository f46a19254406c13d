"""What is no network of ours, or not quite, is refused in one sentence that says why."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from builders import BUILDERS, save, tiny_cyclegan, tiny_dcgan, tiny_lama, tiny_vae
from imgsynth.architectures.dcgan import DCGANGenerator
from imgsynth.architectures.registry import open_state_dict
from imgsynth.errors import CheckpointUnreadable, UnknownArchitecture
from imgsynth.runtime.opening import open_checkpoint

State = dict[str, Tensor]

NAMES = sorted(BUILDERS)


def assert_sentence(error: Exception) -> None:
    assert re.fullmatch(r"\S[^\n]*\.", str(error)), str(error)
    assert not re.search(r"[.!?]\s+\S", str(error)), str(error)


UNFIT = [
    ("cyclegan_resnet", {"padding": 1}),
    ("cyclegan_resnet", {"padding": None}),
    ("conv_vae", {"norm_num_groups": 7}),
    ("conv_vae", {"norm_num_groups": 0}),
    ("conv_vae", {"norm_num_groups": "many"}),
    ("conv_vae", {"norm_num_groups": None}),
    ("dcgan", {"last_padding": [1]}),
    ("dcgan", {"last_padding": -1}),
]


@pytest.mark.parametrize(("name", "hints"), UNFIT)
def test_hints_that_do_not_fit_are_refused_in_a_sentence(name: str, hints: dict[str, Any]) -> None:
    """A config.json comes from a stranger and may say anything under a name that we know."""
    with pytest.raises(UnknownArchitecture) as caught:
        open_state_dict(BUILDERS[name]().state_dict(), hints)
    assert_sentence(caught.value)


# Strictness


@pytest.mark.parametrize("name", NAMES)
def test_every_missing_key_is_noticed(name: str) -> None:
    state = BUILDERS[name]().state_dict()
    for key in [k for k in state if not k.endswith("num_batches_tracked")]:
        with pytest.raises(UnknownArchitecture) as caught:
            open_state_dict({k: v for k, v in state.items() if k != key})
        assert_sentence(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_wrong_shape_is_noticed(name: str) -> None:
    state = BUILDERS[name]().state_dict()
    for key, value in state.items():
        for wrong in (value[None], torch.cat([value.reshape(-1), torch.zeros(1)])):
            with pytest.raises(UnknownArchitecture) as caught:
                open_state_dict({**state, key: wrong})
            assert_sentence(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_an_extra_key_is_named(name: str) -> None:
    state = BUILDERS[name]().state_dict()
    with pytest.raises(UnknownArchitecture, match=r"also has extra\.weight \[3\]") as caught:
        open_state_dict({**state, "extra.weight": torch.zeros(3)})
    assert (caught.value.nearest, caught.value.missing) == (name, [])
    assert caught.value.unexpected == ["extra.weight [3]"]


def test_a_missing_key_is_named() -> None:
    state = tiny_lama().state_dict()
    del state["model.1.bn_l.bias"]
    with pytest.raises(UnknownArchitecture, match=r"lacks model\.1\.bn_l\.bias \[4\]") as caught:
        open_state_dict(state)
    assert caught.value.nearest == "lama"
    assert caught.value.missing == ["model.1.bn_l.bias [4]"]


def test_a_wrong_shape_is_named_with_the_right_one() -> None:
    state = {**tiny_vae().state_dict(), "fc.bias": torch.zeros(3)}
    with pytest.raises(UnknownArchitecture, match=r"has fc\.bias \[3\] where fc\.bias \[512\]"):
        open_state_dict(state)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(NAMES), st.data())
def test_damaged_files_open_or_are_refused(name: str, data: st.DataObject) -> None:
    """Any renaming, removal and reshaping of keys either leaves a network or is explained."""
    state = dict(BUILDERS[name]().state_dict())
    for _ in range(data.draw(st.integers(1, 4))):
        key = data.draw(st.sampled_from(sorted(state)))
        value = state.pop(key)
        if data.draw(st.booleans()):
            shape = data.draw(st.lists(st.integers(0, 5), max_size=5))
            number = data.draw(st.integers(0, 9))
            state[re.sub(r"\d", str(number), key, count=1)] = value.new_zeros(shape)
        if not state:
            return
    try:
        opened = open_state_dict(state)
    except UnknownArchitecture as error:
        assert_sentence(error)
    else:
        assert opened.parameters > 0


ENDLESS = {
    "cyclegan_resnet": {
        "model.1.weight": (0, 3, 7, 7),
        "model.9000000001.conv_block.1.weight": (0, 0, 3, 3),
        "model.9000000005.weight": (3, 0, 7, 7),
    },
    "lama": {
        "model.1.ffc.convl2l.weight": (0, 4, 7, 7),
        "model.9000000001.ffc.convl2l.weight": (0, 0, 3, 3),
        "model.9000000002.conv1.ffc.convl2l.weight": (0, 0, 3, 3),
        "model.9000000002.conv1.ffc.convl2g.weight": (0, 0, 3, 3),
        "model.9000000002.conv1.ffc.convg2g.fu.conv_layer.weight": (0, 0, 1, 1),
        "model.9000000005.weight": (3, 0, 7, 7),
    },
}


@pytest.mark.parametrize("name", ENDLESS)
def test_keys_that_promise_endless_layers_are_refused_at_once(name: str) -> None:
    """The number of stages stands in the keys, where anyone can write any number."""
    with pytest.raises(UnknownArchitecture) as caught:
        open_state_dict({key: torch.zeros(shape) for key, shape in ENDLESS[name].items()})
    assert caught.value.nearest == name


def test_a_picture_that_no_memory_holds_is_refused() -> None:
    """Twenty stages of one channel are a small file, and a picture of four million pixels each way."""
    with pytest.raises(UnknownArchitecture, match="sizes do not fit") as caught:
        open_state_dict(DCGANGenerator(1, [1] * 20, 1).state_dict())
    assert caught.value.nearest == "dcgan"


# Files of networks we do not know


def resnet() -> State:
    state = {"conv1.weight": torch.zeros(64, 3, 7, 7), "fc.weight": torch.zeros(10, 64)}
    for block in range(3):
        state |= {f"layer1.{block}.conv{i}.weight": torch.zeros(64, 64, 3, 3) for i in (1, 2)}
        state |= {f"layer1.{block}.bn{i}.running_mean": torch.zeros(64) for i in (1, 2)}
    return state


def bert() -> State:
    layer = "bert.encoder.layer.0.attention.self"
    parts = {f"{layer}.{part}.weight": torch.zeros(8, 8) for part in ("query", "key", "value")}
    return {"bert.embeddings.word_embeddings.weight": torch.zeros(30, 8), **parts}


def lora() -> State:
    name = "lora_unet_down_blocks_0_attentions_0_proj_in"
    return {f"{name}.lora_up.weight": torch.zeros(8, 4), f"{name}.lora_down.weight": torch.zeros(4, 8)}


@pytest.mark.parametrize("unknown", [resnet, bert, lora])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_unknown_networks_are_explained(unknown: Callable[[], State], suffix: str, tmp_path: Path) -> None:
    path = save(unknown(), tmp_path / f"unknown{suffix}")
    with pytest.raises(UnknownArchitecture, match="no network that imgsynth knows") as caught:
        open_checkpoint(str(path), device="cpu")
    assert_sentence(caught.value)
    assert caught.value.nearest in NAMES
    assert caught.value.missing
    assert caught.value.unexpected
    assert str(tmp_path) not in str(caught.value)


def test_the_nearest_network_is_named() -> None:
    """A CycleGAN whose first convolution bears another name is nearest to a CycleGAN."""
    state = tiny_cyclegan().state_dict()
    state = {key.replace("model.1.", "model.first."): value for key, value in state.items()}
    with pytest.raises(UnknownArchitecture, match="nearest is cyclegan_resnet") as caught:
        open_state_dict(state)
    assert caught.value.nearest == "cyclegan_resnet"
    assert any(key.startswith("model.1.weight") for key in caught.value.missing)
    assert any(key.startswith("model.first.weight") for key in caught.value.unexpected)


@pytest.mark.parametrize("key", ["a" * 100_000, "two\nlines", "\x1b[31mred"])
def test_odd_keys_are_shown_in_one_short_line(key: str) -> None:
    for state in ({key: torch.zeros(3)}, {**tiny_dcgan().state_dict(), key: torch.zeros(3)}):
        with pytest.raises(UnknownArchitecture) as caught:
            open_state_dict(state)
        assert_sentence(caught.value)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400


def test_keys_like_none_of_ours_are_shown() -> None:
    with pytest.raises(UnknownArchitecture, match="such as tok_embeddings, are like none of"):
        open_state_dict({"tok_embeddings": torch.zeros(3)})


def test_the_state_of_an_optimiser_holds_no_network(tmp_path: Path) -> None:
    network = tiny_dcgan().train().requires_grad_(True)
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.randn(2, 6)).sum().backward()
    optimiser.step()
    path = save(optimiser.state_dict(), tmp_path / "optimizer.pth")
    with pytest.raises((UnknownArchitecture, CheckpointUnreadable)) as caught:
        open_checkpoint(str(path), device="cpu")
    assert_sentence(caught.value)
