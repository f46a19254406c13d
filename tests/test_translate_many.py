"""Many photos in the Translate tab: the good ones are done, the bad ones named."""

from __future__ import annotations

import itertools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import pixels, png
from imgsynth.imaging.archive import SHEET
from imgsynth.imaging.read import read_photo
from imgsynth.tasks.requests import TranslateRequest
from imgsynth.tasks.translate import translate
from imgsynth.ui.batch_panel import make_paint_many
from imgsynth.ui.runs import begin, stop
from imgsynth.ui.session import Session
from test_batch import BAD
from translate_parts import value_of, values

pytest_plugins = ["translate_fixtures"]


@pytest.fixture
def mixed(tmp_path: Path) -> list[str]:
    """30 files: every third one is bad, in one of four ways, whatever its ending says."""
    files = []
    for index in range(30):
        kind = list(BAD)[index // 3 % len(BAD)] if index % 3 == 1 else "good"
        path = tmp_path / f"{kind}{index}.{'jpg' if kind == 'text' else 'png'}"
        path.write_bytes(png(pixels(16, 20 + index, seed=index)) if kind == "good" else BAD[kind][0]())
        files.append(str(path))
    return files


def test_the_good_ones_of_thirty_files_are_done_and_the_bad_ones_named(
    session: Session, mixed: list[str], bar: Any
) -> None:
    *steps, last = make_paint_many(session)("there", 0.5, mixed, begin(None), bar)
    assert len(steps) == 30
    line, shown, failed, _ = steps[-1]
    good = [Path(path) for path in mixed if Path(path).stem.startswith("good")]
    assert [caption for _, caption in shown] == [path.stem for path in good]
    for (path, _), given in zip(shown, good, strict=True):
        expected = translate(session.model("there"), TranslateRequest(strength=0.5), read_photo(given))
        assert np.array_equal(values(path), np.asarray(expected.image))
    told = failed.splitlines()
    bad = [Path(path) for path in mixed if not Path(path).stem.startswith("good")]
    assert len(told) == len(bad) == 10 and line.startswith("30 photos") and "10 could not" in line
    for sentence, path in zip(told, bad, strict=True):
        about = BAD[path.stem.rstrip("0123456789")][1]
        assert sentence.startswith(f"- {path.name} ") and about in sentence.replace("\\", "")
        assert str(path.parent) not in sentence
    with zipfile.ZipFile(value_of(last[-1])) as archive:
        assert archive.namelist() == [*(f"{path.stem}.png" for path in good), SHEET]
        assert archive.read(f"{good[0].stem}.png") == Path(shown[0][0]).read_bytes()
    assert bar.shown[-1].endswith("30/30")


def test_a_stopped_batch_keeps_what_is_done(session: Session, mixed: list[str], bar: Any) -> None:
    run = begin(None)
    steps = make_paint_many(session)("there", 1.0, mixed, run, bar)
    line, shown, _, _ = list(itertools.islice(steps, 4))[-1]
    stop(run)
    (last,) = steps
    assert line.startswith("4 of 30 photos") and len(shown) == 3
    assert last[0].startswith("Stopped after 4 of 30 photos")
    with zipfile.ZipFile(value_of(last[-1])) as archive:
        assert len(archive.namelist()) == 3 + 1


def test_a_batch_of_bad_files_alone_ends_without_a_zip(session: Session, mixed: list[str], bar: Any) -> None:
    bad = [path for path in mixed if "good" not in path]
    steps = list(make_paint_many(session)("there", 1.0, bad, begin(None), bar))
    assert len(steps) == len(bad) and steps[-1][1] == []


def test_a_photo_may_be_called_like_the_contact_sheet(session: Session, tmp_path: Path, bar: Any) -> None:
    path = tmp_path / "Contact-Sheet.png"
    path.write_bytes(png(pixels(20, 20)))
    *_, last = make_paint_many(session)("there", 1.0, [str(path)], begin(None), bar)
    with zipfile.ZipFile(value_of(last[-1])) as archive:
        assert archive.namelist() == [path.name]


def test_a_new_run_ends_the_earlier_one_of_its_button(session: Session, mixed: list[str], bar: Any) -> None:
    run = begin(None)
    steps = make_paint_many(session)("there", 1.0, mixed, run, bar)
    next(steps)
    assert begin(run) != run
    assert len(list(steps)) == 1  # the ZIP of what is done
