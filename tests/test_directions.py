"""Directions: the principal components that they claim to be, the same every time, in standard deviations."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import imgsynth
from builders import all_equal, drawn, model_of, tiny_dcgan, tiny_vae
from cli_runs import Run, assert_refused
from imgsynth.errors import BadRequest, ChecksumMismatch, TaskNotOffered
from imgsynth.families import LatentModel
from imgsynth.imaging.record import read_record
from imgsynth.tasks import directions as module
from imgsynth.tasks.components import MOST_COMPONENTS, Components
from imgsynth.tasks.directions import Directions, directions_of
from imgsynth.tasks.redo import redo
from imgsynth.tasks.requests import SampleRequest, make_request
from imgsynth.tasks.sample import latent_of, sample
from latent_models import classed, shown, styled


def moved(seeds: list[int], amounts: dict[str, float], **options: Any) -> SampleRequest:
    return SampleRequest(seeds=seeds, directions=amounts, **options)


def assert_spans_as(found: Directions, layer: np.ndarray) -> None:
    """The directions are the right singular vectors of a linear first layer, outer×inner, up to sign."""
    expected = np.linalg.svd(layer)[2]
    assert len(found.names) == len(expected)
    overlaps = np.abs((found.vectors.numpy() * expected).sum(1))
    assert overlaps == pytest.approx(1, abs=1e-3)
    assert found.deviations.numpy() == pytest.approx(1, abs=1e-3)


# What they are


def test_in_z_they_are_the_singular_vectors_of_a_linear_first_layer() -> None:
    network = tiny_dcgan()
    weight = network.state_dict()["main.0.weight"]
    assert_spans_as(directions_of(model_of(network)), weight.flatten(1).T.numpy())


def test_those_of_an_autoencoder_are_its_decoders() -> None:
    network = tiny_vae()
    assert_spans_as(directions_of(model_of(network)), network.state_dict()["fc.weight"].numpy())


def test_layers_that_see_no_latent_are_passed_over() -> None:
    model = classed()
    layer = model.network.state_dict()["MainLayers.0.Layers.0.LinearLayer.weight"]
    assert_spans_as(directions_of(model), layer[:, :5].numpy())


def test_in_w_they_have_the_variance_that_they_claim() -> None:
    model = styled()
    found = directions_of(model)
    assert found.space == "w"
    assert torch.allclose(found.vectors @ found.vectors.T, torch.eye(len(found.names)).double(), atol=1e-6)
    w = model.styles(torch.randn(4000, 5, generator=torch.Generator().manual_seed(1))).double()
    assert (w @ found.vectors.T).std(0).numpy() == pytest.approx(found.deviations.numpy(), rel=0.1)
    assert found.deviations.tolist() == sorted(found.deviations.tolist(), reverse=True)


def test_no_variance_is_no_deviation_however_it_is_rounded() -> None:
    found = Components(torch.eye(2).double(), torch.tensor([[4.0, 0.0], [0.0, -1e-18]]).double())
    along, across = torch.eye(2).double()
    assert (found.deviation(along), found.deviation(across)) == (2.0, 0.0)


def test_there_are_no_more_than_a_person_can_look_through() -> None:
    found = directions_of(model_of(tiny_dcgan(latent_dim=50)))
    assert len(found.names) == MOST_COMPONENTS
    assert found.names[:2] == ("component 1", "component 2")


@pytest.mark.parametrize("build", [lambda: model_of(tiny_dcgan()), lambda: model_of(tiny_vae()), styled])
def test_they_are_the_same_for_the_same_weights(build: Any) -> None:
    first, second = directions_of(build()), directions_of(build())
    assert first is not second
    assert torch.equal(first.vectors, second.vectors)
    assert torch.equal(first.deviations, second.deviations)
    largest = first.vectors.gather(1, first.vectors.abs().argmax(1, keepdim=True))
    assert (largest > 0).all()


def test_they_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(tiny_dcgan())
    found = imgsynth.directions(model)
    monkeypatch.setattr(module, "in_z", None)
    assert imgsynth.directions(model) is found


def test_looking_for_them_leaves_the_network_as_it_was() -> None:
    model = model_of(tiny_dcgan())
    before = drawn(model, [1, 2])
    directions_of(model)
    assert not any(m._forward_hooks for m in model.network.modules())
    assert all_equal(drawn(model, [1, 2]), before)


@pytest.mark.parametrize("name", ["cyclegan_resnet", "lama"])
def test_models_without_latents_have_none(models: dict[str, Any], name: str) -> None:
    with pytest.raises(TaskNotOffered):
        directions_of(models[name])


def test_latents_that_would_take_minutes_are_refused() -> None:
    with pytest.raises(TaskNotOffered, match="more than 2048 numbers"):
        directions_of(model_of(tiny_dcgan(latent_dim=2049)))


# Sampling along them


def test_an_amount_is_that_many_standard_deviations(drawer: LatentModel) -> None:
    found = directions_of(drawer)
    latent = latent_of(drawer, moved([4], {"component 2": -1.5, "component 1": 2.0})).values
    expected = drawer.latents([4])[0].double()
    for index, amount in ((0, 2.0), (1, -1.5)):
        expected += amount * found.deviations[index] * found.vectors[index]
    assert torch.allclose(latent.double(), expected, atol=1e-6)


def test_behind_a_mapping_network_w_is_moved_and_noise_stays() -> None:
    model = styled()
    found = directions_of(model)
    latent = latent_of(model, moved([4], {"component 1": 2.0}))
    assert latent.space == "w"
    step = (latent.values - model.styles(model.latents([4]))[0]).double()
    assert torch.allclose(step, 2 * found.deviations[0] * found.vectors[0], atol=1e-5)
    plain = model.render(model.latents([4]), noise=model.noise([4]))
    from_w = model.render(model.styles(model.latents([4])), noise=model.noise([4]), space="w")
    assert torch.equal(plain, from_w)
    expected = model.render(latent.values[None], psi=0.5, noise=model.noise([4]), space="w")
    image = shown(sample(model, moved([4], {"component 1": 2.0}, psi=0.5)))[0]
    assert np.abs(image / 255 - expected[0].permute(1, 2, 0).numpy()).max() <= 0.51 / 255


@pytest.mark.parametrize("build", [lambda: model_of(tiny_dcgan()), styled, classed])
def test_moved_pictures_are_the_same_in_any_company(build: Any) -> None:
    model, seeds, amounts = build(), list(range(11)), {"component 1": 1.0, "component 3": -2.0}
    together = shown(sample(model, moved(seeds, amounts)))
    assert all_equal([shown(sample(model, moved([s], amounts)))[0] for s in seeds], together)
    backwards = dict(reversed(amounts.items()))
    assert all_equal(shown(sample(model, moved(seeds, backwards))), together)
    assert not np.array_equal(together[0], shown(sample(model, SampleRequest(seeds=[0])))[0])


def test_amounts_of_0_change_neither_picture_nor_record(drawer: LatentModel) -> None:
    plain, still = (
        next(sample(drawer, r)) for r in (SampleRequest(seeds=[4]), moved([4], {"component 1": 0}))
    )
    assert all_equal(shown([plain]), shown([still]))
    assert plain.record == still.record


def test_records_name_them(models: dict[str, Any]) -> None:
    picture = next(sample(models["dcgan"], moved([4], {"component 1": 1.5, "component 2": 0})))
    assert picture.record["request"] == {"seed": 4, "psi": 1.0, "directions": {"component 1": 1.5}}


def test_names_that_are_not_there_are_told(models: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=r"no direction 'smile'; it has component 1 to component 6\.$"):
        imgsynth.sample(models["dcgan"], [1], directions={"smile": 1})


@pytest.mark.parametrize(
    "amounts",
    [
        {"component 1": 10.1},
        {"component 1": -10.1},
        {"component 1": float("nan")},
        {"component 1": "far"},
        {"": 1.0},
        {"x" * 101: 1.0},
        {f"component {i}": 1.0 for i in range(65)},
        [1.0],
    ],
)
def test_wrong_amounts_are_refused_in_a_sentence(amounts: Any) -> None:
    with pytest.raises(BadRequest, match=r"^directions.*\.$"):
        make_request(SampleRequest, seeds=[1], directions=amounts)


@pytest.mark.usefixtures("tiny_catalog")
def test_the_command_line_goes_along_directions(run: Run, tmp_path: Path) -> None:
    words = ["sample", "--checkpoint", "tiny-gan", "--seeds", "7", "--out", tmp_path]
    ran = run(*words, "--direction", "component 1=1.5", "--direction", "component 2 = -2")
    assert ran.code == 0
    recorded = read_record(tmp_path / "seed00000007.png")["request"]["directions"]
    assert recorded == {"component 1": 1.5, "component 2": -2.0}
    assert_refused(run(*words, "--direction", "component 1"), "NAME=AMOUNT")
    assert_refused(run(*words, "--direction", "component 1=far"), "directions")
    assert_refused(run(*words, "--direction", "smile=1"), "no direction 'smile'")


# Shipped with a checkpoint


def attributed(**directions: list[float]) -> LatentModel:
    """The tiny VAE, whose latents have five numbers, with directions beside it."""
    model = model_of(tiny_vae())
    model.opened.directions = {name: torch.tensor(v).double() for name, v in directions.items()}
    assert isinstance(model, LatentModel)
    return model


SMILING, YOUNG = [0.0, 3.0, 0.0, 4.0, 0.0], [1.0, 1.0, 0.0, 0.0, 0.0]


def test_attributes_come_before_components() -> None:
    model = attributed(Smiling=SMILING, Young=YOUNG)
    assert imgsynth.directions(model).names[:3] == ("Smiling", "Young", "component 1")


def test_in_z_an_attribute_goes_as_far_as_a_standard_deviation_of_latents() -> None:
    model = attributed(Smiling=SMILING)
    step = latent_of(model, moved([4], {"Smiling": 2.0})).values - model.latents([4])[0]
    assert step.numpy() == pytest.approx(2 * np.array(SMILING) / 5, abs=1e-6)


def test_in_w_an_attribute_goes_as_far_as_a_standard_deviation_of_w() -> None:
    model = styled()
    vector = torch.tensor([1.0, -2.0, 0.0, 0.5, 0.0, 1.0]).double()
    model.opened.directions = {"Smiling": vector}
    unit = vector / vector.norm()
    step = (
        latent_of(model, moved([4], {"Smiling": 1.0})).values - model.styles(model.latents([4]))[0]
    ).double()
    w = model.styles(torch.randn(4000, 5, generator=torch.Generator().manual_seed(1))).double()
    assert (step @ unit).item() == pytest.approx((w @ unit).std().item(), rel=0.1)
    assert (step - (step @ unit) * unit).abs().max() < 1e-5


def test_attributes_of_another_length_are_left_aside() -> None:
    assert directions_of(attributed(Smiling=SMILING, Short=[1.0, 2.0])).names[:2] == (
        "Smiling",
        "component 1",
    )


def test_an_attribute_is_found_however_its_file_is_spelled() -> None:
    model = attributed(**{"Blond hair": SMILING})
    drawn_as = [shown(sample(model, moved([4], {name: 1.5})))[0] for name in ("Blond hair", "blond_hair")]
    assert all_equal(drawn_as[:1], drawn_as[1:])


def test_a_record_names_an_attribute_and_its_sum_and_makes_it_again() -> None:
    model = attributed(Smiling=SMILING, Young=YOUNG)
    picture = next(sample(model, moved([4], {"Smiling": 1.5, "component 2": -1.0, "latent 3": 0.5})))
    asked = picture.record["request"]
    sums = {"Smiling": hashlib.sha256(np.array(SMILING, "<f8").tobytes()).hexdigest()}
    assert (asked["directions"], asked["direction_sha256"]) == (
        {"Smiling": 1.5, "component 2": -1.0, "latent 3": 0.5},
        sums,
    )
    remade: Any = redo(attributed(Young=YOUNG, Smiling=SMILING), picture.record)
    assert all_equal(shown([remade]), shown([picture]))
    assert remade.record == picture.record


@pytest.mark.parametrize(
    ("beside", "reason"),
    [({"Smiling": YOUNG}, "Smiling is not the direction"), ({}, "Smiling, which is no longer beside")],
)
def test_a_record_is_held_to_its_attributes(beside: dict[str, list[float]], reason: str) -> None:
    record = next(sample(attributed(Smiling=SMILING), moved([4], {"Smiling": 1.5}))).record
    with pytest.raises(ChecksumMismatch, match=reason):
        redo(attributed(**beside), record)


def test_a_name_that_is_not_there_tells_the_attributes() -> None:
    with pytest.raises(BadRequest, match=r"'Hat'; it has Smiling, component 1 to component 5\.$"):
        imgsynth.sample(attributed(Smiling=SMILING), [1], directions={"Hat": 1})


# Single latents


def test_a_single_latent_is_one_number_of_z() -> None:
    model = model_of(tiny_vae())
    assert isinstance(model, LatentModel)
    step = latent_of(model, moved([4], {"latent 2": -1.5})).values - model.latents([4])[0]
    assert step.numpy() == pytest.approx([0, -1.5, 0, 0, 0], abs=1e-6)


def test_the_most_used_latents_come_first() -> None:
    network = tiny_vae()
    with torch.no_grad():
        for column, scale in enumerate((0.1, 3.0, 0.0, 1.0, 0.5)):
            weight = network.state_dict()["fc.weight"][:, column]
            weight *= scale / (weight.norm() + 1e-12)
    found = directions_of(model_of(network))
    assert found.latents == ("latent 2", "latent 4", "latent 5", "latent 1", "latent 3")


@pytest.mark.parametrize(("build", "name"), [(tiny_vae, "latent 6"), (tiny_vae, "latent 0")])
def test_latents_that_are_not_there_are_told(build: Any, name: str) -> None:
    with pytest.raises(BadRequest, match=f"no direction '{name}'"):
        imgsynth.sample(model_of(build()), [1], directions={name: 1})


def test_in_w_there_are_no_single_latents() -> None:
    assert directions_of(styled()).latents == ()
    with pytest.raises(BadRequest, match="no direction 'latent 1'"):
        imgsynth.sample(styled(), [1], directions={"latent 1": 1})
