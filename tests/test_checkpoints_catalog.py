"""The catalog: what ships is sound, and a wrong row is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgsynth.architectures.registry import architectures
from imgsynth.checkpoints.catalog import (
    Checkpoint,
    availability,
    available,
    bundled_path,
    load_catalog,
    parse_catalog,
)

COMMIT = "98ab7cface89a594b381f32fc7a9f2cae3f91ccc"
ROW = """
[[checkpoint]]
id = "small"
title = "Small"
tasks = ["sample"]
source = "bundled"
file = "small.safetensors"
"""


def test_bundled_rows_come_first_and_in_order() -> None:
    ids = list(load_catalog())
    assert ids[:4] == ["avatars-gan", "flowers-gan", "avatars-vae", "flowers-vae"]
    assert ids[4:8] == ["photo2monet", "monet2photo", "photo2impressionist", "impressionist2photo"]


def test_every_row_says_what_a_person_needs() -> None:
    for row in load_catalog().values():
        assert row.licence
        assert row.trained_on
        assert row.description.endswith(".")
        assert row.architecture in {a.name for a in architectures()}


def test_changing_the_returned_catalog_changes_nobody_elses() -> None:
    load_catalog().clear()
    assert load_catalog()


def test_pinned_row_has_revision_and_checksum() -> None:
    row = load_catalog()["big-lama"]
    assert row.revision == COMMIT
    assert row.sha256 is not None
    assert row.sha256.startswith("326ae1889b92")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ROW + ROW, "more than one row with the id 'small'"),
        (ROW.replace('"sample"', '"paint"'), r"Row 1 .*'small'.*tasks"),
        (ROW.replace("title", "titel"), r"Row 1 .*unknown field 'titel'"),
        (ROW.replace('title = "Small"', ""), r"Row 1 .*title"),
        (ROW + 'repo = "a/b"', "exactly the rows of the hub name a repo"),
        (ROW + 'sha256 = "abc"', "64 hex"),
        (ROW + 'pair = "large"', "'small' is paired with 'large'"),
        (ROW + ROW.replace('"small"', '"Small one"'), "Row 2"),
    ],
)
def test_wrong_rows_are_named(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_catalog(text)


def test_bundled_rows_without_a_file_are_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGSYNTH_WEIGHTS", str(tmp_path))
    (tmp_path / "avatars-gan.safetensors").touch()
    offered = available()
    assert "avatars-gan" in offered
    assert "flowers-gan" not in offered
    assert "big-lama" in offered
    assert "flowers-gan" in load_catalog()


def test_bundled_files_lie_beside_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMGSYNTH_WEIGHTS", raising=False)
    import imgsynth.errors

    root = Path(imgsynth.errors.__file__).resolve().parents[1]
    assert bundled_path(load_catalog()["avatars-gan"]) == root / "weights" / "avatars-gan.safetensors"


def test_availability_looks_into_the_cache_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = load_catalog()["big-lama"]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert availability(row) == "download"
    folder = tmp_path / "models--michaelgold--big-lama" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (folder / row.file).touch()
    assert availability(row) == "cached"


def test_availability_of_files_here(tmp_path: Path) -> None:
    assert availability(load_catalog()["avatars-gan"]) == "bundled"
    assert availability(Checkpoint("x", "x", (), "file", "x.pt", path=tmp_path / "x.pt")) == "cached"
    assert availability(Checkpoint("a/b", "b", (), "hub", "", "a/b")) == "download"


def test_a_path_is_never_in_the_repr(tmp_path: Path) -> None:
    assert str(tmp_path) not in repr(Checkpoint("x", "x", (), "file", "x.pt", path=tmp_path / "x.pt"))
