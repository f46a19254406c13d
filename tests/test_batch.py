"""Many files at once: the good ones are done, each bad one is named with its reason, and a ZIP takes all."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders import model_of, photo, pixels, png, tiny_dcgan
from cli_runs import Run
from imgsynth.errors import BadImage, BadRequest, NoRecord, OutOfMemory, TaskNotOffered
from imgsynth.imaging.archive import SHEET, write_zip
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.imaging.record import read_record
from imgsynth.imaging.write import encode_png
from imgsynth.tasks.batch import run_batch, translate_batch, unique_names
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.requests import TranslateRequest
from imgsynth.tasks.translate import translate

REQUEST = TranslateRequest(strength=0.5)


def huge() -> bytes:
    """A PNG of a few bytes whose header promises ten thousand million pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT"


BAD = {
    "corrupt": (lambda: png(pixels(20, 20))[:200], "damaged or cut off"),
    "text": (lambda: b"Dear diary, this is no picture.", "no picture we can open"),
    "empty": (lambda: b"", "0 bytes"),
    "huge": (huge, "at most 64 million pixels"),
}


@pytest.fixture
def mixed(tmp_path: Path) -> list[Path]:
    """30 files, of which every third one or so is bad, one is missing, and two good ones share a stem."""
    files = []
    for index in range(29):
        kind = list(BAD)[index // 3 % len(BAD)] if index % 3 == 1 else "good"
        file = tmp_path / str(index % 2) / f"{kind}{index if index > 2 else 0}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(png(pixels(20 + index, 24, seed=index)) if kind == "good" else BAD[kind][0]())
        files.append(file)
    return [*files, tmp_path / "missing.png"]


def test_the_good_are_done_and_each_bad_one_is_named_with_its_reason(
    models: dict[str, Any], mixed: list[Path]
) -> None:
    model = models["cyclegan_resnet"]
    outcomes = list(translate_batch(model, REQUEST, mixed))
    assert [o.file for o in outcomes] == mixed
    assert [(o.index, o.total) for o in outcomes] == [(n, 30) for n in range(1, 31)]
    assert sum(o.result is not None for o in outcomes) == 19
    for outcome in outcomes:
        file = Path(outcome.file)
        kind = file.stem.rstrip("0123456789")
        if kind == "good":
            assert outcome.error is None and outcome.result is not None
            expected = translate(model, REQUEST, read_photo(file))
            assert outcome.result.image.tobytes() == expected.image.tobytes()
            assert outcome.result.name == outcome.name
        else:
            assert outcome.result is None and outcome.error is not None
            sentence = str(outcome.error)
            assert file.name in sentence and str(file.parent) not in sentence and sentence.endswith(".")
            assert {**{k: about for k, (_, about) in BAD.items()}, "missing": "not there"}[kind] in sentence


def test_results_come_as_they_are_made(models: dict[str, Any], mixed: list[Path]) -> None:
    opened: list[Path] = []

    def read(file: Path) -> Photo:
        opened.append(file)
        return read_photo(file)

    outcomes = translate_batch(models["cyclegan_resnet"], REQUEST, mixed, read)
    next(outcomes), next(outcomes)
    assert opened == mixed[:2]


def test_a_model_that_cannot_is_refused_once(mixed: list[Path]) -> None:
    with pytest.raises(TaskNotOffered):
        translate_batch(model_of(tiny_dcgan()), REQUEST, mixed)


def test_a_reason_that_names_no_file_is_given_its_name() -> None:
    def work(file: str, name: str) -> Picture:
        raise OutOfMemory("There is too little memory.")

    outcomes = list(run_batch(work, ["folder/a.png", "b.png"]))
    assert [str(o.error) for o in outcomes] == [
        "a.png: There is too little memory.",
        "b.png: There is too little memory.",
    ]
    assert all(isinstance(o.error, OutOfMemory) for o in outcomes)


def test_what_is_not_about_the_file_is_not_hidden() -> None:
    def work(file: str, name: str) -> Picture:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(run_batch(work, ["a.png"]))


def test_names_are_unique_on_every_disk() -> None:
    files = ["a.png", "x/a.jpg", "A.PNG", "a-2.png", "b.png", "a.png"]
    names = unique_names(files)
    assert names == ["a", "a-3", "A-4", "a-2", "b", "a-5"]
    assert len({name.casefold() for name in names}) == len(files)


# ZIP


def finished(models: dict[str, Any], count: int) -> Iterator[tuple[str, bytes]]:
    for index in range(count):
        picture = translate(models["cyclegan_resnet"], REQUEST, photo(30 + index, 41, seed=index))
        yield f"photo-{index}.png", encode_png(picture.image, picture.record, picture.icc)


def test_a_zip_holds_every_file_as_it_is(models: dict[str, Any], tmp_path: Path) -> None:
    files = dict(finished(models, 8))
    on_disk = tmp_path / "on disk.png"
    on_disk.write_bytes(files["photo-3.png"])
    path = tmp_path / "deep" / "all.zip"
    assert write_zip(path, [*files.items(), ("later.png", on_disk)], sheet=True) == path
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [*files, "later.png", SHEET]
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
        assert all(archive.read(name) == data for name, data in files.items())
        sheet = archive.read(SHEET)
    record = read_record(sheet)
    assert record["task"] == "contact_sheet" and record["request"]["pictures"] == [*files, "later.png"]
    assert record["input_sha256"][0] == photo(30, 41).sha256 and len(record["input_sha256"]) == 9
    image = np.asarray(Image.open(BytesIO(sheet)))
    assert image.shape == (2 * 192 + 2, 6 * 194 - 2, 3)
    assert image[194:, 5 * 194 :].min() == 255 and image[194:, 2 * 194 : 3 * 194 - 2].min() < 255
    assert os.listdir(path.parent) == ["all.zip"]


def test_equal_pictures_give_equal_zips(models: dict[str, Any], tmp_path: Path) -> None:
    one, two = (write_zip(tmp_path / name, finished(models, 2), sheet=True) for name in ("1.zip", "2.zip"))
    assert one.read_bytes() == two.read_bytes()


def test_a_zip_is_written_as_pictures_come(models: dict[str, Any], tmp_path: Path) -> None:
    sizes: list[int] = []

    def watched() -> Iterator[tuple[str, bytes]]:
        for name, data in finished(models, 4):
            yield name, data
            sizes.extend(file.stat().st_size for file in tmp_path.iterdir())

    write_zip(tmp_path / "all.zip", watched())
    assert len(sizes) == 4 and sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    ("names", "sheet", "error"),
    [
        ([], False, BadRequest),
        (["a.png", "a.png"], False, BadRequest),
        (["../a.png"], False, BadRequest),
        (["..\\a.png"], False, BadRequest),
        ([SHEET], True, BadRequest),
        (["no record.png"], True, NoRecord),
        (["no picture.png"], True, BadImage),
    ],
)
def test_a_zip_that_cannot_be_leaves_nothing(
    names: list[str], sheet: bool, error: type[Exception], tmp_path: Path
) -> None:
    data = {"no picture.png": b"no picture"}
    with pytest.raises(error) as caught:
        write_zip(tmp_path / "all.zip", [(name, data.get(name, png(pixels(9, 9)))) for name in names], sheet)
    assert str(caught.value).endswith(".")
    assert os.listdir(tmp_path) == []


