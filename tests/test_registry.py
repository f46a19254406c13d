"""Networks are found from their files alone, whatever their sizes and however their keys are spelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from builders import BUILDERS, inputs_of, model_of, save, tiny_cyclegan, tiny_dcgan
from imgsynth.architectures.registry import open_state_dict
from imgsynth.checkpoints.naming import from_path
from imgsynth.runtime.opening import open_file

State = dict[str, Tensor]

NAMES = sorted(BUILDERS)


def prefixed(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + key: value for key, value in state.items()}


def inside(*names: str) -> Callable[[State], dict[str, Any]]:
    def wrap(state: State) -> dict[str, Any]:
        loaded: dict[str, Any] = state
        for name in reversed(names):
            loaded = {name: loaded, "epoch": 3}
        return loaded

    return wrap


def halved(state: State) -> State:
    return {k: v.half() if v.is_floating_point() else v for k, v in state.items()}


# What a file of any format can hold, and what only torch's own can.
FLAT: dict[str, Callable[[State], State]] = {
    "bare": dict,
    "module.": prefixed("module."),
    "_orig_mod.": prefixed("_orig_mod."),
    "netG.": prefixed("netG."),
    "module._orig_mod.": prefixed("module._orig_mod."),
    "float16": halved,
}
NESTED: dict[str, Callable[[State], Any]] = {
    "state_dict": inside("state_dict"),
    "model_state_dict": inside("model_state_dict"),
    "g_ema": inside("g_ema"),
    "params_ema": inside("params_ema"),
    "state_dict of module.": lambda state: inside("state_dict")(prefixed("module.")(state)),
}
SPELLINGS = [(".safetensors", name) for name in FLAT]
SPELLINGS += [(suffix, name) for suffix in (".pth", ".bin") for name in FLAT | NESTED]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("suffix", "spelling"), SPELLINGS)
def test_found_under_every_spelling(name: str, suffix: str, spelling: str, tmp_path: Path) -> None:
    network = BUILDERS[name]()
    state = network.state_dict()
    path = save((FLAT | NESTED)[spelling](state), tmp_path / f"weights{suffix}")
    inspected = open_file(from_path(path))
    assert inspected.opened.architecture.name == name
    assert inspected.warnings == []
    expected = {k: v.float() for k, v in halved(state).items()} if spelling == "float16" else state
    assert_same_state(inspected.opened.network, expected)
    assert all(v.dtype == torch.float32 for v in inspected.opened.network.parameters())


def assert_same_state(network: nn.Module, expected: Mapping[str, Tensor]) -> None:
    found = network.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value.to(found[key].dtype)) for key, value in expected.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_model_runs_in_eval_mode_and_learns_nothing(name: str) -> None:
    model = model_of(BUILDERS[name]())
    assert not any(module.training for module in model.network.modules())
    assert not any(parameter.requires_grad for parameter in model.network.parameters())


def test_offered_tasks_follow_the_family() -> None:
    tasks = {name: model_of(build()).tasks for name, build in BUILDERS.items()}
    assert tasks == {
        "dcgan": ("sample", "interpolate"),
        "conv_vae": ("sample", "interpolate"),
        "cyclegan_resnet": ("translate",),
        "lama": ("inpaint",),
    }


def test_a_network_of_other_channels_opens_and_offers_nothing() -> None:
    model = model_of(tiny_cyclegan(input_channels=2))
    assert model.tasks == ()
    assert model.network(torch.zeros(1, 2, 32, 32)).shape == (1, 3, 32, 32)


# Other sizes: what is read from a file is what it was built with

small = st.integers(1, 6)
dcgans = st.fixed_dictionaries(
    {
        "latent_dim": st.integers(1, 40),
        "widths": st.lists(small, min_size=1, max_size=5),
        "channels": st.integers(1, 4),
        "last_kernel": st.just(4),
        "last_padding": st.just(1),
    }
)
# Nothing in a file tells the padding of a 1×1 kernel: it is 0 unless a hint says otherwise.
cropped_dcgans = st.fixed_dictionaries(
    {
        "latent_dim": small,
        "widths": st.lists(small, min_size=3, max_size=4),
        "channels": small,
        "last_kernel": st.just(1),
        "last_padding": st.sampled_from([0, 2]),
    }
)
grouped = st.sampled_from([4, 8, 12])
vaes = st.fixed_dictionaries(
    {
        "latent_dim": st.integers(1, 9),
        "encoder_widths": st.lists(grouped, min_size=2, max_size=4),
        "decoder_widths": st.lists(grouped, min_size=1, max_size=4),
        "decoder_input": st.integers(1, 9),
        "base": st.integers(2, 4),
        "channels": st.integers(1, 4),
        "groups": st.sampled_from([1, 2, 4]),
    }
)
cyclegans = st.fixed_dictionaries(
    {
        "input_channels": st.integers(1, 4),
        "output_channels": st.integers(1, 4),
        "width": small,
        "blocks": st.integers(1, 3),
        "downsamplings": st.integers(1, 3),
        "norm": st.sampled_from(["instance", "batch"]),
        "dropout": st.booleans(),
        "bias": st.booleans(),
        "upsampling": st.sampled_from(["transposed", "nearest"]),
        "padding": st.sampled_from(["zeros", "reflect"]),
        "padding_type": st.sampled_from(["reflect", "replicate", "zero"]),
    }
)
lamas = st.tuples(small, st.integers(1, 3)).flatmap(
    lambda sizes: st.fixed_dictionaries(
        {
            "input_channels": st.integers(2, 5),
            "output_channels": st.integers(1, 4),
            "width": st.just(sizes[0] + 1),
            "downsamplings": st.just(sizes[1]),
            "blocks": st.integers(1, 2),
            "global_channels": st.integers(2, (sizes[0] + 1) * 2 ** sizes[1] - 1),
        }
    )
)


def hints_of(name: str, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """What nothing in a file of this network tells."""
    keys = {"dcgan": ["last_padding"], "cyclegan_resnet": ["padding", "norm"]}.get(name, [])
    if sizes.get("padding_type") in ("reflect", "replicate"):
        keys.append("padding_type")
    return {k: sizes[k] for k in keys} | ({"norm_num_groups": sizes["groups"]} if name == "conv_vae" else {})


def check_round_trip(name: str, sizes: dict[str, Any], folder: Path) -> None:
    network = BUILDERS[name](**sizes)
    path = save(network.state_dict(), folder / "weights.safetensors")
    opened = open_file(replace(from_path(path), hints=hints_of(name, sizes))).opened
    assert opened.architecture.name == name
    assert opened.hyperparameters == sizes
    given_to_both = inputs_of(network)
    with torch.inference_mode():
        assert torch.equal(opened.network(given_to_both), network(given_to_both))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@settings(deadline=None, max_examples=25)
@given(dcgans | cropped_dcgans)
def test_every_dcgan_is_read_as_it_was_built(folder: Path, sizes: dict[str, Any]) -> None:
    check_round_trip("dcgan", sizes, folder)


@settings(deadline=None, max_examples=25)
@given(vaes)
def test_every_vae_is_read_as_it_was_built(folder: Path, sizes: dict[str, Any]) -> None:
    check_round_trip("conv_vae", sizes, folder)


@settings(deadline=None, max_examples=40)
@given(cyclegans)
def test_every_cyclegan_is_read_as_it_was_built(folder: Path, sizes: dict[str, Any]) -> None:
    check_round_trip("cyclegan_resnet", sizes, folder)


@settings(deadline=None, max_examples=25)
@given(lamas)
def test_every_lama_is_read_as_it_was_built(folder: Path, sizes: dict[str, Any]) -> None:
    check_round_trip("lama", sizes, folder)


# Other spellings of the same networks


def test_dcgan_under_the_name_model() -> None:
    network = tiny_dcgan()
    state = {key.replace("main.", "model."): value for key, value in network.state_dict().items()}
    opened = open_state_dict(state)
    assert opened.architecture.name == "dcgan"
    assert_same_state(opened.network, network.state_dict())


@pytest.mark.parametrize("name", ["dcgan", "lama"])
def test_files_from_before_batch_counters(name: str) -> None:
    state = BUILDERS[name]().state_dict()
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert len(old) < len(state)
    assert open_state_dict(old).architecture.name == name


def test_running_statistics_of_instance_norms_are_left_out() -> None:
    network = tiny_cyclegan()
    old = dict(network.state_dict())
    for name, module in network.named_modules():
        if isinstance(module, nn.InstanceNorm2d):
            old |= {f"{name}.running_mean": torch.zeros(4), f"{name}.running_var": torch.ones(4)}
            old[f"{name}.num_batches_tracked"] = torch.tensor(9)
    opened = open_state_dict(old)
    assert opened.hyperparameters["norm"] == "instance"
    assert_same_state(opened.network, network.state_dict())


def test_hints_in_a_file_of_ours_are_heard(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    state = {k: v.contiguous() for k, v in tiny_cyclegan(padding="reflect").state_dict().items()}
    save_file(state, path, metadata={"config": '{"padding": "reflect"}'})
    assert open_file(from_path(path)).opened.hyperparameters["padding"] == "reflect"


@pytest.mark.parametrize("config", ["", "[]", "not JSON", '"padding"'])
def test_hints_that_are_none_are_not(config: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    state = {k: v.contiguous() for k, v in tiny_cyclegan().state_dict().items()}
    save_file(state, path, metadata={"config": config})
    assert open_file(from_path(path)).opened.hyperparameters["padding"] == "zeros"
