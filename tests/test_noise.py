"""The noise switch: a seed's own noise, the same for all, or none; in pictures, records and on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import imgsynth
from builders import all_equal, model_of, randomised, save
from cli_runs import Run, assert_refused
from imgsynth.architectures.stylegan2 import StyleGAN2Generator
from imgsynth.errors import BadRequest
from imgsynth.families import LatentModel
from imgsynth.imaging.record import read_record
from imgsynth.seeds import NoiseKind
from imgsynth.tasks.interpolate import interpolate, walk_record
from imgsynth.tasks.redo import redo
from imgsynth.tasks.requests import InterpolateRequest, SampleRequest, make_request
from imgsynth.tasks.sample import grid_of, sample, sample_each
from imgsynth.tasks.variations import neighbours
from imgsynth.ui.noise import LABELS, USUAL, chosen_noise, fitting_noise
from latent_models import classed, shown, styled

KINDS: tuple[NoiseKind, ...] = ("random", "constant", "none")


def stored() -> LatentModel:
    """A StyleGAN2 whose noise maps lie with its weights."""
    network = randomised(StyleGAN2Generator(16, 6, 2, [4, 4, 4], lr_mlp=1.0), 5)
    model = model_of(network, {"lr_mlp": 1.0}, name="stored")
    assert isinstance(model, LatentModel)
    return model


def drawn(model: LatentModel, seeds: list[int], noise: NoiseKind | None = None) -> list[np.ndarray]:
    return shown(sample(model, SampleRequest(seeds=seeds, noise=noise)))


# Maps


@pytest.mark.parametrize("build", [styled, stored])
def test_random_maps_are_drawn_after_the_latent_from_the_seed_alone(build: Any) -> None:
    model = build()
    state = np.random.RandomState(9)
    state.randn(*model.latent_shape)
    expected = [state.randn(1, *shape) for shape in model.noise_shapes]
    found = model.noise([2, 9], "random")
    assert len(found) == len(expected) > 0
    for maps, own in zip(found, expected, strict=True):
        assert torch.equal(maps[1], torch.from_numpy(own).float())


@pytest.mark.parametrize("build", [styled, stored])
def test_without_noise_the_maps_are_zeros(build: Any) -> None:
    model = build()
    maps = model.noise([3, 4], "none")
    assert [tuple(m.shape) for m in maps] == [(2, 1, *shape) for shape in model.noise_shapes]
    assert not any(m.any() for m in maps)


def test_constant_noise_is_the_files_own_where_it_has_any() -> None:
    model = stored()
    network: Any = model.network
    z = model.latents([1, 2])
    maps = [m.expand(2, -1, -1, -1) for m in network.noises.buffers()]
    assert torch.equal(model.render(z, noise=model.noise([1, 2], "constant")), model.render(z, noise=maps))


def test_constant_noise_is_one_draw_where_the_file_has_none() -> None:
    model = styled()
    for one, first in zip(model.noise([1, 2], "constant"), model.noise([0], "random"), strict=True):
        assert torch.equal(one, first.expand_as(one))


# Pictures


@pytest.mark.parametrize(("build", "usual"), [(styled, "random"), (stored, "constant")])
def test_unsaid_it_is_as_it_always_was(build: Any, usual: NoiseKind) -> None:
    model = build()
    before = model.render(model.latents([4, 5]), noise=model.noise([4, 5]))
    for noise in (None, usual):
        after = np.stack(drawn(model, [4, 5], noise)) / 255
        assert np.abs(after - before.permute(0, 2, 3, 1).numpy()).max() <= 0.51 / 255
    assert "noise" not in next(sample(model, SampleRequest(seeds=[4]))).record["request"]


@pytest.mark.parametrize("build", [styled, stored])
def test_the_kinds_differ(build: Any) -> None:
    model = build()
    first, second, third = (drawn(model, [4], kind)[0] for kind in KINDS)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, third)
    assert not np.array_equal(second, third)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("build", [styled, stored])
def test_pictures_and_grids_are_made_again(build: Any, kind: NoiseKind) -> None:
    model, request = build(), SampleRequest(seeds=[4, 7, 9], psi=0.7, noise=kind)
    pictures = list(sample(model, request))
    for picture in (*pictures, grid_of(model, request, pictures)):
        assert picture.record["request"]["noise"] == kind
        remade: Any = redo(model, picture.record)
        assert remade.record == picture.record
        np.testing.assert_array_equal(np.asarray(remade.image), np.asarray(picture.image))


def test_pictures_of_several_kinds_are_drawn_in_one_go() -> None:
    model = styled()
    requests = [SampleRequest(seeds=[s], noise=kind) for kind in (*KINDS, None) for s in (1, 2)]
    alone = [shown(sample(model, request))[0] for request in requests]
    assert all_equal(shown(sample_each(model, requests)), alone)


def test_variations_keep_it() -> None:
    model = styled()
    requests = neighbours(SampleRequest(seeds=[4], noise="none"), 3, 0.2)
    assert {request.noise for request in requests} == {"none"}
    still = imgsynth.variations(model, 4, count=3, amount=0.2, noise="none")
    assert all_equal(shown(sample_each(model, requests)), shown(still))
    assert not all_equal(shown(imgsynth.variations(model, 4, count=3, amount=0.2)), shown(still))


@pytest.mark.parametrize("build", [styled, stored])
def test_a_walk_goes_without_noise_and_comes_again(build: Any) -> None:
    model = build()
    request = InterpolateRequest(keyframes=[1, 2], frames=3, noise="none")
    frames = shown(interpolate(model, request))
    expected = model.render(model.latents([1]), noise=model.noise([1], "none"))[0].permute(1, 2, 0).numpy()
    assert np.abs(frames[0] / 255 - expected).max() <= 0.51 / 255
    record = walk_record(model, request)
    assert record["request"]["noise"] == "none"
    remade: Any = redo(model, record)
    assert all_equal(shown(remade.frames), frames)
    plain = InterpolateRequest(keyframes=[1, 2], frames=3)
    assert "noise" not in walk_record(model, plain)["request"]
    still = InterpolateRequest(keyframes=[1, 2], frames=3, noise="constant")
    assert all_equal(shown(interpolate(model, still)), shown(interpolate(model, plain)))
    assert not all_equal(shown(interpolate(model, plain)), frames)


# What cannot be done


def test_a_model_without_noise_inputs_says_so() -> None:
    with pytest.raises(BadRequest, match=r"^classed takes no noise; leave the noise out\.$"):
        imgsynth.sample(classed(), [1], noise="none")


def test_another_kind_is_refused_in_a_sentence() -> None:
    with pytest.raises(BadRequest, match=r"^noise should be 'random', 'constant' or 'none', not 'loud'\.$"):
        make_request(SampleRequest, seeds=[1], noise="loud")


# The command line and the page


def test_the_command_line_switches_it_off(run: Run, tmp_path: Path) -> None:
    weights = save(styled().network.state_dict(), tmp_path / "styled.safetensors")
    words = ["sample", "--checkpoint", weights, "--seeds", "7", "--out", tmp_path]
    assert run(*words, "--noise", "none").code == 0
    assert read_record(tmp_path / "seed00000007.png")["request"] == {"seed": 7, "psi": 1.0, "noise": "none"}
    assert_refused(run(*words, "--noise", "loud"), "noise should be")


@pytest.mark.parametrize("build", [styled, stored])
def test_the_page_offers_every_kind_once_with_the_usual_one_first(build: Any) -> None:
    model = build()
    choice = fitting_noise(model, USUAL)
    assert choice.visible
    assert next(label for label, _ in choice.choices) == LABELS[model.usual_noise]
    assert sorted(label for label, _ in choice.choices) == sorted(LABELS.values())
    asked = {chosen_noise(model, value) for _, value in choice.choices}
    assert asked == {None, "none", ({"random", "constant"} - {model.usual_noise}).pop()}
    assert fitting_noise(model, "none").value == "none"
    assert fitting_noise(model, model.usual_noise).value == USUAL


def test_the_page_asks_models_without_noise_inputs_for_none(models: dict[str, Any]) -> None:
    for model in (classed(), models["lama"]):
        assert not fitting_noise(model, "none").visible
        assert chosen_noise(model, "none") is None
