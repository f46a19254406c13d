"""TAESD codecs of every size and in both layouts are opened as they were built."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from builders import model_of, randomised
from imgsynth.architectures.registry import Architecture, Shapes, detect, open_state_dict, shapes_of
from imgsynth.architectures.taesd import (
    AUTOENCODER_TINY,
    TAESD,
    TAESD_BARE,
    AutoencoderTiny,
    half_of,
    join_halves,
)
from imgsynth.errors import UnknownArchitecture

State = dict[str, Tensor]

PLAIN: dict[str, Any] = {
    "channels": 3,
    "output_channels": 3,
    "latent_channels": 4,
    "encoder_widths": [4, 4, 4, 4],
    "encoder_blocks": [1, 3, 3, 3],
    "decoder_widths": [4, 4, 4, 4],
    "decoder_blocks": [3, 3, 3, 1],
    "pooled": False,
    "stem": "plain",
    "act_fn": "relu",
    "upsample_fn": "nearest",
    "upsampling_scaling_factor": 2,
}
STAGES = ("encoder_widths", "encoder_blocks", "decoder_widths", "decoder_blocks")


def sizes(*stages: list[int], **changes: Any) -> dict[str, Any]:
    return {**PLAIN, **dict(zip(STAGES, stages, strict=False)), **changes}


# With the multiple that heights and widths have.
SIZES: dict[str, tuple[dict[str, Any], int]] = {
    "as published": (PLAIN, 8),
    "pooled": (sizes(latent_channels=6, pooled=True), 8),
    "one stage": (sizes([3], [1], [5], [2]), 1),
    "two stages": (sizes([3, 3], [2, 1], [5, 5], [1, 2]), 2),
    "stages without blocks": (sizes([3, 3], [0, 2], [5, 5], [2, 0]), 2),
    "growing": (sizes([3, 5, 7], [1, 2, 1], [7, 5, 3], [1, 1, 1]), 4),
    "grey": (sizes(channels=1, output_channels=1), 8),
    "strided": (sizes([3, 4, 4, 5], [0, 1, 2, 1], [6, 5, 4, 4, 3], [2, 1, 1, 1, 1], stem="strided"), 16),
    "patched": (sizes([4, 4, 5], [1, 2, 1], [6, 5, 4], [2, 1, 1], stem="patched", channels=4), 8),
}


@pytest.mark.parametrize(("built", "multiple"), SIZES.values(), ids=SIZES)
def test_bare_layout_is_read_as_it_was_built(built: dict[str, Any], multiple: int) -> None:
    check_read_as_built(TAESD(**built), TAESD_BARE, built, multiple)


@pytest.mark.parametrize(("built", "multiple"), SIZES.values(), ids=SIZES)
def test_diffusers_layout_is_read_as_it_was_built(built: dict[str, Any], multiple: int) -> None:
    check_read_as_built(AutoencoderTiny(**built), AUTOENCODER_TINY, built, multiple)


def check_read_as_built(
    network: Any, architecture: Architecture, built: dict[str, Any], multiple: int
) -> None:
    randomised(network, 0)
    opened = open_state_dict(network.state_dict())
    assert opened.architecture is architecture
    assert opened.hyperparameters == built
    assert architecture.multiple(built) == multiple
    x = torch.rand(1, built["channels"], 2 * multiple, 3 * multiple)
    latents, log_variance = opened.network.encode(x)
    assert latents.shape[1] == built["latent_channels"] and log_variance is None
    assert latents.shape[2:] == (2, 3)
    rebuilt = opened.network.decode(latents)
    assert rebuilt.shape == (1, built["output_channels"], *x.shape[2:])
    assert torch.equal(rebuilt, network.decode(latents))


def test_both_layouts_compute_the_same() -> None:
    bare: Any = randomised(TAESD(**PLAIN), 0)
    tiny: Any = randomised(AutoencoderTiny(**PLAIN), 1)
    state = {
        k.replace("encoder.", "encoder.layers."): v
        for k, v in bare.state_dict().items()
        if k.startswith("encoder.")
    }
    for key, value in bare.state_dict().items():
        if key.startswith("decoder."):
            _, index, rest = key.split(".", 2)
            state[f"decoder.layers.{int(index) - 1}.{rest}"] = value
    tiny.load_state_dict(state)
    x = torch.rand(1, 3, 16, 8)
    torch.testing.assert_close(tiny.encode(2 * x - 1)[0], bare.encode(x)[0])
    torch.testing.assert_close(tiny(2 * x - 1), 2 * bare(x) - 1)


HINTS: list[dict[str, Any]] = [
    {"act_fn": "gelu"},
    {"act_fn": "mish"},
    {"upsample_fn": "bilinear"},
    {"upsampling_scaling_factor": 4},
]


@pytest.mark.parametrize("hints", HINTS, ids=str)
def test_what_only_a_config_tells(hints: dict[str, Any]) -> None:
    built = {**PLAIN, **hints}
    network: Any = randomised(AutoencoderTiny(**built), 0)
    opened: Any = open_state_dict(network.state_dict(), hints)
    assert opened.hyperparameters == built
    z = torch.randn(1, 4, 2, 3)
    assert torch.equal(opened.network.decode(z), network.decode(z))
    plain: Any = open_state_dict(network.state_dict())
    other = plain.network.decode(z)
    assert other.shape != network.decode(z).shape or not torch.allclose(other, network.decode(z))


@pytest.mark.parametrize(
    "hints",
    [
        {"act_fn": "selu"},
        {"act_fn": None},
        {"upsample_fn": "area"},
        {"upsample_fn": ["nearest"]},
        {"upsampling_scaling_factor": 0},
        {"upsampling_scaling_factor": "2"},
    ],
    ids=str,
)
def test_a_config_of_another_network_is_refused(hints: dict[str, Any]) -> None:
    with pytest.raises(UnknownArchitecture):
        open_state_dict(randomised(AutoencoderTiny(**PLAIN), 0).state_dict(), hints)


# The two files of the bare layout


def halves_of(network: nn.Module) -> tuple[State, State]:
    halves: dict[str, State] = {"encoder": {}, "decoder": {}}
    for key, value in network.state_dict().items():
        half, _, rest = key.partition(".")
        halves[half][rest] = value
    return halves["encoder"], halves["decoder"]


@pytest.mark.parametrize(("built", "_"), SIZES.values(), ids=SIZES)
def test_halves_are_told_apart_and_joined(built: dict[str, Any], _: int) -> None:
    network = randomised(TAESD(**built), 0)
    encoder, decoder = halves_of(network)
    assert half_of(shapes_of(encoder)) == "encoder"
    assert half_of(shapes_of(decoder)) == "decoder"
    joined = join_halves(encoder, decoder)
    assert joined.keys() == network.state_dict().keys()
    assert detect(joined) is not None


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"0.weight": (3, 4, 3, 3), "0.bias": (3,)},
        {"0.weight": (4, 3, 3, 3), "1.conv.4.weight": (4, 4, 3, 3), "1.norm.weight": (4,)},
        {"encoder.0.weight": (4, 3, 3, 3), "encoder.1.conv.4.weight": (4, 4, 3, 3)},
        {"1.conv.4.weight": (4, 4, 3)},
    ],
    ids=str,
)
def test_other_keys_are_no_half(shapes: Shapes) -> None:
    assert half_of(shapes) is None


def test_halves_the_wrong_way_round_are_no_codec() -> None:
    encoder, decoder = halves_of(randomised(TAESD(**PLAIN), 0))
    assert detect(join_halves(decoder, encoder)) is None
    assert detect(join_halves(encoder, encoder)) is None
    assert detect(encoder) is None


def test_a_codec_has_no_prior() -> None:
    model = model_of(randomised(TAESD(**PLAIN), 0))
    assert "sample" not in model.tasks
    assert model.image_size is None
