"""Photos found in a model: how near, the same every time, and of use wherever a seed is."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import imgsynth
from builders import all_equal, drawn, model_of, photo, tiny_dcgan
from imgsynth.architectures.stylegan2 import StyleGAN2Generator
from imgsynth.errors import BadImage, BadRequest, TaskNotOffered
from imgsynth.families import Identity, LatentModel, wrap
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.metrics.fidelity import LEAST_ERROR
from imgsynth.tasks.interpolate import frame, interpolate, walk_latents, walk_record
from imgsynth.tasks.inversion import Found, invert, laplacian_norm, run_inversion
from imgsynth.tasks.latents import Latent, read_latent
from imgsynth.tasks.pictures import Picture, to_batch, to_images
from imgsynth.tasks.redo import Inputs, Walk, redo
from imgsynth.tasks.requests import (
    InterpolateRequest,
    InvertRequest,
    PathKind,
    SampleRequest,
    make_request,
    parse_keyframes,
)
from imgsynth.tasks.sample import latent_of, sample
from latent_models import classed, shown, styled


def own_sample(model: LatentModel, seed: int = 3, **options: Any) -> Photo:
    return read_photo(next(sample(model, SampleRequest(seeds=[seed], **options))).image)


def searched(model: LatentModel, wanted: Photo, steps: int = 60, **options: Any) -> Found:
    return run_inversion(model, InvertRequest(steps=steps, **options), wanted)


def styled2() -> LatentModel:
    """16 px from w of 6 numbers, as a StyleGAN2 starts its training."""
    torch.manual_seed(0)
    model = model_of(StyleGAN2Generator(size=16, style_dim=6, n_mlp=3, widths=[8, 6, 4]))
    assert isinstance(model, LatentModel)
    return model


@pytest.fixture(scope="module")
def found(models: dict[str, Any]) -> Found:
    return searched(models["dcgan"], own_sample(models["dcgan"]))


# The search


def test_a_generators_own_sample_is_found_again(models: dict[str, Any], found: Found) -> None:
    assert found.psnr > 30
    error = np.asarray(found.picture.image) / 255 - drawn(models["dcgan"], [3])[0] / 255
    exact = -10 * np.log10(max((error**2).mean(), LEAST_ERROR))
    assert found.psnr == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("build", [styled, styled2])
def test_behind_a_mapping_network_the_search_goes_through_w(build: Any) -> None:
    model = build()
    far = latent_of(model, SampleRequest(seeds=[3], directions={"component 1": 4.0}))
    wanted = read_photo(to_images(model.render(far.values[None], space="w"))[0])
    progress = list(invert(model, InvertRequest(steps=60), wanted))
    assert {p.latent.space for p in progress} == {"w"}
    assert progress[-1].psnr > progress[0].psnr + 3


def test_a_class_is_looked_in_where_asked() -> None:
    model = classed()
    wanted = own_sample(model, label=2)
    result = searched(model, wanted, label=2)
    assert result.psnr > searched(model, wanted, label=0).psnr
    assert result.picture.record["request"]["label"] == 2


def test_an_autoencoder_encodes_without_a_search(models: dict[str, Any]) -> None:
    model, wanted = models["conv_vae"], photo(40, 50)
    assert list(invert(model, InvertRequest(), wanted)) == []
    result = imgsynth.invert(model, wanted.image)
    assert torch.equal(result.latent.values, model.encode(to_batch(wanted))[0])


def test_the_same_search_finds_the_same(models: dict[str, Any], found: Found) -> None:
    again = searched(models["dcgan"], own_sample(models["dcgan"]))
    assert again.latent.text == found.latent.text
    other = searched(models["dcgan"], own_sample(models["dcgan"]), steps=5, seed=1)
    assert other.latent.text != found.latent.text


def test_progress_tells_the_best_so_far(models: dict[str, Any]) -> None:
    model = models["dcgan"]
    progress = list(invert(model, InvertRequest(steps=25), photo(50, 40)))
    assert [p.step for p in progress] == list(range(1, 26))
    losses = [p.loss for p in progress]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]
    assert [p.step for p in progress if p.preview] == [1, 11, 21, 25]
    for p in progress:
        if p.preview:
            expected = np.asarray(to_images(model.render(p.latent.values[None]))[0], np.int64)
            assert np.abs(np.asarray(p.preview) - expected).max() <= 1


def test_closing_stops_and_leaves_the_model_free(models: dict[str, Any]) -> None:
    model = models["dcgan"]
    before = drawn(model, [1])
    steps = invert(model, InvertRequest(steps=5000), photo(32, 32))
    last = list(itertools.islice(steps, 3))[-1]
    steps.close()
    assert list(steps) == []
    assert all_equal(drawn(model, [1]), before)
    assert imgsynth.sample(model, latent=last.latent)[0].size == (32, 32)


def test_the_middle_square_of_a_photo_is_looked_for(models: dict[str, Any]) -> None:
    square = own_sample(models["dcgan"])
    wide = np.zeros((32, 60, 3), np.uint8)
    wide[:, 14:46] = square.pixels
    result = searched(models["dcgan"], read_photo(Image.fromarray(wide)), steps=30)
    assert result.latent.text == searched(models["dcgan"], square, steps=30).latent.text


def test_a_grey_model_looks_for_a_grey_photo() -> None:
    model = model_of(tiny_dcgan(channels=1))
    wanted = photo(32, 32)
    grey = read_photo(wanted.image.convert("L"))
    one, two = (searched(model, p, steps=10) for p in (wanted, grey))
    assert one.psnr == pytest.approx(two.psnr, abs=0.2)


def test_reduced_precision_is_searched_exactly() -> None:
    exact = model_of(tiny_dcgan())
    rough = wrap(exact.opened, exact.identity, torch.device("cpu"), "bf16")
    wanted = own_sample(exact)
    found = (list(invert(m, InvertRequest(steps=5), wanted))[-1].latent.text for m in (exact, rough))
    assert len(set(found)) == 1


@pytest.mark.parametrize("name", ["cyclegan_resnet", "lama"])
def test_models_without_latents_find_nothing(models: dict[str, Any], name: str) -> None:
    with pytest.raises(TaskNotOffered):
        next(invert(models[name], InvertRequest(), photo(8, 8)))


def test_a_laplacian_pyramid_tells_equal_from_different() -> None:
    noise = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    assert torch.equal(laplacian_norm(torch.zeros(1, 3, 28, 28)), torch.zeros(1))
    assert torch.allclose(laplacian_norm(2 * noise), 2 * laplacian_norm(noise))
    flat = laplacian_norm(torch.ones(1, 3, 28, 28))
    assert flat.item() == pytest.approx(1)


@pytest.mark.parametrize("values", [{"steps": 0}, {"steps": 5001}, {"seed": -1}, {"label": -1}, {"psi": 1}])
def test_wrong_searches_are_refused_in_a_sentence(values: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=rf"^{next(iter(values))}.*\.$"):
        make_request(InvertRequest, **values)


def test_every_part_of_a_search_is_described() -> None:
    fields = {**InvertRequest.model_fields, **SampleRequest.model_fields}
    assert all(field.description for field in fields.values())


# The record


def test_the_record_holds_the_latent_and_names_the_photo(models: dict[str, Any], found: Found) -> None:
    wanted = own_sample(models["dcgan"])
    assert found.picture.record["request"] == {"latent": found.latent.text, "psi": 1.0}
    assert found.picture.record["input_sha256"] == [wanted.sha256]
    assert all_equal(shown(imgsynth.sample(models["dcgan"], latent=found.latent)), shown([found.picture]))


def test_it_is_made_again_with_and_without_its_photo(models: dict[str, Any], found: Found) -> None:
    record = json.loads(json.dumps(found.picture.record))
    for inputs in (Inputs(), Inputs([own_sample(models["dcgan"])])):
        again = redo(models["dcgan"], record, inputs)
        assert isinstance(again, Picture)
        assert all_equal(shown([again]), shown([found.picture]))
        assert again.record == found.picture.record
    with pytest.raises(BadImage, match="not the photo that was used"):
        redo(models["dcgan"], record, Inputs([photo(8, 8)]))


def test_what_was_found_can_be_edited_and_made_again() -> None:
    for model in (styled(), model_of(tiny_dcgan())):
        assert isinstance(model, LatentModel)
        latent = searched(model, photo(20, 20), steps=3).latent
        request = SampleRequest(
            latent=latent.text,
            psi=0.8,
            variation_seed=4,
            variation_amount=0.3,
            directions={"component 1": 2.0, "component 2": -1.0},
        )
        picture = next(sample(model, request, [photo(20, 20)]))
        assert not all_equal(shown([picture]), shown(imgsynth.sample(model, latent=latent, psi=0.8)))
        again = redo(model, json.loads(json.dumps(picture.record)))
        assert isinstance(again, Picture)
        assert all_equal(shown([again]), shown([picture]))
        assert again.record == picture.record


# Latents as text

numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(arrays(np.float32, 6, elements=numbers))
def test_every_bit_of_a_latent_is_kept(values: np.ndarray) -> None:
    model = model_of(tiny_dcgan())
    assert isinstance(model, LatentModel)
    latent = read_latent(model, Latent("z", torch.from_numpy(values)).text)
    assert latent.values.numpy().tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("text", "about"),
    [
        (Latent("z", torch.zeros(7)).text, "has 7 numbers and tiny takes 6"),
        (Latent("w", torch.zeros(6)).text, "has no latents of the kind w"),
        (Latent("z", torch.tensor([0, 1, 2, 3, 4, float("nan")])).text, "values that are no numbers"),
        (Latent("z", torch.full((6,), float("inf"))).text, "values that are no numbers"),
        ("latent:z:AAA=", "damaged"),
        ("latent:z:AAAAA", "damaged"),
    ],
)
def test_latents_that_are_not_this_models_are_refused(models: dict[str, Any], text: str, about: str) -> None:
    for attempt in (
        lambda: imgsynth.sample(models["dcgan"], latent=text),
        lambda: list(interpolate(models["dcgan"], InterpolateRequest(keyframes=[1, text], frames=2))),
    ):
        with pytest.raises(BadRequest, match=about):
            attempt()


# Latents as keyframes


@pytest.mark.parametrize("path", ["slerp", "lerp", "spline"])
def test_walks_pass_through_latents_and_seeds(path: PathKind) -> None:
    for model in (styled(), model_of(tiny_dcgan())):
        assert isinstance(model, LatentModel)
        latent = latent_of(model, SampleRequest(seeds=[3], directions={"component 1": 2.0}))
        frames = list(imgsynth.interpolate(model, [latent, 5, latent.text], 5, path=path))
        still = imgsynth.sample(model, latent=latent)[0]
        assert np.abs(np.asarray(frames[0], np.int64) - np.asarray(still)).max() <= 1
        assert all_equal(shown(frames[:1]), shown(frames[-1:]))
        seed = to_images(model.render(model.latents([5])))[0]
        assert np.abs(np.asarray(frames[2], np.int64) - np.asarray(seed)).max() <= 1
        assert not np.array_equal(np.asarray(frames[1]), np.asarray(frames[0]))


def test_walks_through_w_are_around_its_mean() -> None:
    """Half way between opposite sides, equally far from the mean, a great circle is no nearer to it."""
    model = styled()
    mean = model.centre("w")
    ends = [Latent("w", mean + 2 * torch.eye(6)[i]).text for i in (0, 1)]
    walk = walk_latents(model, InterpolateRequest(keyframes=ends, frames=5), [])
    assert (walk - mean).norm(dim=1).numpy() == pytest.approx(2, abs=1e-5)


def test_walks_through_latents_are_made_again(models: dict[str, Any]) -> None:
    model = models["conv_vae"]
    latent = Latent("z", model.encode(torch.rand(1, 3, 32, 32))[0])
    request = InterpolateRequest(keyframes=[latent.text, "photo", 4], frames=5, loop=True)
    photos = [photo(33, 44)]
    record = json.loads(json.dumps(walk_record(model, request, photos)))
    assert record["request"]["keyframes"] == [latent.text, "photo", 4]
    again = redo(model, record, Inputs(photos))
    assert isinstance(again, Walk)
    frames = list(again.frames)
    assert all_equal(frames, list(interpolate(model, request, photos)))
    assert all_equal([frame(model, request, 2, photos)], frames[2:3])


def test_keyframes_are_read_from_text() -> None:
    text = Latent("w", torch.randn(9)).text
    assert parse_keyframes(f"1, {text},photo,3-4") == ([1, text, "photo", 3, 4], ["photo"])


def test_a_latent_found_with_another_checkpoint_of_the_same_size_still_draws() -> None:
    """What a latent belongs to is the record's to say; the numbers fit."""
    one, two = (model_of(tiny_dcgan(seed)) for seed in (0, 1))
    two.identity = Identity("two", "file", "two.safetensors", None, "1" * 64)
    assert isinstance(one, LatentModel)
    text = Latent("z", one.latents([3])[0]).text
    assert all_equal(shown(imgsynth.sample(two, latent=text)), drawn(two, [3]))
