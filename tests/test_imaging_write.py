"""Files: exact pixels, nothing carried over unasked, whole or not there at all."""

from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from imgsynth.errors import BadRequest
from imgsynth.imaging.read import read_photo
from imgsynth.imaging.record import read_record
from imgsynth.imaging.write import (
    Job,
    encode_all,
    encode_jpeg,
    encode_png,
    encode_webp,
    write_image,
    write_png,
)

RECORD: dict[str, Any] = {"imgsynth": "1.0.0", "task": "translate", "request": {"strength": 1.0}}
PIXELS = np.random.RandomState(2).randint(0, 256, (12, 17, 3)).astype(np.uint8)
PICTURE = Image.fromarray(PIXELS)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def jobs(folder: Path, count: int) -> Iterator[Job]:
    for index in range(count):
        record = {**RECORD, "request": {"seed": index}}
        yield folder / f"{index}.png", Image.new("RGB", (8, 8), (index, 0, 0)), record, None


@pytest.mark.parametrize("encode", [encode_png, encode_webp])
def test_lossless(encode: Any) -> None:
    np.testing.assert_array_equal(read_photo(encode(PICTURE, RECORD)).pixels, PIXELS)


@pytest.mark.parametrize("encode", [encode_png, encode_webp])
def test_colours_under_full_transparency_are_kept(encode: Any) -> None:
    rgba = np.dstack([PIXELS, np.zeros(PIXELS.shape[:2], np.uint8)])
    photo = read_photo(encode(Image.fromarray(rgba), RECORD))
    assert photo.alpha is not None and not photo.alpha.any()
    np.testing.assert_array_equal(photo.pixels, PIXELS)


def test_jpeg_is_close_and_transparent_parts_are_white() -> None:
    smooth = PICTURE.resize((64, 64), Image.Resampling.BICUBIC)
    photo = read_photo(encode_jpeg(smooth, RECORD))
    assert np.abs(photo.pixels.astype(int) - np.asarray(smooth)).mean() < 4
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    assert read_photo(encode_jpeg(clear, RECORD)).pixels.min() == 255


@pytest.mark.parametrize("encode", [encode_png, encode_webp, encode_jpeg])
def test_profile_is_embedded_when_given_and_never_else(encode: Any) -> None:
    image = PICTURE.copy()
    image.info["icc_profile"] = SRGB
    assert read_photo(encode(image, RECORD, SRGB)).icc == SRGB
    assert read_photo(encode(image, RECORD)).icc is None
    assert image.info["icc_profile"] == SRGB


@pytest.mark.parametrize("encode", [encode_png, encode_webp, encode_jpeg])
def test_metadata_of_the_source_is_left_out(encode: Any) -> None:
    image = PICTURE.copy()
    image.info.update({"comment": b"secret", "xmp": b"secret", "exif": b"secret", "transparency": (1, 2, 3)})
    data = encode(image, RECORD)
    assert b"secret" not in data and read_photo(data).alpha is None


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA", "RGBA"])
@pytest.mark.parametrize("encode", [encode_png, encode_webp, encode_jpeg])
def test_every_mode_can_be_written(mode: str, encode: Any) -> None:
    data = encode(PICTURE.convert(mode), RECORD)
    assert read_record(data) == RECORD and read_photo(data).width == 17


@pytest.mark.parametrize(
    ("ending", "kind"), [("png", "PNG"), ("webp", "WEBP"), ("jpg", "JPEG"), ("JPEG", "JPEG")]
)
def test_ending_chooses_the_format(ending: str, kind: str, tmp_path: Path) -> None:
    path = write_image(tmp_path / "deep" / "er" / f"picture.{ending}", PICTURE, RECORD)
    with Image.open(path) as image:
        assert image.format == kind
    assert read_record(path) == RECORD
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("name", ["picture.bmp", "picture", "picture.mp4", ".png.txt"])
def test_other_endings_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"cannot be written; let the name end in \.png, \.webp"):
        write_image(tmp_path / name, PICTURE, RECORD)


def test_an_existing_file_is_replaced_with_ordinary_permissions(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")
    write_png(path, PICTURE, RECORD)
    assert read_record(path) == RECORD
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_things_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder.png", tmp_path / "file" / "a.png", tmp_path / ("x" * 300 + ".png")):
        with pytest.raises(BadRequest, match=r"could not be written: .*\.$") as caught:
            write_png(path, PICTURE, RECORD)
        assert str(tmp_path) not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.png"]


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "no space left"), (errno.EACCES, "may not write")]
)
def test_a_disk_that_refuses_keeps_the_old_file(
    code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def refuse(part: Path, data: bytes) -> int:
        part.touch()
        raise OSError(code, "refused")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(BadRequest, match=words):
        write_png(path, PICTURE, RECORD)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["picture.png"]


def test_too_much_for_the_format() -> None:
    with pytest.raises(BadRequest, match="too large for a JPEG"):
        encode_jpeg(PICTURE, {**RECORD, "request": {"seeds": list(range(20_000))}})
    with pytest.raises(BadRequest, match="too large for a WEBP"):
        encode_webp(Image.new("RGB", (17_000, 1)), RECORD)


def test_encode_all_keeps_the_order(tmp_path: Path) -> None:
    paths = list(encode_all(jobs(tmp_path, 40)))
    assert [path.name for path in paths] == [f"{index}.png" for index in range(40)]
    assert [read_record(path)["request"]["seed"] for path in paths] == list(range(40))
    assert read_photo(paths[7]).pixels[0, 0].tolist() == [7, 0, 0]


def test_encode_all_draws_only_a_little_ahead(tmp_path: Path) -> None:
    drawn = 0

    def endless() -> Iterator[Job]:
        nonlocal drawn
        while True:
            drawn += 1
            yield next(jobs(tmp_path / str(drawn), 1))

    paths = encode_all(endless())
    assert next(paths).exists()
    paths.close()
    assert drawn <= 16


def test_encode_all_stops_at_the_first_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ThreadPoolExecutor(3)
    monkeypatch.setattr("imgsynth.imaging.write.ENCODERS", pool)

    def with_a_bad_one() -> Iterator[Job]:
        yield from jobs(tmp_path, 2)
        yield tmp_path / "bad.bmp", PICTURE, RECORD, None
        yield from jobs(tmp_path / "later", 200)

    written = encode_all(with_a_bad_one())
    with pytest.raises(BadRequest, match=r"bad\.bmp"):
        list(written)
    before = sorted(tmp_path.rglob("*"))
    pool.shutdown(wait=True)
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written once the error is out"
    assert len(before) < 100


def write_in_child(folder: str) -> None:
    assert len(list(encode_all(jobs(Path(folder), 3)))) == 3


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_the_pool_works_in_a_forked_process(tmp_path: Path) -> None:
    list(encode_all(jobs(tmp_path, 3)))  # so that the parent's threads run
    child = multiprocessing.get_context("fork").Process(
        target=write_in_child, args=(str(tmp_path / "child"),)
    )
    child.start()
    child.join(60)  # only a child that hangs is still alive by then
    alive = child.is_alive()
    child.kill()
    assert not alive and child.exitcode == 0 and len(list((tmp_path / "child").iterdir())) == 3


def test_png_bytes_are_the_same_every_time() -> None:
    assert encode_png(PICTURE, RECORD) == encode_png(Image.open(BytesIO(encode_png(PICTURE, RECORD))), RECORD)
