"""16-bit grey stays 16-bit where only a part of a photo changes; what cannot be kept is said."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from cli_runs import Run
from imgsynth.errors import ImgsynthError
from imgsynth.imaging.masks import feather_weights
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.imaging.record import read_record
from imgsynth.imaging.write import encode_jpeg, encode_png, encode_webp, write_mask
from imgsynth.tasks.inpaint import inpaint
from imgsynth.tasks.outpaint import outpaint
from imgsynth.tasks.pictures import Picture, as_photo
from imgsynth.tasks.redo import Inputs, redo
from imgsynth.tasks.requests import InpaintRequest, OutpaintRequest

RECORD = {"imgsynth": "1.0.0", "task": "inpaint"}
VALUES = np.random.RandomState(5).randint(0, 65536, (30, 44)).astype(np.uint16)
MASK = np.zeros((30, 44), dtype=bool)
MASK[8:15, 10:25] = True
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# An ICC header says in these bytes which colours it describes.
GREY = SRGB[:16] + b"GRAY" + SRGB[20:]


def file_of(values: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    Image.fromarray(values).save(buffer, kind, **options)
    return buffer.getvalue()


def deep_values(photo: Photo) -> np.ndarray:
    assert photo.grey16 is not None
    return photo.grey16.values


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_all_16_bits_are_read_upright_beside_the_8_that_networks_see(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = VALUES if orientation == 1 else np.ascontiguousarray(np.rot90(VALUES))
    photo = read_photo(file_of(stored, kind, exif=exif))
    assert deep_values(photo).dtype == np.uint16
    assert np.array_equal(deep_values(photo), VALUES)
    assert np.array_equal(photo.pixels, np.dstack([VALUES >> 8] * 3))
    assert any("keeps all 16 bits around it" in note for note in photo.notes)


def test_other_byte_orders_and_formats_have_16_bits_too() -> None:
    big_endian = Image.frombytes("I;16B", (44, 30), VALUES.astype(">u2").tobytes())
    netpbm = b"P5 44 30 65535\n" + VALUES.astype(">u2").tobytes()
    for source in (big_endian, netpbm):
        assert np.array_equal(deep_values(read_photo(source)), VALUES)


def test_8_bits_and_colour_have_no_deeper_values() -> None:
    for values in (VALUES.astype(np.uint8), np.dstack([VALUES.astype(np.uint8)] * 3)):
        assert read_photo(file_of(values)).grey16 is None


def test_a_grey_profile_belongs_to_the_grey_values_only() -> None:
    photo = read_photo(file_of(VALUES, icc_profile=GREY))
    assert photo.icc is None
    assert photo.grey16 is not None and photo.grey16.icc == GREY
    colour = read_photo(file_of(VALUES, icc_profile=SRGB))
    assert colour.grey16 is not None and colour.grey16.icc is None


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_outside_the_hole_all_16_bits_stay(models: dict[str, Any], kind: str) -> None:
    photo = read_photo(file_of(VALUES, kind, icc_profile=GREY))
    picture = inpaint(models["lama"], InpaintRequest(), photo, MASK)
    assert picture.image.mode == "I;16"
    assert picture.record["request"] == {"grow": 0, "feather": 0, "depth": 16}
    assert picture.record["input_sha256"] == [photo.sha256]
    assert picture.notes == photo.notes
    back = read_photo(encode_png(picture.image, picture.record, picture.icc))
    assert back.grey16 is not None and back.grey16.icc == GREY
    assert np.array_equal(deep_values(back)[~MASK], VALUES[~MASK])
    assert not np.array_equal(deep_values(back)[MASK], VALUES[MASK])


def test_the_fill_is_the_8_bit_one_in_16_bits(models: dict[str, Any]) -> None:
    photo, request = read_photo(file_of(VALUES)), InpaintRequest(feather=3)
    deep = np.asarray(inpaint(models["lama"], request, photo, MASK).image).astype(float)
    plain = np.asarray(inpaint(models["lama"], InpaintRequest(feather=3, depth=8), photo, MASK).image)
    assert plain.shape == (30, 44, 3)
    luma = plain @ [0.299, 0.587, 0.114]
    assert np.abs(deep - luma * 257)[MASK].max() <= 1
    weights = feather_weights(MASK, 3)
    between = (weights > 0) & (weights < 1)
    # Off by the original's low byte, and by the rounding of the 8-bit blend.
    assert np.abs(deep - luma * 257)[between].max() <= 257 * 1.5
    assert np.array_equal(deep[weights == 0], VALUES[weights == 0])


def test_a_record_makes_the_depth_again_that_it_names(models: dict[str, Any]) -> None:
    photo = read_photo(file_of(VALUES))
    picture = inpaint(models["lama"], InpaintRequest(grow=1), photo, MASK)
    stored = read_record(encode_png(picture.image, picture.record))
    again = redo(models["lama"], stored, Inputs([photo], MASK))
    assert isinstance(again, Picture)
    assert (again.image.mode, again.record) == ("I;16", picture.record)
    assert again.image.tobytes() == picture.image.tobytes()
    old_record = {**stored, "request": {"grow": 1, "feather": 0}}
    old = redo(models["lama"], json.loads(json.dumps(old_record)), Inputs([photo], MASK))
    assert isinstance(old, Picture)
    assert (old.image.mode, old.record) == ("RGB", old_record)
    with pytest.raises(ImgsynthError, match="depth"):
        redo(models["lama"], {**stored, "request": {"depth": 32}}, Inputs([photo], MASK))


def test_a_larger_canvas_keeps_16_bits(models: dict[str, Any]) -> None:
    photo = read_photo(file_of(VALUES, icc_profile=GREY))
    picture = outpaint(models["lama"], OutpaintRequest(left=7, bottom=5), photo)
    assert picture.image.mode == "I;16"
    assert picture.icc == GREY
    assert np.array_equal(np.asarray(picture.image)[:30, 7:], VALUES)


def test_a_16_bit_result_is_a_16_bit_photo(models: dict[str, Any]) -> None:
    photo = read_photo(file_of(VALUES, icc_profile=GREY))
    onward = as_photo(inpaint(models["lama"], InpaintRequest(), photo, MASK))
    assert onward.grey16 is not None and onward.grey16.icc == GREY
    second = inpaint(models["lama"], InpaintRequest(), onward, np.roll(MASK, 4))
    untouched = ~np.roll(MASK, 4) & ~MASK
    assert np.array_equal(np.asarray(second.image)[untouched], VALUES[untouched])


@pytest.mark.parametrize("encode", [encode_webp, encode_jpeg])
def test_formats_of_8_bits_get_the_high_bytes(encode: Any) -> None:
    ramp = (np.arange(64, dtype=np.uint16) * 1000).repeat(64).reshape(64, 64)
    written = encode(Image.fromarray(ramp), RECORD, GREY)
    found = read_photo(written).pixels[..., 0].astype(int)
    assert np.abs(found - (ramp >> 8)).max() <= (0 if encode is encode_webp else 3)


@pytest.mark.usefixtures("tiny_catalog")
@pytest.mark.parametrize(("name", "mode"), [("out.png", "I;16"), ("out.webp", "RGB")])
def test_the_command_line_says_where_bits_are_lost(run: Run, tmp_path: Path, name: str, mode: str) -> None:
    source, mask, out = tmp_path / "scan.png", tmp_path / "mask.png", tmp_path / name
    source.write_bytes(file_of(VALUES))
    write_mask(mask, MASK)
    ran = run("inpaint", "--checkpoint", "tiny-lama", "--mask", mask, source, "--out", out)
    assert ran.code == 0
    with Image.open(out) as image:
        assert image.mode == mode
    assert "scan.png: Networks see its 16-bit grey as 8 bits" in ran.err
    assert ("out.webp has 8 of the photo's 16 bits" in ran.err) is (name == "out.webp")


def test_a_16_bit_png_has_its_record_and_no_metadata_of_its_source() -> None:
    image = Image.fromarray(VALUES)
    image.info["comment"] = b"secret"
    data = encode_png(image, RECORD)
    assert b"secret" not in data
    assert read_record(data) == RECORD
    assert np.array_equal(deep_values(read_photo(data)), VALUES)


def test_printed_colours_are_converted_and_the_result_says_so(models: dict[str, Any]) -> None:
    photo = read_photo(Image.new("CMYK", (44, 30), (0, 200, 200, 0)))
    picture = inpaint(models["lama"], InpaintRequest(), photo, MASK)
    assert picture.image.mode == "RGB"
    assert any("CMYK" in note for note in picture.notes)
    assert np.array_equal(np.asarray(picture.image)[~MASK], photo.pixels[~MASK])