# the command line


@pytest.mark.usefixtures("tiny_catalog")
def test_translate_goes_on_after_bad_files(run: Run, mixed: list[Path], tmp_path: Path) -> None:
    ran = run("translate", "--checkpoint", "tiny-cyclegan", *mixed, "--out", tmp_path / "out")
    assert ran.code == 1
    made = [Path(line) for line in ran.out.splitlines()]
    assert len(made) == 19 and all(file.is_file() for file in made)
    for file in mixed:
        if not file.stem.startswith("good"):
            assert sum(line.startswith(f"{file.name} ") for line in ran.err.splitlines()) == 1
    assert ran.last == "11 of 30 photos could not be translated, for the reasons above."


@pytest.mark.usefixtures("tiny_catalog")
def test_a_photo_given_twice_is_done_twice(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png(pixels(20, 24)))
    ran = run("translate", "--checkpoint", "tiny-cyclegan", file, file, "--out", tmp_path / "out")
    assert ran.code == 0
    assert [Path(line).name for line in ran.out.splitlines()] == ["a.png", "a-2.png"]


@pytest.mark.usefixtures("tiny_catalog")
def test_translate_takes_the_side_of_its_tiles(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png(pixels(220, 230)))
    ran = run("translate", "--checkpoint", "tiny-cyclegan", file, "--out", tmp_path / "out", "--tiles", 200)
    assert ran.code == 0
    assert read_record(tmp_path / "out" / "a.png")["request"] == {"strength": 1.0, "tiles": 200}
