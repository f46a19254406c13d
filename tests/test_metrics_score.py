"""What is measured of each family: on which pictures, beside what, and with what confidence."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from builders import model_of, tiny_dcgan, tiny_vae
from imgsynth.errors import BadImage, BadRequest, TaskNotOffered, TrainingFailed
from imgsynth.metrics import generator, inpainter
from imgsynth.metrics.classifier import takes_for_second, train_classifier
from imgsynth.metrics.holes import OWN
from imgsynth.metrics.intervals import interval, share_interval
from imgsynth.metrics.pool import Pool, open_pool, photo_square, squares, usable_count
from imgsynth.metrics.request import ScoreRequest
from imgsynth.metrics.score import Material, score
from imgsynth.training.data import list_entries, split
from real_pictures import scenes, write_scenes

QUICK: dict[str, Any] = {"count": 8, "draws": 2, "size": 32, "photo_size": 40, "holdout": 0.5}
SETS = ("swd", "swd_32", "swd_16", "precision", "recall")
INCEPTION = {"kid", "fid", "inception_score", "precision_inception", "recall_inception"}
FIGURE = "mean low high n over count better unit floor ratio against"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the optional packages are not installed, whatever is here; else they would download."""
    for name in ("torch_fidelity", "torch_fidelity.feature_extractor_inceptionv3", "lpips"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("photos") / "photos", 40)


@pytest.fixture(scope="session")
def paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paintings") / "paintings"
    return write_scenes(folder, 40, seed=1, tint=(1, 0.2, 0.2))


def request_of(**changes: Any) -> ScoreRequest:
    return ScoreRequest(**{**QUICK, **changes})


def pool_of(*paths: Path, **changes: Any) -> Pool:
    return open_pool(paths, request_of(**changes))


def test_interval_by_hand() -> None:
    found = interval([1, 2, 3])
    assert (found.mean, found.n) == (2, 3)
    assert (found.low, found.high) == (
        pytest.approx(2 - 4.303 / 3**0.5),
        pytest.approx(2 + 4.303 / 3**0.5),
    )
    assert interval([5]).low is None and interval([5]).mean == 5


def test_intervals_shrink_with_more_values_and_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.RandomState(0)
    widths = [np.ptp([(i := interval(rng.randn(n))).low, i.high]) for n in (5, 20, 80, 320)]
    assert widths == sorted(widths, reverse=True)
    for n in (3, 12, 40):
        found = [interval(rng.randn(n)) for _ in range(2000)]
        assert np.mean([i.low <= 0 <= i.high for i in found]) == pytest.approx(0.95, abs=0.02)


def test_interval_of_a_share() -> None:
    assert (share_interval(10, 10).high, share_interval(0, 10).low) == (pytest.approx(1), 0)
    found = share_interval(5, 10)  # Wilson's, from his formula
    assert (found.low, found.high) == (pytest.approx(0.2366, abs=1e-3), pytest.approx(0.7634, abs=1e-3))


def test_only_what_training_leaves_out_is_measured(photos: Path, paintings: Path) -> None:
    pool = pool_of(photos, paintings, holdout=0.25)
    names = [entry.name for entry in pool.measured]
    assert names == [f"{i:04d}.png" for i in range(30, 40)] * 2 and len(pool.others) == 60
    assert names[:10] == [entry.name for entry in split(list_entries(photos), 0.25)[1]]
    assert list(pool.sources) == [{"name": n, "pictures": 10, "of": 40} for n in ("photos", "paintings")]
    assert len(pool_of(photos, all=True).measured) == 40


def test_both_real_sets_are_held_back_while_they_last(photos: Path) -> None:
    pool, rng = pool_of(photos), torch.Generator().manual_seed(0)
    first, second = pool.draw_pair(rng, 10)
    assert len({id(e) for e in [*first, *second]} & {id(e) for e in pool.measured}) == 20
    first, second = pool.draw_pair(rng, 20)
    assert {id(e) for e in second} == {id(e) for e in pool.others}
    assert usable_count(pool, request_of(count=10)) == (10, [])
    count, notes = usable_count(pool, request_of(count=30))
    assert count == 20 and "20" in notes[0] and "training" in notes[1]


