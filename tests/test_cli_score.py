"""`score`: one document or one table, and one plain sentence where nothing can be measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import save, tiny_dcgan
from cli_runs import Run, assert_refused
from imgsynth.checkpoints import catalog
from imgsynth.metrics import classifier
from real_pictures import write_scenes

pytestmark = pytest.mark.usefixtures("tiny_catalog")

QUICK = ("--count", "8", "--draws", "2", "--size", "32", "--photo-size", "40", "--holdout", "0.5")
KEYS = "checkpoint family architecture data data_b settings figures not_measured notes seconds"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the optional packages are not installed, whatever is here; else they would download."""
    for name in ("torch_fidelity", "torch_fidelity.feature_extractor_inceptionv3", "lpips"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("photos") / "photos", 40)


def test_json_is_one_document(run: Run, photos: Path) -> None:
    ran = run("score", "tiny-gan", "--data", photos, *QUICK, "--json")
    document = json.loads(ran.out)
    assert ran.code == 0 and list(document) == KEYS.split()
    assert document["checkpoint"]["id"] == "tiny-gan" and document["family"] == "generator"
    assert document["figures"]["swd"]["floor"]["n"] == document["settings"]["draws"] == 2
    assert document["data"] == [{"name": "photos", "pictures": 20, "of": 40}]
    assert str(photos.parent) not in ran.out


def columns_of(line: str) -> list[str]:
    return [part.strip() for part in line.split("  ") if part.strip()]


def test_text_is_a_table_and_says_what_is_missing(run: Run, photos: Path) -> None:
    ran = run("score", "tiny-gan", "--data", photos, *QUICK, "--draws", "1")
    lines = ran.out.splitlines()
    assert ran.code == 0 and "20 of 40 in photos: held back from training." in lines[0]
    assert columns_of(lines[2]) == ["figure", "value", "95 % interval", "real", "× real", "others"]
    assert columns_of(lines[3])[0] == "swd" and columns_of(lines[3])[2] == "–"
    assert len({line.index("–") for line in lines[3:6]}) == 1
    missing = [line for line in lines if line.startswith("Not measured:")]
    assert len(missing) == 1 and "kid, fid" in missing[0] and "pip install torch-fidelity" in missing[0]


def test_all_is_said(run: Run, photos: Path) -> None:
    ran = run("score", "tiny-gan", "--data", photos, *QUICK, "--all", "--count", "30")
    assert "40 of 40 in photos: every picture" in ran.out
    assert "There are pictures for sets of 20, not of 30." in ran.out


def test_several_sources_are_split_each_by_itself(run: Run, photos: Path, tmp_path: Path) -> None:
    more = write_scenes(tmp_path / "more", 20, seed=2)
    ran = run("score", "tiny-gan", "--data", photos, "--data", more, *QUICK, "--json")
    assert [source["pictures"] for source in json.loads(ran.out)["data"]] == [20, 10]


@pytest.mark.parametrize("what", ["tiny-vae", "tiny-lama", "tiny-cyclegan"])
def test_every_family_has_figures(run: Run, photos: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "STEPS", 10)  # what it learns is looked at elsewhere
    words = ("--data-b", photos, "--back", what) if what == "tiny-cyclegan" else ()
    ran = run("score", what, "--data", photos, *words, *QUICK, "--draws", "1", "--json")
    assert ran.code == 0 and len(json.loads(ran.out)["figures"]) > 5


