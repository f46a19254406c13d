"""Variations: as near as asked, the same every time, and as plausible as what they vary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import imgsynth
from builders import all_equal, drawn, model_of, tiny_dcgan
from cli_runs import Run, assert_refused
from imgsynth.errors import BadRequest
from imgsynth.families import LatentModel
from imgsynth.imaging.record import read_record
from imgsynth.tasks.latents import Latent
from imgsynth.tasks.pictures import to_images
from imgsynth.tasks.requests import SampleRequest, make_request
from imgsynth.tasks.sample import latent_of, sample, sample_each
from imgsynth.tasks.variations import neighbours, variation_seeds, varied
from latent_models import classed, shown, styled


def request(seeds: list[int], amount: float, towards: int = 9, **options: Any) -> SampleRequest:
    return SampleRequest(seeds=seeds, variation_seed=towards, variation_amount=amount, **options)


def test_amount_0_is_the_picture_itself_and_its_record_too(drawer: LatentModel) -> None:
    plain, varied_by_0 = (list(sample(drawer, r)) for r in (SampleRequest(seeds=[4]), request([4], 0)))
    assert all_equal(shown(plain), shown(varied_by_0))
    assert plain[0].record == varied_by_0[0].record
    assert plain[0].name == varied_by_0[0].name


def test_amount_1_is_the_latent_of_the_variation_seed(drawer: LatentModel) -> None:
    found = latent_of(drawer, request([4], 1))
    assert torch.allclose(found.values, drawer.latents([9])[0], atol=1e-6)


def test_more_is_further_away(drawer: LatentModel) -> None:
    start = drawer.latents([4])[0]
    distances = [(latent_of(drawer, request([4], a)).values - start).norm().item() for a in (0.1, 0.3, 0.9)]
    assert 0 < distances[0] < distances[1] < distances[2]


@pytest.mark.parametrize("amount", [0.25, 0.5, 0.75])
def test_variations_are_as_long_as_gaussian_latents(amount: float) -> None:
    """Half way along a straight line they would have 0.71 of it."""
    model = model_of(tiny_dcgan(latent_dim=512))
    assert isinstance(model, LatentModel)
    length = latent_of(model, request([4], amount)).values.norm().item()
    assert length == pytest.approx(512**0.5, rel=0.1)


def test_in_w_variations_go_straight() -> None:
    model = styled()
    here, there = (Latent("w", w) for w in model.styles(model.latents([4, 9])))
    half = varied(model, here, 9, 0.5)
    assert half.space == "w"
    assert torch.allclose(half.values, (here.values + there.values) / 2, atol=1e-6)


def test_variations_are_the_same_in_any_company(drawer: LatentModel) -> None:
    seeds = list(range(11))
    together = shown(sample(drawer, request(seeds, 0.4)))
    assert all_equal([shown(sample(drawer, request([s], 0.4)))[0] for s in seeds], together)
    assert not np.array_equal(together[3], drawn(drawer, [3])[0])


def test_a_variation_keeps_the_noise_and_the_class_of_its_seed() -> None:
    for model in (styled(), classed()):
        asked = request([5], 0.5)
        z = latent_of(model, asked).values[None]
        labels = [5 % model.classes] if model.classes else None
        expected = to_images(model.render(z, noise=model.noise([5]), labels=labels))
        assert all_equal(shown(sample(model, asked)), shown(expected))


def test_records_and_names_tell_the_variation(models: dict[str, Any]) -> None:
    first, _ = sample(models["dcgan"], request([7, 8], 0.25, psi=0.5))
    assert first.record["request"] == {
        "seed": 7,
        "psi": 0.5,
        "variation_seed": 9,
        "variation_amount": 0.25,
    }
    assert first.name == "seed00000007-variation00000009"


# Neighbours


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_fewer_variation_seeds_are_the_first_of_more(seed: int, count: int) -> None:
    seeds = variation_seeds(seed, 40)
    assert variation_seeds(seed, count) == seeds[:count]
    assert len(set(seeds)) == 40 and all(0 <= s < 2**32 for s in seeds)


def test_seeds_have_variations_of_their_own() -> None:
    assert not set(variation_seeds(1, 100)) & set(variation_seeds(2, 100))


def test_neighbours_keep_all_else_of_their_picture() -> None:
    start = SampleRequest(seeds=[7], psi=0.6, label=2, directions={"component 1": 1.5})
    requests = neighbours(start, 3, 0.2)
    assert [r.variation_seed for r in requests] == variation_seeds(7, 3)
    for r in requests:
        assert (r.seeds, r.psi, r.label, r.directions) == ([7], 0.6, 2, {"component 1": 1.5})
        assert r.variation_amount == 0.2
    assert neighbours(7, 3, 0.2)[1] == request([7], 0.2, towards=variation_seeds(7, 2)[1])


def test_neighbours_are_drawn_together_as_alone(drawer: LatentModel) -> None:
    requests = neighbours(7, 10, 0.3)
    together = shown(sample_each(drawer, requests))
    assert all_equal([shown(sample(drawer, r))[0] for r in requests], together)
    assert len({image.tobytes() for image in together}) == 10
    assert all_equal(shown(imgsynth.variations(drawer, 7, 10, amount=0.3)), together)


def test_latents_have_neighbours_too(drawer: LatentModel) -> None:
    latent = Latent("z", drawer.latents([3])[0])
    pictures = imgsynth.variations(drawer, latent, 3, amount=0.3)
    again = imgsynth.sample(
        drawer, latent=latent.text, variation_seed=variation_seeds(0, 2)[1], variation_amount=0.3
    )
    assert all_equal(shown(pictures)[1:2], shown(again))


@pytest.mark.parametrize(
    ("start", "count", "amount", "about"),
    [
        (7, 0, 0.5, "from 1 to 256, not 0"),
        (7, 257, 0.5, "from 1 to 256"),
        (7, 3, 1.5, "variation_amount should be less than or equal to 1"),
        (-1, 3, 0.5, "seeds"),
        (SampleRequest(seeds=[1, 2]), 3, 0.5, "one picture at a time"),
        (request([1], 0.5), 3, 0.5, "is a variation itself"),
    ],
)
def test_neighbours_that_cannot_be(start: Any, count: int, amount: float, about: str) -> None:
    with pytest.raises(BadRequest, match=about):
        neighbours(start, count, amount)


# Requests


@pytest.mark.parametrize(
    ("values", "about"),
    [
        ({"seeds": [1], "variation_amount": 0.5}, "should name a variation_seed"),
        ({"seeds": [1], "variation_amount": -0.1, "variation_seed": 2}, "variation_amount should"),
        ({"seeds": [1], "variation_seed": -1}, "variation_seed should"),
        ({"seeds": [1], "latent": "latent:z:AAAA"}, "either seeds or a latent"),
        ({"latent": "latent:x:AAAA"}, "latent should be a latent as text"),
        ({"latent": "seed 7"}, "latent should be .*, not 'seed 7'"),
    ],
)
def test_wrong_starts_are_refused_in_a_sentence(values: dict[str, Any], about: str) -> None:
    with pytest.raises(BadRequest, match=about) as caught:
        make_request(SampleRequest, **values)
    assert str(caught.value).endswith(".")


@pytest.mark.usefixtures("tiny_catalog")
def test_the_command_line_draws_variations(run: Run, tmp_path: Path) -> None:
    words = ["sample", "--checkpoint", "tiny-gan", "--seeds", "7", "--out", tmp_path]
    ran = run(*words, "--variation-seed", "9", "--variation-amount", "0.25")
    file = tmp_path / "seed00000007-variation00000009.png"
    assert (ran.code, ran.out) == (0, f"{file}\n")
    assert read_record(file)["request"]["variation_amount"] == 0.25
    assert_refused(run(*words, "--variation-amount", "0.25"), "variation_seed")
    assert_refused(run(*words, "--variation-seed", "9", "--variation-amount", "lots"), "variation_amount")