def test_with_all_pictures_the_second_set_takes_half(photos: Path) -> None:
    pool = pool_of(photos, all=True)
    assert usable_count(pool, request_of(count=30, all=True))[0] == 20
    first, second = pool.draw_pair(torch.Generator().manual_seed(0), 20)
    assert len({entry.name for entry in [*first, *second]}) == 40


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    few = write_scenes(tmp_path / "few", 9, side=16)
    with pytest.raises(BadRequest, match="No image is left"):
        pool_of(few, holdout=0.1)
    with pytest.raises(BadRequest, match=r"Only 4 images.*--all"):
        pool_of(few)
    with pytest.raises(BadRequest, match="4 for each of two"):
        usable_count(pool_of(few, all=True), request_of(all=True))
    with pytest.raises(TrainingFailed, match="nowhere"):
        pool_of(tmp_path / "nowhere")


def test_photos_are_never_enlarged_and_tiny_ones_refused(tmp_path: Path, photos: Path) -> None:
    entry = list_entries(photos)[0]
    assert photo_square(entry, 64).shape == (1, 3, 40, 40)
    assert photo_square(entry, 32).shape == (1, 3, 32, 32)
    assert torch.equal(photo_square(entry, 32)[0], squares([entry], 32)[0])
    with pytest.raises(BadImage, match="8 × 8"):
        photo_square(list_entries(write_scenes(tmp_path, 1, side=8))[0], 64)


def assert_document(document: dict[str, Any], names: set[str], missing: set[str]) -> None:
    """It has exactly these figures, each whole, and says exactly of these why they are missing."""
    keys = "checkpoint family architecture data data_b settings figures not_measured notes seconds"
    assert list(document) == keys.split()
    assert set(document["figures"]) == names and set(document["not_measured"]) == missing
    for figure in document["figures"].values():
        assert list(figure) == FIGURE.split()
        assert figure["low"] <= figure["mean"] <= figure["high"]
        for other in [figure["floor"], *figure["against"].values()]:
            assert other is None or list(other) == ["mean", "low", "high", "n"]
    for sentence in document["not_measured"].values():
        assert sentence.endswith(".")
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def measured(model: Any, pool: Pool, **changes: Any) -> dict[str, Any]:
    material = {k: changes.pop(k) for k in ("pool_b", "back") if k in changes}
    return score(model, Material(pool, **material), request_of(**changes))


def test_generators_are_measured_as_sets(models: dict[str, Any], photos: Path) -> None:
    document = measured(models["dcgan"], pool_of(photos))
    assert_document(document, set(SETS), INCEPTION)
    assert "torch-fidelity" in document["not_measured"]["fid"]
    swd = document["figures"]["swd"]
    assert (swd["n"], swd["over"], swd["count"], swd["better"]) == (2, "draws", 8, "lower")
    assert swd["ratio"] == swd["mean"] / swd["floor"]["mean"] > 1.5  # random weights draw nothing real
    assert document["figures"]["precision"]["ratio"] is None
    assert document["data"] == [{"name": "photos", "pictures": 20, "of": 40}]
    again = measured(models["dcgan"], pool_of(photos))
    assert again["figures"] == document["figures"]
    assert measured(models["dcgan"], pool_of(photos), seed=1)["figures"] != document["figures"]


