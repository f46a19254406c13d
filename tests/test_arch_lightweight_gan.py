"""The lightweight GAN's generator: its layouts, its optional parts, and files of whole trainings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from builders import randomised, save
from imgsynth.architectures.lightweight_gan import LAYOUTS, LIGHTWEIGHT_GAN, LightweightGAN, detect, read
from imgsynth.architectures.lightweight_gan_parts import (
    HEADS,
    Blur,
    Noise,
    dct_weights,
    local_attention,
)
from imgsynth.architectures.registry import open_state_dict, shapes_of
from imgsynth.checkpoints.naming import from_path
from imgsynth.errors import UnknownArchitecture
from imgsynth.runtime.opening import open_file

PLAIN: dict[str, Any] = {
    "latent_dim": 6,
    "widths": [8, 6, 4],
    "channels": 3,
    "layout": "pypi",
    "attention": "none",
    "attention_sides": [],
    "gate": "context",
    "antialias": False,
}
ATTENDING: dict[str, Any] = {"attention": "linear and local", "attention_sides": [4, 16]}
GATED: dict[str, Any] = {"widths": [8, 34, 6, 4, 3]}  # the second stage gates the fifth
SIZES: dict[str, dict[str, Any]] = {
    **{layout: {"layout": layout} for layout in LAYOUTS},
    "one stage": {"widths": [5]},
    "transparent": {"channels": 4},
    "greyscale": {"channels": 1, "latent_dim": 1},
    "antialias": {"antialias": True},
    "antialias of huggan": {"antialias": True, "layout": "huggan"},
    "two kinds of attention": ATTENDING,
    "linear attention": {**ATTENDING, "attention": "linear", "layout": "huggan"},
    "linear attention and noise": {**ATTENDING, "attention": "linear", "layout": "0.21"},
    "scaled attention": {**ATTENDING, "attention": "scaled", "layout": "huggan"},
    "gates": GATED,
    "gates of frequencies": {**GATED, "gate": "frequency"},
    "frequencies and attention": {**GATED, **ATTENDING, "gate": "frequency", "antialias": True},
}


def tiny(**changes: Any) -> LightweightGAN:
    network = randomised(LightweightGAN(**{**PLAIN, **changes}), seed=0)
    assert isinstance(network, LightweightGAN)
    return network


def drawn(network: LightweightGAN, latent_dim: int = 6) -> Tensor:
    """Two pictures, of noise that is always the same."""
    torch.manual_seed(0)
    with torch.inference_mode():
        return network(torch.randn(2, latent_dim))


@pytest.mark.parametrize("changes", SIZES.values(), ids=SIZES)
def test_sizes_are_read_as_they_were_built(changes: dict[str, Any]) -> None:
    sizes = PLAIN | changes
    network = tiny(**changes)
    opened = open_state_dict(network.state_dict())
    assert opened.architecture is LIGHTWEIGHT_GAN
    assert opened.hyperparameters == sizes
    pictures = drawn(network, sizes["latent_dim"])
    side = LIGHTWEIGHT_GAN.image_size(sizes)
    assert pictures.shape == (2, sizes["channels"], side, side)
    assert isinstance(opened.network, LightweightGAN)
    assert torch.equal(drawn(opened.network, sizes["latent_dim"]), pictures)


def test_large_pictures_whose_last_stages_are_three_wide() -> None:
    sizes = {**PLAIN, "latent_dim": 256, "widths": [512, 512, 256, 128, 64, 32, 3, 3], "gate": "frequency"}
    with torch.device("meta"):
        shapes = shapes_of(LightweightGAN(**sizes).state_dict())
    assert detect(shapes)
    assert read(shapes, {}) == sizes
    gates = {key.split(".")[1]: shape[0] for key, shape in shapes.items() if key.endswith("1.net.2.weight")}
    assert gates == {"1": 64, "2": 32, "3": 3, "4": 3}
    assert LIGHTWEIGHT_GAN.image_size(sizes) == 1024


def test_a_gate_scales_the_stage_three_further_on() -> None:
    network = tiny(**GATED, layout="huggan")
    open_gate = drawn(network)
    last = network.get_submodule("layers.1.1.net.2")
    assert isinstance(last, nn.Conv2d)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, -1000.0)
    shut = drawn(network)
    assert torch.equal(shut, network.out_conv.bias[:, None, None].expand_as(shut))
    assert not torch.equal(open_gate, shut)


# Noise


def maps_for(network: LightweightGAN, count: int) -> list[Tensor]:
    sizes = open_state_dict(network.state_dict()).hyperparameters
    return [torch.randn(count, 1, *shape) for shape in LIGHTWEIGHT_GAN.noise_shapes(sizes)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_noise_is_given_or_drawn_anew(layout: str) -> None:
    network = tiny(layout=layout)
    z, maps = torch.randn(2, 6), maps_for(network, 2)
    assert [m.shape[-1] for m in maps] == ([8, 16, 32] if LAYOUTS[layout].noise else [])
    with torch.inference_mode():
        given = network(z[..., None, None], maps)
        assert torch.equal(network(z, maps), given)
        assert torch.equal(network(z), network(z)) == (not LAYOUTS[layout].noise)
        for i in range(len(maps)):
            others = [torch.zeros_like(m) if i == j else m for j, m in enumerate(maps)]
            assert not torch.allclose(network(z, others), given)


def test_noise_is_one_map_for_all_channels() -> None:
    layer, x, noise = Noise(), torch.randn(2, 3, 4, 4), torch.randn(2, 1, 4, 4)
    nn.init.constant_(layer.weight, 0.5)
    assert torch.equal(layer(x, noise), x + 0.5 * noise)
    drawn_now = layer(x) - x
    assert torch.allclose(drawn_now[:, :1].expand_as(x), drawn_now, atol=1e-6)
    assert drawn_now.std() > 0.1


# Parts


def test_the_waves_are_those_of_the_cosine_transform() -> None:
    side, share = 16, 2
    table = dct_weights(16 * share + 3, side)

    def wave(step: int, frequency: int) -> float:
        scale = math.sqrt((2 if frequency else 1) / side)
        return scale * math.cos(math.pi * frequency * (step + 0.5) / side)

    for channel in range(16 * share):
        across, down = (channel // share, 0) if channel // share < 8 else (0, channel // share - 8)
        for y, x in ((0, 0), (3, 11), (15, 7)):
            assert table[0, channel, y, x].item() == pytest.approx(wave(y, down) * wave(x, across), abs=1e-6)
    assert not table[0, 16 * share :].any()


def test_too_few_channels_for_the_waves_see_nothing() -> None:
    assert not dct_weights(15, 8).any()


def test_local_attention_weighs_nine_neighbours_and_zeros_beyond_the_border() -> None:
    q, k, v = torch.randn(3, 2, HEADS * 64, 4, 5).double().unbind()
    found = local_attention(q, k, v).flatten(1, 2)

    def neighbours(x: Tensor) -> Tensor:
        return F.unfold(x, 3, padding=1).reshape(2, HEADS, 64, 9, 4, 5)

    similarity = (q.reshape(2, HEADS, 64, 1, 4, 5) * neighbours(k)).sum(2, keepdim=True) / 8
    expected = (similarity.softmax(3) * neighbours(v)).sum(3).flatten(1, 2)
    assert torch.allclose(found, expected)


def test_a_blur_leaves_even_areas_and_softens_the_rest() -> None:
    blur = Blur()
    assert torch.allclose(blur(torch.full((1, 2, 8, 8), 0.7)), torch.tensor(0.7))
    dot = torch.zeros(1, 1, 5, 5)
    dot[..., 2, 2] = 16.0
    assert blur(dot)[0, 0, 1:4, 1:4].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


@pytest.mark.parametrize("changes", [SIZES["frequencies and attention"], SIZES["linear attention"]])
def test_it_runs_in_bfloat16(changes: dict[str, Any]) -> None:
    network = tiny(**changes)
    exact = drawn(network)
    with torch.autocast("cpu", torch.bfloat16):
        rough = drawn(network).float()
    assert rough.shape == exact.shape
    assert rough.isfinite().all()


# Files


def training(network: LightweightGAN) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What the package saves: both halves of the generator and the discriminator; and the averaged half."""
    averaged = tiny().state_dict()
    judge = {"logits.0.weight": torch.ones(2, 3), "logits.0.bias": torch.zeros(2)}
    return {
        **{f"G.{k}": v for k, v in network.state_dict().items()},
        **{f"D.{k}": v for k, v in judge.items()},
        **{f"GE.{k}": v + 1 for k, v in averaged.items()},
        **{f"D_aug.D.{k}": v for k, v in judge.items()},
    }, {k: v + 1 for k, v in averaged.items()}


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".safetensors"])
def test_a_whole_training_opens_as_its_averaged_half(suffix: str, tmp_path: Path) -> None:
    everything, averaged = training(tiny())
    scaler = {"scale": 65536.0, "_growth_tracker": 0}
    whole: dict[str, Any] = {"GAN": everything, "version": "1.2.1", "G_scaler": scaler, "D_scaler": scaler}
    path = save(everything if suffix == ".safetensors" else whole, tmp_path / f"model_0{suffix}")
    inspected = open_file(from_path(path))
    assert inspected.opened.architecture is LIGHTWEIGHT_GAN
    found = inspected.opened.network.state_dict()
    assert found.keys() == averaged.keys()
    assert all(torch.equal(found[key], value) for key, value in averaged.items())


def test_attention_of_the_oldest_releases_is_refused() -> None:
    state = tiny(layout="huggan").state_dict()
    state |= {"layers.1.2.g": torch.tensor(1e-3), "layers.1.2.fn.to_qkv.weight": torch.zeros(1536, 8, 1, 1)}
    with pytest.raises(UnknownArchitecture, match=r"nearly a lightweight_gan network but not quite"):
        open_state_dict(state)


@pytest.mark.parametrize("stage", ["99999999999", "x", "-1"])
def test_stages_that_cannot_be_are_refused(stage: str) -> None:
    state = tiny(layout="huggan").state_dict() | {f"layers.{stage}.2.fn.to_q.weight": torch.zeros(1, 1, 1, 1)}
    with pytest.raises(UnknownArchitecture, match=r"nearly a lightweight_gan network but not quite"):
        open_state_dict(state)


def test_more_stages_than_a_picture_needs_are_refused() -> None:
    with torch.device("meta"):
        state = LightweightGAN(**{**PLAIN, "widths": [1] * 13}).state_dict()
    with pytest.raises(UnknownArchitecture, match=r"nearly a lightweight_gan network but not quite"):
        open_state_dict(state)
