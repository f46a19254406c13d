"""Photos: upright, exact, private, and hostile files refused in a sentence."""

from __future__ import annotations

import hashlib
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, features

from imgsynth.errors import BadImage
from imgsynth.imaging.masks import read_mask
from imgsynth.imaging.read import MAX_PIXELS, Photo, read_photo

PIXELS = np.random.RandomState(3).randint(0, 256, (5, 7, 3)).astype(np.uint8)
BLOCKS = np.kron(PIXELS, np.ones((16, 16, 1), np.uint8))  # survives a lossy codec nearly unharmed
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY_PROFILE_SPACE = slice(16, 20)  # where an ICC header says which colours it describes


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def refusal(source: Any, name: str | None = None) -> str:
    with pytest.raises(BadImage) as caught:
        read_photo(source, name)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and "/" not in sentence
    return sentence


def turned_away(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera stores under this EXIF orientation so that viewers show `pixels`."""
    stored = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, 1),  # shown after a quarter turn clockwise
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p, -1),
    }
    return np.ascontiguousarray(stored[orientation](pixels))


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_stands_upright(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = Image.fromarray(turned_away(PIXELS, orientation))
    options = {"lossless": True} if kind == "WEBP" else {}
    photo = read_photo(encoded(stored, kind, exif=exif, **options))
    assert (photo.width, photo.height) == (7, 5)
    np.testing.assert_array_equal(photo.pixels, PIXELS)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_jpeg_stands_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = Image.fromarray(turned_away(BLOCKS, orientation))
    photo = read_photo(encoded(stored, "JPEG", exif=exif, quality=95, subsampling=0))
    assert np.abs(photo.pixels.astype(int) - BLOCKS).mean() < 4


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_rgb_is_exact_and_hashed(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    photo = read_photo(encoded(Image.fromarray(PIXELS), kind, **options))
    np.testing.assert_array_equal(photo.pixels, PIXELS)
    assert photo.alpha is None and photo.icc is None and photo.notes == ()
    assert photo.sha256 == hashlib.sha256(PIXELS.tobytes()).hexdigest()
    assert photo.image.mode == "RGB" and photo.image.tobytes() == PIXELS.tobytes()


def test_jpeg_pixels_are_the_decoders_own() -> None:
    data = encoded(Image.fromarray(BLOCKS), "JPEG")
    np.testing.assert_array_equal(read_photo(data).pixels, np.asarray(Image.open(BytesIO(data))))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_avif_opens() -> None:
    photo = read_photo(encoded(Image.fromarray(BLOCKS), "AVIF", quality=95))
    assert np.abs(photo.pixels.astype(int) - BLOCKS).mean() < 6


def test_alpha_is_kept_beside_and_hashed() -> None:
    rgba = np.dstack([PIXELS, np.arange(35, dtype=np.uint8).reshape(5, 7) * 7])
    photo = read_photo(encoded(Image.fromarray(rgba)))
    assert photo.alpha is not None
    np.testing.assert_array_equal(photo.pixels, rgba[..., :3])
    np.testing.assert_array_equal(photo.alpha, rgba[..., 3])
    assert photo.sha256 == hashlib.sha256(rgba.tobytes()).hexdigest()
    assert photo.image.mode == "RGBA" and photo.image.tobytes() == rgba.tobytes()


def test_palette_with_transparency() -> None:
    image = Image.new("P", (4, 2), 0)
    image.putpalette([250, 10, 20, 1, 2, 3])
    image.putpixel((3, 1), 1)
    photo = read_photo(encoded(image, transparency=bytes([255, 0])))
    assert photo.alpha is not None and photo.alpha.tolist() == [[255] * 4, [255, 255, 255, 0]]
    assert photo.pixels[0, 0].tolist() == [250, 10, 20] and photo.pixels[1, 3].tolist() == [1, 2, 3]


def test_palette_without_transparency() -> None:
    image = Image.fromarray(PIXELS).quantize(35)
    photo = read_photo(encoded(image))
    assert photo.alpha is None
    np.testing.assert_array_equal(photo.pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["LA", "PA", "La", "RGBa"])
def test_rarer_modes_with_alpha(mode: str) -> None:
    plain = Image.new("RGBA", (3, 2), (90, 90, 90, 255))
    plain.putpixel((0, 0), (0, 0, 0, 0))
    source = plain.convert("LA").convert("La") if mode == "La" else plain.convert(mode)
    photo = read_photo(source)
    assert photo.alpha is not None and photo.alpha.tolist() == [[0, 255, 255], [255] * 3]
    assert photo.pixels[1, 1].tolist() == [90, 90, 90]


def test_colour_key_of_a_png_is_alpha() -> None:
    image = Image.new("RGB", (2, 1), (9, 8, 7))
    image.putpixel((0, 0), (1, 2, 3))
    photo = read_photo(encoded(image, transparency=(1, 2, 3)))
    assert photo.alpha is not None and photo.alpha.tolist() == [[0, 255]]


def keyed_png(depth: int, colour: int, row: bytes, width: int, *key: int) -> bytes:
    """A PNG of one row, by hand: Pillow writes no colour of 16 bits and no grey of fewer than 8."""
    header = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    chunks = {b"IHDR": header, b"tRNS": struct.pack(f">{len(key)}H", *key)}
    chunks |= {b"IDAT": zlib.compress(b"\0" + row), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in chunks.items())


GREY, RGB = 0, 2  # as PNG numbers its colour types
KEYED: dict[str, tuple[bytes, list[int], list[int]]] = {
    "1-bit grey": (keyed_png(1, GREY, b"\x40", 2, 1), [0, 255], [255, 0]),
    "2-bit grey": (keyed_png(2, GREY, b"\x1b", 4, 2), [0, 85, 170, 255], [255, 255, 0, 255]),
    "4-bit grey": (keyed_png(4, GREY, b"\x5a\x55", 4, 5), [85, 170, 85, 85], [0, 255, 0, 0]),
    "8-bit grey": (keyed_png(8, GREY, b"\x05\x55", 2, 5), [5, 85], [0, 255]),
    "16-bit grey": (
        keyed_png(16, GREY, struct.pack(">3H", 0x1234, 0x1235, 0), 3, 0x1234),
        [0x12, 0x12, 0],
        [0, 255, 255],
    ),
    "16-bit colour": (
        keyed_png(16, RGB, struct.pack(">9H", 1, 256, 513, 1, 512, 513, 65535, 256, 513), 3, 1, 256, 513),
        [0, 0, 255],
        [0, 255, 255],
    ),
}


@pytest.mark.parametrize("kind", KEYED)
def test_colour_keys_of_all_depths(kind: str) -> None:
    data, red, alpha = KEYED[kind]
    photo = read_photo(data)
    assert photo.pixels[0, :, 0].tolist() == red
    assert photo.alpha is not None and photo.alpha.dtype == np.uint8 and photo.alpha.tolist() == [alpha]
    assert photo.grey16 is None
    assert [("16-bit" in note) for note in photo.notes] == ([True] if "16" in kind else [])
    assert photo.image.mode == "RGBA"
    assert read_mask(data, None).tolist() == [[bool(value) for value in alpha]]  # what can be seen is hole


def test_a_colour_key_of_16_bit_grey_stands_upright() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    stored = Image.fromarray(np.array([[7, 300], [300, 300]], dtype=np.uint16))
    photo = read_photo(encoded(stored, exif=exif, transparency=7))
    assert photo.alpha is not None and photo.alpha.tolist() == [[255, 0], [255, 255]]
    assert any("only grey without transparency" in note for note in photo.notes)


def test_grey_and_bilevel_are_repeated() -> None:
    grey = read_photo(encoded(Image.fromarray(PIXELS[..., 0])))
    np.testing.assert_array_equal(grey.pixels, np.repeat(PIXELS[..., :1], 3, axis=2))
    bilevel = Image.fromarray(PIXELS[..., 0] > 128)
    expected = np.repeat((PIXELS[..., :1] > 128) * np.uint8(255), 3, axis=2)
    np.testing.assert_array_equal(read_photo(encoded(bilevel)).pixels, expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_loses_its_low_byte_and_says_so(kind: str) -> None:
    values = np.array([[0, 255, 256, 65535, 32768]], dtype=np.uint16)
    photo = read_photo(encoded(Image.fromarray(values), kind))
    assert photo.pixels[0, :, 0].tolist() == [0, 0, 1, 255, 128]
    assert any("16-bit" in note for note in photo.notes)


def test_16_bit_colour_png_says_so() -> None:
    row = b"\0" + struct.pack(">6H", 0x1234, 0x00FF, 0xFFFF, 0x8000, 0x7FFF, 0x0100)
    header = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    photo = read_photo(header + png_chunk(b"IDAT", zlib.compress(row)) + png_chunk(b"IEND", b""))
    assert photo.pixels.tolist() == [[[0x12, 0, 0xFF], [0x80, 0x7F, 0x01]]]
    assert any("16-bit" in note for note in photo.notes)


def test_16_bit_ppm() -> None:
    photo = read_photo(b"P5 2 1 65535\n" + struct.pack(">2H", 0x1234, 0xFF00))
    assert photo.pixels[0, :, 0].tolist() == [0x12, 0xFF]


@pytest.mark.parametrize(
    ("values", "expected"), [([0.0, 0.5, 1.0], [0, 128, 255]), ([-10.0, 0.0, 10.0], [0, 128, 255])]
)
def test_float_grey(values: list[float], expected: list[int]) -> None:
    photo = read_photo(encoded(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF"))
    assert photo.pixels[0, :, 0].tolist() == expected
    assert bool(photo.notes) == (values[0] < 0)


def test_float_grey_with_holes_in_it() -> None:
    values = np.array([[np.nan, np.inf, 1.0]], dtype=np.float32)
    assert read_photo(Image.fromarray(values)).pixels[0, :, 0].tolist() == [0, 0, 255]


def test_cmyk_without_a_profile() -> None:
    photo = read_photo(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"))
    assert photo.pixels[4, 4].tolist() == [255, 0, 0]
    assert any("CMYK" in note and "without" in note for note in photo.notes)


def test_cmyk_with_a_profile_that_is_not_for_cmyk_falls_back() -> None:
    photo = read_photo(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF", icc_profile=SRGB))
    assert photo.pixels[4, 4].tolist() == [255, 0, 0] and photo.icc is None


def test_cmyk_uses_its_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []

    def convert(image: Image.Image, *profiles: object, **_: object) -> Image.Image:
        seen.append((image.mode, str(profiles[3])))
        return Image.new("RGB", image.size, (1, 2, 3))

    monkeypatch.setattr(
        ImageCms, "profileToProfile", convert
    )  # no CMYK profile is free to lie in a repository
    photo = read_photo(encoded(Image.new("CMYK", (8, 8)), "JPEG", icc_profile=SRGB))
    assert seen == [("CMYK", "RGB")] and photo.pixels[0, 0].tolist() == [1, 2, 3]
    assert photo.icc is None and any("own colour profile" in note for note in photo.notes)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_rgb_profile_is_kept(kind: str) -> None:
    assert read_photo(encoded(Image.fromarray(BLOCKS), kind, icc_profile=SRGB)).icc == SRGB


def test_profile_of_other_colours_is_dropped() -> None:
    assert read_photo(encoded(Image.fromarray(PIXELS[..., 0]), icc_profile=SRGB)).icc is None
    grey = bytearray(SRGB)
    grey[GREY_PROFILE_SPACE] = b"GRAY"
    assert read_photo(encoded(Image.fromarray(PIXELS), icc_profile=bytes(grey))).icc is None


def test_broken_profile_is_dropped_with_a_note() -> None:
    photo = read_photo(encoded(Image.fromarray(PIXELS), icc_profile=b"not a profile"))
    assert photo.icc is None and any("profile" in note for note in photo.notes)


def test_gps_and_comments_are_not_carried() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Somebody"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    data = encoded(Image.fromarray(BLOCKS), "JPEG", exif=exif, comment=b"at home")
    assert b"Somebody" in data
    photo = read_photo(data)
    assert photo.image.info == {} and not photo.image.getexif()
    assert b"Somebody" not in encoded(photo.image, "JPEG")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_cost_the_picture() -> None:
    data = encoded(Image.fromarray(BLOCKS), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03")
    assert read_photo(data).width == BLOCKS.shape[1]


def test_first_frame_of_an_animation_is_noted() -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        photo = read_photo(encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True))
        assert photo.pixels[0, 0].tolist() == [255, 0, 0], kind
        assert any("first" in note for note in photo.notes), kind


def test_phone_photos_with_a_second_picture_inside() -> None:
    small = Image.fromarray(BLOCKS[:16, :16])
    photo = read_photo(encoded(Image.fromarray(BLOCKS), "MPO", save_all=True, append_images=[small]))
    assert (photo.height, photo.width) == BLOCKS.shape[:2] and photo.notes == ()


def test_sources_and_names(tmp_path: Path) -> None:
    path = tmp_path / "my photo.v2.png"
    path.write_bytes(encoded(Image.fromarray(PIXELS)))
    photos = [read_photo(path), read_photo(str(path)), read_photo(path.read_bytes(), "my photo.v2.png")]
    with Image.open(path) as lazy:
        photos.append(read_photo(lazy))
    assert {photo.name for photo in photos} == {"my photo.v2"}
    assert {photo.sha256 for photo in photos} == {hashlib.sha256(PIXELS.tobytes()).hexdigest()}
    assert read_photo(Image.fromarray(PIXELS)).name == "picture"


def test_a_pillow_image_is_left_as_it_is() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = Image.open(BytesIO(encoded(Image.fromarray(PIXELS), exif=exif)))
    assert read_photo(image).width == 5
    assert image.size == (7, 5) and image.getexif()[ExifTags.Base.Orientation] == 6


def test_photos_are_writable_copies() -> None:
    image = Image.fromarray(PIXELS)
    photo: Photo = read_photo(image)
    photo.pixels[:] = 0
    np.testing.assert_array_equal(np.asarray(image), PIXELS)


def test_bombs_are_refused_from_the_header(tmp_path: Path) -> None:
    for tail in (b"", png_chunk(b"IDAT", b""), png_chunk(b"IEND", b"")):
        sentence = refusal(png_header(60000, 60000) + tail)
        assert "60,000 × 60,000" in sentence and "64 million" in sentence
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(60000, 60000))
    assert refusal(path).startswith("bomb.png ")


@pytest.mark.filterwarnings("error")
def test_bombs_of_other_formats_neither_decode_nor_warn() -> None:
    gif = (
        b"GIF89a" + struct.pack("<HHBBB", 60000, 60000, 0, 0, 0) + b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
    )
    assert "60,000 × 60,000" in refusal(gif)
    bmp = bytearray(encoded(Image.new("RGB", (4, 4)), "BMP"))
    bmp[18:26] = struct.pack("<ii", 12000, 12000)  # between Pillow's warning and its error
    assert "12,000 × 12,000" in refusal(bytes(bmp))
    assert "40,000 × 40,000" in refusal(b"P6 40000 40000 255\n")


def test_limit_is_met_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_PIXELS == 64_000_000
    monkeypatch.setattr("imgsynth.imaging.read.MAX_PIXELS", 35)
    assert read_photo(Image.new("RGB", (7, 5))).width == 7
    assert "9 × 4" in refusal(Image.new("RGB", (9, 4)))


def test_no_pixels() -> None:
    assert "0 × 7" in refusal(png_header(0, 7))
    assert "5 × 0" in refusal(Image.new("RGB", (5, 0)))


def test_files_that_are_not_there_or_empty(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.png") == "gone.png is not there; check its name."
    assert "not there" in refusal("x" * 5000 + ".png") and "not there" in refusal("a\0b.png")
    (tmp_path / "empty.png").touch()
    assert "empty (0 bytes)" in refusal(tmp_path / "empty.png") and "empty (0 bytes)" in refusal(b"")
    assert "folder" in refusal(tmp_path)
    assert "not a regular file" in refusal("/dev/zero")


def test_odd_names_stay_one_sentence(tmp_path: Path) -> None:
    assert refusal(tmp_path / ("line\nbreak" + "x" * 100 + ".png")).startswith("linebreakxxx")


@pytest.mark.parametrize(
    "data",
    [
        b"just some text",
        b"P",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"%PDF-1.7\n",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    ],
)
def test_not_a_picture(data: bytes) -> None:
    assert "holds no picture we can open" in refusal(data)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_truncated_pictures(kind: str) -> None:
    noise = Image.fromarray(np.random.RandomState(0).randint(0, 256, (40, 40, 3)).astype(np.uint8))
    data = encoded(noise, kind)
    for length in (len(data) // 2, 40):
        assert refusal(data[:length], "cut.bin").startswith("cut.bin ")


def test_text_that_unpacks_without_end() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 3_000_000, zip=True)
    assert "cannot be opened" in refusal(encoded(Image.fromarray(PIXELS), pnginfo=text))


WHOLE = {
    kind: encoded(Image.fromarray(PIXELS), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.data())
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_flipped_bytes_give_a_photo_or_a_sentence(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        photo = read_photo(bytes(damaged))
    except BadImage as error:
        assert str(error).endswith(".")
    else:
        assert photo.pixels.dtype == np.uint8 and photo.pixels.shape[2] == 3