def test_real_pictures_in_a_generators_place_are_as_good_as_the_floor(
    models: dict[str, Any], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw_real(_: object, seeds: list[int], side: int, *__: object) -> Tensor:
        return scenes(len(seeds), 40, seed=1000 + seeds[0])[..., 4:36, 4:36]

    monkeypatch.setattr(generator, "drawn", draw_real)
    figures = measured(models["dcgan"], pool_of(photos, all=True), count=20, draws=4, all=True)["figures"]
    assert figures["swd"]["ratio"] == pytest.approx(1, abs=0.4)
    assert figures["recall"]["mean"] == pytest.approx(figures["recall"]["floor"]["mean"], abs=0.25)


def test_nothing_is_compared_larger_than_it_is_drawn(models: dict[str, Any], photos: Path) -> None:
    document = measured(models["dcgan"], pool_of(photos), size=64)
    assert "swd_32" in document["figures"] and "swd_64" not in document["figures"]
    assert any("32 px" in note for note in document["notes"])
    small = model_of(tiny_dcgan(widths=[4]))
    with pytest.raises(BadRequest, match="8 px"):
        measured(small, pool_of(photos))


def test_what_draws_no_numbers_is_refused(photos: Path) -> None:
    broken = model_of(tiny_dcgan())
    next(broken.network.parameters()).fill_(float("nan"))
    with pytest.raises(TaskNotOffered, match="no numbers"):
        measured(broken, pool_of(photos))
    with pytest.raises(TaskNotOffered, match="5 channels"):
        measured(model_of(tiny_dcgan(channels=5)), pool_of(photos))


def test_autoencoders_are_measured_picture_by_picture_too(models: dict[str, Any], photos: Path) -> None:
    document = measured(models["conv_vae"], pool_of(photos))
    assert_document(document, {*SETS, "psnr", "ssim", "elbo"}, {*INCEPTION, "lpips"})
    psnr, elbo = document["figures"]["psnr"], document["figures"]["elbo"]
    assert (psnr["n"], psnr["over"], psnr["unit"]) == (8, "pictures", "dB") and psnr["floor"]["n"] == 8
    assert elbo["unit"] == "bits/dim" and elbo["mean"] > 0 and elbo["floor"] is None


def test_a_grey_vae_needs_bits_for_its_grey_values_only(photos: Path) -> None:
    document = measured(model_of(tiny_vae(channels=1)), pool_of(photos))
    assert 0 < document["figures"]["elbo"]["mean"] < 1000


def test_translators_are_measured_there_and_back(
    models: dict[str, Any], photos: Path, paintings: Path
) -> None:
    model = models["cyclegan_resnet"]
    document = measured(model, pool_of(photos), pool_b=pool_of(paintings), back=model)
    opinions = {"classifier_share", "classifier_accuracy"}
    assert_document(document, {*SETS, *opinions, "cycle_l1", "cycle_psnr"}, INCEPTION)
    figures = document["figures"]
    assert set(figures["swd"]["against"]) == {"untranslated"}
    assert figures["classifier_accuracy"]["mean"] > 0.9  # grey against red
    assert figures["classifier_share"]["against"]["untranslated"]["mean"] < 0.2
    assert figures["classifier_share"]["floor"]["mean"] > 0.8
    assert document["settings"]["back"] == "tiny" and document["data_b"][0]["name"] == "paintings"


def test_no_translation_is_scaled_up_to_be_compared(
    models: dict[str, Any], photos: Path, paintings: Path
) -> None:
    """At a size beyond that of the photos all is measured as at theirs, and a note says so."""
    model, target = models["cyclegan_resnet"], pool_of(paintings)
    larger, fitting = (
        measured(model, pool_of(photos), pool_b=target, size=size, photo_size=32) for size in (64, 32)
    )
    assert larger["figures"] == fitting["figures"]
    note = "Sets are compared at 32 px, for no larger photos are translated."
    assert note in larger["notes"] and note not in fitting["notes"]
    assert note not in measured(model, pool_of(photos), size=64, photo_size=32)["notes"]


def test_translators_without_target_or_way_back_say_so(models: dict[str, Any], photos: Path) -> None:
    model = models["cyclegan_resnet"]
    missing = {*SETS[:1], "precision", "recall", "classifier_share", "classifier_accuracy", "cycle_l1"}
    document = measured(model, pool_of(photos))
    assert_document(document, set(), {*missing, "cycle_psnr", *INCEPTION})
    assert "--data-b" in document["not_measured"]["swd"]
    assert "--back" in document["not_measured"]["cycle_psnr"]


def test_the_classifier_has_nothing_to_learn_from_where_all_is_measured(
    models: dict[str, Any], photos: Path, paintings: Path
) -> None:
    pools = {"pool_b": pool_of(paintings, all=True)}
    document = measured(models["cyclegan_resnet"], pool_of(photos, all=True), count=40, all=True, **pools)
    assert "not measured" in document["not_measured"]["classifier_share"]


def test_the_classifier_learns_the_same_each_time_and_only_what_there_is_to_learn() -> None:
    first, second, more = scenes(60, 24), scenes(60, 24, seed=1), scenes(100, 24, seed=2)
    networks = [train_classifier(first, second // 2, seed=3) for _ in range(2)]
    assert torch.equal(networks[0][0].weight, networks[1][0].weight)
    assert takes_for_second(networks[0], more) < 20 and takes_for_second(networks[0], more // 2) > 80


def test_inpainters_are_measured_by_hole_size(models: dict[str, Any], photos: Path) -> None:
    document = measured(models["lama"], pool_of(photos))
    sizes = ("hole_5_10", "hole_10_25", "hole_25_40")
    names = {f"{name}_{size}" for name in ("psnr", "ssim") for size in sizes}
    gains = {f"psnr_{size}_over_{way}" for size in sizes for way in ("telea", "navier_stokes")}
    done, missing = (set(), gains) if document["not_measured"] else (gains, set())
    own = {f"psnr_{size}_over_{way}" for size in sizes for way in ("mean_colour", "harmonic")}
    assert_document(document, names | done | own, missing)
    figures = document["figures"]
    gain = figures["psnr_hole_10_25_over_mean_colour"]
    ours = figures["psnr_hole_10_25"]
    assert gain["mean"] == pytest.approx(ours["mean"] - ours["against"]["mean_colour"]["mean"], abs=1e-6)
    assert gain["mean"] < 0  # random weights fill holes with anything


@pytest.mark.parametrize("size", inpainter.SIZES)
def test_holes_are_as_large_as_they_are_called(size: tuple[int, int]) -> None:
    holes = [inpainter.random_hole(60, size, seed) for seed in range(6)]
    assert all(size[0] / 100 <= hole.mean() <= size[1] / 100 for hole in holes)
    assert not np.array_equal(holes[0], holes[1])
    assert np.array_equal(holes[0], inpainter.random_hole(60, size, 0))


def test_nobody_sees_into_a_hole_and_nobody_changes_what_is_around(models: dict[str, Any]) -> None:
    photo = scenes(1, 40)[0].permute(1, 2, 0).numpy()
    hole = inpainter.random_hole(40, (10, 25), 1)
    other = np.where(hole[..., None], 255 - photo, photo)
    filled = inpainter.fill_by_all(models["lama"], photo, hole, OWN)
    blind = inpainter.fill_by_all(models["lama"], other, hole, OWN)
    for way, picture in filled.items():
        assert np.array_equal(picture, blind[way]) and np.array_equal(picture[~hole], photo[~hole])
    expected = np.rint(photo[~hole].mean(0))
    assert (filled["mean_colour"][hole] == expected).all()


def test_options_that_mean_nothing_are_refused(models: dict[str, Any], photos: Path, paintings: Path) -> None:
    pool, target = pool_of(photos), pool_of(paintings)
    for family, changes in (
        ("dcgan", {"pool_b": target}),
        ("lama", {"back": models["cyclegan_resnet"]}),
        ("cyclegan_resnet", {"back": models["dcgan"]}),
        ("lama", {"psi": 0.5}),
        ("cyclegan_resnet", {"label": 1}),
    ):
        with pytest.raises(BadRequest):
            measured(models[family], pool, **changes)
