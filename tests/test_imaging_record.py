"""Records: what is written into a file is read back, and a stranger's file never gives a traceback."""

from __future__ import annotations

import json
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, PngImagePlugin

from imgsynth.errors import BadImage, BadRequest, ImgsynthError, NoRecord
from imgsynth.imaging.record import MAX_RECORD_BYTES, dump_record, parse_record, read_record
from imgsynth.imaging.write import encode_jpeg, encode_png, encode_webp

RECORD: dict[str, Any] = {
    "imgsynth": "1.0.0",
    "task": "sample",
    "request": {"seed": 7, "psi": 0.7, "label": 'a "quoted" Zürich → 東京 😀\nnew line'},
    "checkpoint": {"id": "avatars-gan", "revision": None},
    "input_sha256": [],
}
PICTURE = Image.fromarray(np.random.RandomState(1).randint(0, 256, (24, 31, 3)).astype(np.uint8))


def text_of(record: Any) -> bytes:
    return json.dumps(record).encode()


def png_with(text: str, zip: bool = False) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("imgsynth", text, zip=zip)
    buffer = BytesIO()
    PICTURE.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def jpeg_with_comment(comment: bytes) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    buffer = BytesIO()
    PICTURE.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("encode", [encode_png, encode_webp, encode_jpeg])
def test_round_trip(encode: Any, tmp_path: Path) -> None:
    data = encode(PICTURE, RECORD)
    assert read_record(data) == RECORD
    path = tmp_path / "upload.bin"  # the ending says nothing
    path.write_bytes(data)
    assert read_record(path) == read_record(str(path)) == RECORD


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_json_survives_every_picture_format(value: Any) -> None:
    record = {"imgsynth": "1", "task": "sample", "request": {"value": value}}
    small = PICTURE.crop((0, 0, 4, 4))
    for encode in (encode_png, encode_webp, encode_jpeg):
        assert read_record(encode(small, record)) == record


def test_png_holds_one_plain_itxt_chunk_before_the_pixels() -> None:
    data = encode_png(PICTURE, RECORD)
    assert data.index(b"iTXtimgsynth\0\0\0\0\0{") < data.index(b"IDAT")
    with Image.open(BytesIO(data)) as image:
        assert isinstance(image, PngImagePlugin.PngImageFile)
        assert json.loads(image.text["imgsynth"]) == RECORD


def test_png_record_behind_the_pixels_and_compressed() -> None:
    plain, zipped = png_with(json.dumps(RECORD)), png_with(json.dumps(RECORD), zip=True)
    assert read_record(zipped) == RECORD
    start = plain.index(b"iTXt") - 4
    length = 12 + struct.unpack(">I", plain[start : start + 4])[0]
    chunk, rest = plain[start : start + length], plain[:start] + plain[start + length :]
    end = rest.index(b"IEND") - 4
    assert read_record(rest[:end] + chunk + rest[end:]) == RECORD


def test_exif_comment_has_the_standards_prefix() -> None:
    for data in (encode_jpeg(PICTURE, RECORD), encode_webp(PICTURE, RECORD)):
        with Image.open(BytesIO(data)) as image:
            comment = image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]
        assert comment.startswith(b"ASCII\0\0\0{") and json.loads(comment[8:]) == RECORD


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-16"])
def test_exif_comment_rewritten_as_unicode(codec: str) -> None:
    text = json.dumps(RECORD, ensure_ascii=False).replace("\\n", "\\u000a")
    assert read_record(jpeg_with_comment(b"UNICODE\0" + text.encode(codec))) == RECORD


def test_exif_comment_without_a_character_code() -> None:
    assert read_record(jpeg_with_comment(b"\0" * 8 + text_of(RECORD) + b"\0\0")) == RECORD


def test_gif_comment_beside_others() -> None:
    buffer = BytesIO()
    PICTURE.save(buffer, "GIF", comment=b"made with love\n" + text_of(RECORD))
    assert read_record(buffer.getvalue()) == RECORD