def pair(ids: Iterable[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the catalog know checkpoints as the way back of others."""
    import dataclasses

    rows = dict(catalog.load_catalog())
    rows |= {name: dataclasses.replace(rows[name], pair=back) for name, back in ids}
    monkeypatch.setattr(catalog, "_shipped_catalog", lambda: rows)


def test_the_catalog_knows_the_way_back(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair([("tiny-cyclegan", "tiny-cyclegan")], monkeypatch)
    document = json.loads(run("score", "tiny-cyclegan", "--data", photos, *QUICK, "--json").out)
    assert document["settings"]["back"] == "tiny-cyclegan" and "cycle_psnr" in document["figures"]


def test_a_way_back_that_cannot_be_had_is_left_out(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair([("tiny-cyclegan", "gone-missing")], monkeypatch)
    ran = run("score", "tiny-cyclegan", "--data", photos, *QUICK, "--json")
    assert ran.code == 0 and "no way back" in ran.err
    assert "cycle_psnr" in json.loads(ran.out)["not_measured"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("tiny-gan --data gone", "gone"),
        ("tiny-gan --data empty", "holds no images"),
        ("tiny-gan --data few", "--all"),
        ("tiny-gan --data few --all", "6 for each of two"),
        ("tiny-gan --data two --all", "more images"),
        ("tiny-gan --data words --holdout 0.9", "0003.png"),
        ("tiny-gan --data photos --count 3", "count"),
        ("tiny-gan --data photos --count many", "many"),
        ("tiny-gan --data photos --draws 0", "draws"),
        ("tiny-gan --data photos --size 8", "size"),
        ("tiny-gan --data photos --holdout 0", "holdout"),
        ("tiny-gan --data photos --psi 3", "psi"),
        ("tiny-gan --data photos --label 1 --holdout 0.5", "classes"),
        ("tiny-gan --data photos --data-b photos --holdout 0.5", "--data-b"),
        ("tiny-gan --data photos --back tiny-cyclegan --holdout 0.5", "--back"),
        ("tiny-cyclegan --data photos --back tiny-lama --holdout 0.5", "tiny-lama"),
        ("tiny-lama --data photos --psi 0.5 --holdout 0.5", "--psi"),
        ("no-such-thing --data photos --holdout 0.5", "no-such-thing"),
        ("./nan.safetensors --data photos --holdout 0.5", "no numbers"),
        ("./five.safetensors --data photos --holdout 0.5", "5 channels"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(run: Run, words: str, told: str) -> None:
    here = Path.cwd()
    write_scenes(here / "photos", 20, side=40)
    write_scenes(here / "few", 12, side=40)
    write_scenes(here / "two", 2, side=40)
    (here / "empty").mkdir()
    write_scenes(here / "words", 20, side=40)
    (here / "words" / "0003.png").write_text("these are words")
    broken = {name: np.nan * tensor for name, tensor in tiny_dcgan().state_dict().items()}
    save(broken, here / "nan.safetensors")
    save(tiny_dcgan(channels=5).state_dict(), here / "five.safetensors")
    assert_refused(run("score", *words.split()), told)


def test_a_missing_argument_is_misuse(run: Run) -> None:
    assert run("score", "tiny-gan").code == 2 and run("score", "--data", "photos").code == 2


def test_pictures_of_any_kind_are_read(run: Run, tmp_path: Path) -> None:
    folder = write_scenes(tmp_path, 20, side=40)
    with Image.open(folder / "0019.png") as image:
        image.convert("L").resize((90, 40)).save(folder / "0019.png")
    with Image.open(folder / "0018.png") as image:
        image.convert("RGBA").save(folder / "0018.png")
    assert run("score", "tiny-lama", "--data", folder, *QUICK).code == 0


def test_figures_go_into_a_card_once_for_each_settings(run: Run, photos: Path, tmp_path: Path) -> None:
    card = tmp_path / "tiny-gan.md"
    card.write_text("# tiny-gan\n\nBy hand.\n")
    for seed in ("0", "0", "1"):
        assert run("score", "tiny-gan", "--data", photos, *QUICK, "--seed", seed, "--card", card).code == 0
    text = card.read_text()
    assert text.startswith("# tiny-gan\n\nBy hand.\n")
    assert text.count("| figure | value |") == text.count("\n| swd |") == 2
    assert "photos, 8 pictures a time, 2 times" in text


def test_a_card_that_is_not_there_is_told(run: Run, photos: Path, tmp_path: Path) -> None:
    ran = run("score", "tiny-gan", "--data", photos, *QUICK, "--card", tmp_path / "none.md")
    assert_refused(ran, "There is no card none.md; give --card the .md file beside the checkpoint.")
