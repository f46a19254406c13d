"""AutoencoderKL of every size is opened as it was built, under each of the spellings of its keys."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from builders import model_of, randomised
from imgsynth.architectures.autoencoder_kl import AutoencoderKL
from imgsynth.architectures.registry import detect, open_state_dict
from imgsynth.errors import UnknownArchitecture

State = dict[str, Tensor]

BASE: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": [4, 8],
    "decoder_block_out_channels": [4, 8],
    "layers_per_block": 1,
    "latent_channels": 2,
    "z_channels": 2,
    "double_z": True,
    "use_quant_conv": True,
    "use_post_quant_conv": True,
    "mid_block_add_attention": True,
    "attention": [False, False],
    "decoder_attention": [False, False],
    "norm_num_groups": 2,
    "act_fn": "silu",
}
ONE_LEVEL = {
    **{"block_out_channels": [4], "decoder_block_out_channels": [4]},
    **{"attention": [False], "decoder_attention": [False]},
}
FOUR_LEVELS = {
    **{"block_out_channels": [2, 4, 6, 6], "decoder_block_out_channels": [2, 4, 6, 6], "layers_per_block": 2},
    **{"attention": [False] * 4, "decoder_attention": [False] * 4},
}
CHANGES: list[dict[str, Any]] = [
    {},
    ONE_LEVEL,
    FOUR_LEVELS,
    {"in_channels": 1, "out_channels": 4},
    {"decoder_block_out_channels": [6, 10]},
    {"latent_channels": 3},
    {"double_z": False},
    {"use_quant_conv": False, "use_post_quant_conv": False},
    {"mid_block_add_attention": False},
    {"attention": [False, True], "decoder_attention": [True, False], "layers_per_block": 2},
    {"norm_num_groups": 4},
    {"act_fn": "gelu"},
]


def tiny(**changes: Any) -> nn.Module:
    return randomised(AutoencoderKL(**{**BASE, **changes}), 0)


def hints_of(sizes: dict[str, Any]) -> dict[str, Any]:
    """What no tensor tells."""
    return {name: sizes[name] for name in ("norm_num_groups", "act_fn")}


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_read_as_it_was_built(changes: dict[str, Any]) -> None:
    sizes, network = {**BASE, **changes}, tiny(**changes)
    opened: Any = open_state_dict(network.state_dict(), hints_of(sizes))
    assert opened.architecture.name == "autoencoder_kl"
    assert opened.hyperparameters == sizes
    multiple = opened.architecture.multiple(sizes)
    assert multiple == 2 ** (len(sizes["block_out_channels"]) - 1)
    x = torch.rand(1, sizes["in_channels"], 2 * multiple, 3 * multiple)
    mean, log_variance = opened.network.encode(x)
    assert mean.shape == (1, sizes["latent_channels"], 2, 3)
    assert (log_variance is not None) == sizes["double_z"]
    rebuilt = opened.network(x)
    assert rebuilt.shape == (1, sizes["out_channels"], *x.shape[2:])
    assert torch.equal(rebuilt, network(x))


def test_log_variances_are_bounded() -> None:
    network: Any = tiny()
    network.quant_conv.bias.data[2:] = torch.tensor([500.0, -500.0])
    _, log_variance = network.encode(torch.rand(1, 3, 4, 4))
    assert log_variance.amin() == -30 and log_variance.amax() == 20


# Other spellings

OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def with_old_names(state: State, as_convolutions: bool) -> State:
    found: State = {}
    for key, value in state.items():
        match = re.fullmatch(r"(.*attentions\.0)\.(to_[qkv]|to_out\.0)\.(weight|bias)", key)
        if match is None:
            found[key] = value
            continue
        name = f"{match[1]}.{OLD_NAMES[match[2]]}.{match[3]}"
        found[name] = value[:, :, None, None] if as_convolutions and match[3] == "weight" else value
    return found


@pytest.mark.parametrize("as_convolutions", [False, True])
def test_old_names_of_the_attention(as_convolutions: bool) -> None:
    network = tiny()
    state = with_old_names(network.state_dict(), as_convolutions)
    assert "encoder.mid_block.attentions.0.proj_attn.weight" in state
    opened = open_state_dict(state, hints_of(BASE))
    x = torch.rand(1, 3, 4, 6)
    assert torch.equal(opened.network(x), network(x))


def compvis_name(module: list[str], levels: int) -> list[str]:
    """The path of a module in CompVis' code, for its path in diffusers'."""
    match module:
        case [half, "conv_norm_out"]:
            return [half, "norm_out"]
        case [half, "mid_block", "resnets", i, *rest]:
            return [half, "mid", f"block_{int(i) + 1}", *compvis_block(rest)]
        case [half, "mid_block", "attentions", "0", *rest]:
            return [half, "mid", "attn_1", *compvis_attention(rest)]
        case ["encoder", "down_blocks", level, *rest]:
            return ["encoder", "down", level, *compvis_level(rest)]
        case ["decoder", "up_blocks", level, *rest]:
            return ["decoder", "up", str(levels - 1 - int(level)), *compvis_level(rest)]
    return module


def compvis_level(rest: list[str]) -> list[str]:
    match rest:
        case ["resnets", i, *inner]:
            return ["block", i, *compvis_block(inner)]
        case ["attentions", i, *inner]:
            return ["attn", i, *compvis_attention(inner)]
        case ["downsamplers", "0", "conv"]:
            return ["downsample", "conv"]
        case ["upsamplers", "0", "conv"]:
            return ["upsample", "conv"]
    raise AssertionError(rest)


def compvis_block(rest: list[str]) -> list[str]:
    return ["nin_shortcut"] if rest == ["conv_shortcut"] else rest


def compvis_attention(rest: list[str]) -> list[str]:
    names = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out": "proj_out"}
    return [names[rest[0]]]


def to_compvis(state: State, levels: int) -> State:
    found: State = {}
    for key, value in state.items():
        *module, tensor = key.split(".")
        name = ".".join([*compvis_name(module, levels), tensor])
        projection = re.search(r"\.(q|k|v|proj_out)\.weight$", name)
        found[name] = value[:, :, None, None] if projection else value
    return found


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_the_compvis_layout(changes: dict[str, Any]) -> None:
    sizes, network = {**BASE, **changes}, tiny(**changes)
    levels = len(sizes["block_out_channels"])
    state = to_compvis(network.state_dict(), levels)
    assert f"decoder.up.{levels - 1}.block.0.conv1.weight" in state
    assert not any("_blocks" in key or "resnets" in key for key in state)
    trained = {"loss.logvar": torch.zeros(()), "model_ema.decay": torch.zeros(())}
    opened = open_state_dict({**state, **trained}, hints_of(sizes))
    assert opened.hyperparameters == sizes
    x = torch.rand(1, sizes["in_channels"], 16, 8)
    assert torch.equal(opened.network(x), network(x))


def test_the_first_keys_of_the_compvis_layout_are_as_published() -> None:
    state = to_compvis(tiny().state_dict(), 2)
    published = {
        *("encoder.down.0.block.0.norm1.weight", "encoder.down.1.block.0.nin_shortcut.weight"),
        *("encoder.down.0.downsample.conv.weight", "decoder.up.1.upsample.conv.weight"),
        *("encoder.mid.block_1.conv1.weight", "encoder.mid.attn_1.proj_out.weight"),
        *("decoder.norm_out.weight", "decoder.up.0.block.1.conv2.weight", "quant_conv.weight"),
    }
    assert published <= state.keys()
    assert state["decoder.mid.attn_1.q.weight"].shape == (8, 8, 1, 1)


def test_statistics_that_scale_latents_elsewhere_are_left_out() -> None:
    network = tiny()
    statistics = {"bn.running_mean": torch.zeros(8), "bn.running_var": torch.ones(8)}
    opened = open_state_dict({**network.state_dict(), **statistics}, hints_of(BASE))
    assert opened.network.state_dict().keys() == network.state_dict().keys()


# What is refused


def test_vector_quantised_codecs_are_not_claimed() -> None:
    state = tiny(double_z=False).state_dict()
    assert detect({**state, "quantize.embedding.weight": torch.zeros(5, 2)}) is None


def test_video_codecs_are_not_claimed() -> None:
    state = {k: v[:, :, None] if v.ndim == 4 else v for k, v in tiny().state_dict().items()}
    assert detect(state) is None


@pytest.mark.parametrize("groups", [3, 0, -2, "many", None])
def test_groups_that_do_not_divide_the_widths_are_refused(groups: Any) -> None:
    with pytest.raises(UnknownArchitecture):
        open_state_dict(tiny().state_dict(), {"norm_num_groups": groups})


def test_groups_are_32_where_nothing_tells() -> None:
    network = tiny(block_out_channels=[32, 32], decoder_block_out_channels=[32, 32], norm_num_groups=32)
    assert open_state_dict(network.state_dict()).hyperparameters["norm_num_groups"] == 32


def test_a_codec_has_no_prior() -> None:
    model = model_of(tiny(), hints_of(BASE))
    assert "sample" not in model.tasks
    assert model.multiple == 2


def test_it_runs_under_autocast() -> None:
    network: Any = tiny()
    x = torch.rand(1, 3, 8, 8) * 2 - 1
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        reduced = network(x).float()
    full = network(x)
    assert (reduced - full).abs().max() < 0.05 * (full.max() - full.min())