def test_json_file_and_folder(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(b"\n " + text_of(RECORD))
    assert read_record(path) == read_record(tmp_path) == read_record(text_of(RECORD)) == RECORD


def test_folder_without_a_record(tmp_path: Path) -> None:
    with pytest.raises(NoRecord, match="This folder carries no"):
        read_record(tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_pictures_of_others(kind: str) -> None:
    buffer = BytesIO()
    PICTURE.save(buffer, kind)
    with pytest.raises(NoRecord) as caught:
        read_record(buffer.getvalue())
    assert str(caught.value) == "This picture carries no imgsynth record; only pictures made here do."


@pytest.mark.parametrize(
    "comment", [b"", b"ASCII", b"ASCII\0\0\0hello", b'ASCII\0\0\0{"parameters": 1}', b"JIS\0\0\0\0\0x"]
)
def test_comments_of_others(comment: bytes) -> None:
    with pytest.raises(NoRecord, match="carries no imgsynth record"):
        read_record(jpeg_with_comment(comment))


@pytest.mark.parametrize(
    "text",
    ["", "not json", "[1, 2]", '"imgsynth"', "{}", '{"imgsynth": "1"}', '{"task": "sample"}',
     '{"imgsynth": 1, "task": "sample"}', '{"imgsynth": "1", "task": ["sample"]}',
     '{"imgsynth": "1", "task": "sample", "psi": NaN}', '{"imgsynth": "1", "task": "sample"',
     '{"a":' * 100_000, '{"imgsynth": "1", "task": "sample", "n": ' + "9" * 10_000 + "}"],
)  # fmt: skip
def test_bad_records(text: str) -> None:
    with pytest.raises(NoRecord, match=r"\.$"):
        read_record(png_with(text))
    with pytest.raises(NoRecord):
        parse_record(text.encode())


def nested(opening: str, closing: str, depth: int = 300) -> str:
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize(
    "value",
    [
        '"\\ud800"',
        '{"\\udc00": 1}',
        str(2**64),
        str(-(2**63) - 1),
        nested("[", "]"),
        nested('{"a":', "}"),
        "1e999",
    ],
    ids=["half a character", "half a key", "too large", "too small", "deep lists", "deep objects", "endless"],
)
def test_what_no_browser_can_be_sent_is_no_record(value: str) -> None:
    for text in (
        f'{{"imgsynth": "1", "task": "sample", "request": {value}}}',
        f'{{"imgsynth": "1", "task": {value}}}',
    ):
        with pytest.raises(NoRecord, match=r"^The record in this file is damaged and cannot be read\.$"):
            read_record(png_with(text))


def test_the_largest_numbers_are_sent_as_they_are() -> None:
    record = {
        **RECORD,
        "request": {"most": 2**64 - 1, "least": -(2**63), "lists": json.loads(nested("[", "]", 200))},
    }
    assert read_record(png_with(json.dumps(record))) == record


@pytest.mark.parametrize("key", ["__type__", "\\u005f_type__"])
@pytest.mark.parametrize("value", ['"update"', "5", "null"])
@pytest.mark.parametrize("place", ["{}", '{{"request": [{{"photo": {}}}]}}'])
def test_what_gradio_takes_for_an_update_is_no_record(key: str, value: str, place: str) -> None:
    """It would change the page and not be shown."""
    marked = f'{{"{key}": {value}}}'
    text = '{"imgsynth": "1", "task": "sample", ' + place.format(marked)[1:]
    with pytest.raises(NoRecord, match=r"^The record in this file is not one of ours\.$"):
        read_record(png_with(text))


def test_bad_utf8() -> None:
    with pytest.raises(NoRecord):
        parse_record(b'{"imgsynth": "\xff", "task": "sample"}')


def test_too_long_records_are_neither_read_nor_written() -> None:
    long = {**RECORD, "more": "x" * MAX_RECORD_BYTES}
    for data in (png_with(json.dumps(long)), png_with(json.dumps(long), zip=True), text_of(long)):
        with pytest.raises(NoRecord, match="too long"):
            read_record(data)
    with pytest.raises(BadRequest, match="too long"):
        dump_record(long)


def test_a_record_near_the_limit_passes() -> None:
    record = {**RECORD, "more": "x" * (MAX_RECORD_BYTES - 1000)}
    assert read_record(encode_png(PICTURE, record)) == record


def test_broken_compressed_text() -> None:
    body = b"imgsynth\0\x01\0\0\0" + b"not zlib"
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    for damaged in (
        chunk,
        chunk[:-12],
        struct.pack(">I", 2**31) + b"iTXtimgsynth\0",
        chunk.replace(b"\0\0\0n", b"xxxn"),
    ):
        with pytest.raises(NoRecord, match="damaged"):
            read_record(b"\x89PNG\r\n\x1a\n" + damaged)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"plain text",
        b"\x1a\x45\xdf\xa3 no webm",
        b"\0\0\0\x18ftypmp42 no film",
        b"#EXTM3U\nfile.ts\n",
        b"GIF89a",
    ],
)
def test_neither_picture_nor_video(data: bytes) -> None:
    with pytest.raises(BadImage, match=r"\.$"):
        read_record(data)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match=r"^gone\.png is not there"):
        read_record(tmp_path / "gone.png")
    with pytest.raises(BadImage, match="not there"):
        read_record("x" * 5000)


FILES = [
    encode_png(PICTURE, RECORD),
    encode_webp(PICTURE, RECORD),
    encode_jpeg(PICTURE, RECORD),
    text_of(RECORD),
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FILES), st.data())
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_flipped_bytes_give_a_record_or_a_sentence(whole: bytes, data: st.DataObject) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        record = read_record(bytes(damaged))
    except ImgsynthError as error:
        assert isinstance(error, (NoRecord, BadImage)) and str(error).endswith(".")
    else:
        assert isinstance(record["imgsynth"], str) and isinstance(record["task"], str)
