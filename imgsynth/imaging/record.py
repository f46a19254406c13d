"""The record: what made a picture or a video, as JSON inside the file itself (see the interface page).

A record that is read comes from a stranger: it is JSON and nothing more until its user has checked it.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import av
import orjson
from PIL import ExifTags, Image

from imgsynth.errors import BadRequest, NoRecord
from imgsynth.imaging._files import opened, spoken_name
from imgsynth.imaging.read import damaged, identify

RECORD_KEY = "imgsynth"
RECORD_FILE = "record.json"
MAX_RECORD_BYTES = 1_000_000

Record = dict[str, Any]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MATROSKA_SIGNATURE = b"\x1a\x45\xdf\xa3"
_ASCII_COMMENT = b"ASCII\0\0\0"
_HEADER_BYTES = 32
_STILL_BRANDS = (b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix")


def dump_record(record: Record) -> str:
    """A record as one line of pure ASCII JSON, which every container and its tools carry unharmed.

    Raises:
        BadRequest: more than `MAX_RECORD_BYTES`, which `read_record` would not take back.
    """
    text = json.dumps(record, ensure_ascii=True, allow_nan=False)
    if len(text) > MAX_RECORD_BYTES:
        raise BadRequest("What made this picture is too long to be written into it; ask for fewer at once.")
    return text


def exif_with_record(record: Record) -> bytes:
    """EXIF data that holds nothing but the record, in UserComment with the standard's prefix."""
    exif = Image.Exif()
    comment = _ASCII_COMMENT + dump_record(record).encode("ascii")
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    return exif.tobytes()


def read_record(path: str | Path | bytes) -> Record:
    """The record inside a picture or video, or that of a folder of frames.

    Args:
        path: PNG, JPEG, WebP, GIF, MP4 or WebM, path or bytes; a `record.json`, or a folder that holds one.

    Raises:
        NoRecord: the file is fine but carries none of ours, or a damaged one.
        BadImage: there is no file, or it is neither picture nor video.
    """
    if not isinstance(path, bytes) and os.path.isdir(path):  # Path.is_dir raises where a name is too long
        path = _record_beside_frames(Path(path))
    what = spoken_name(None if isinstance(path, bytes) else path)
    with opened(path, what) as stream:
        header = stream.read(_HEADER_BYTES)
        stream.seek(0)
        muxer = _muxer(header)
        text = _picture_text(stream, header, what) if muxer is None else _video_text(stream, muxer, what)
    if text is None:
        kind = "picture" if muxer is None else "video"
        raise NoRecord(f"This {kind} carries no imgsynth record; only {kind}s made here do.")
    return parse_record(text)


def frame_record(record: Record, index: int) -> Record:
    """The record of one frame, counted from 0, of what a record makes."""
    return {**record, "request": {**record.get("request", {}), "frame": index}}


def parse_record(text: bytes) -> Record:
    """JSON from a stranger → a record.

    Raises:
        NoRecord: too long, no JSON object, without the keys that every record has, or nothing that a browser
            can be sent: half a character, numbers of more than 64 bits, too deep lists.
    """
    if len(text) > MAX_RECORD_BYTES:
        raise NoRecord("The record in this file is too long to be one of ours.")
    try:
        record = json.loads(
            text, parse_float=_finite, parse_constant=_refuse_constant, object_hook=_refuse_marked
        )
        orjson.dumps(record)
    # ValueError: bad JSON, bad UTF-8, endless numbers. Gradio writes with orjson, which knows less than json.
    except (ValueError, RecursionError, orjson.JSONEncodeError) as error:
        raise NoRecord("The record in this file is damaged and cannot be read.") from error
    needed = (RECORD_KEY, "task")
    if not isinstance(record, dict) or not all(isinstance(record.get(key), str) for key in needed):
        raise NoRecord("The record in this file is not one of ours.")
    return record


def _finite(text: str) -> float:
    """A number as `dump_record` writes it; ValueError for one like 1e999, which would be infinite."""
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is larger than any float")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refuse_marked(value: Record) -> Record:
    """Gradio takes an object with this key for a change to its page, wherever the object comes from."""
    if "__type__" in value:
        raise NoRecord("The record in this file is not one of ours.")
    return value


def _record_beside_frames(folder: Path) -> Path:
    path = folder / RECORD_FILE
    if not path.is_file():
        raise NoRecord(f"This folder carries no {RECORD_FILE}; only folders of frames made here do.")
    return path


def _muxer(header: bytes) -> str | None:
    """The container of a video, or None; AVIF and HEIC, which share MP4's signature, are pictures."""
    if header.startswith(_MATROSKA_SIGNATURE):
        return "matroska"
    return "mp4" if header[4:8] == b"ftyp" and header[8:12] not in _STILL_BRANDS else None


def _picture_text(stream: BinaryIO, header: bytes, what: str) -> bytes | None:
    """The bytes of a record; the first bytes say what the file is, for an upload's name says little."""
    if header.startswith(_PNG_SIGNATURE):
        return _png_text(stream)
    if header.lstrip().startswith(b"{"):
        return stream.read(MAX_RECORD_BYTES + 1)
    image = identify(stream, what)
    return _if_ours(image.info.get("comment", b"") if image.format == "GIF" else _exif_comment(image))


def _png_text(stream: BinaryIO) -> bytes | None:
    """Walks the chunks by hand: Pillow decodes all pixels to reach text that a tool has put behind them."""
    stream.seek(len(_PNG_SIGNATURE))
    keyword = RECORD_KEY.encode() + b"\0"
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        after = stream.tell() + length + 4
        if kind == b"iTXt" and length > len(keyword) and stream.read(len(keyword)) == keyword:
            return _itxt_text(stream.read(min(length - len(keyword), MAX_RECORD_BYTES + 1000)))
        stream.seek(after)
    return None


def _itxt_text(body: bytes) -> bytes:
    """iTXt after its keyword: compressed?, method, language, translated keyword, text."""
    parts = body[2:].split(b"\0", 2)
    if len(parts) < 3:
        raise NoRecord("The record in this file is damaged and cannot be read.")
    if body[0] == 0:
        return parts[2]
    try:
        return zlib.decompressobj().decompress(parts[2], MAX_RECORD_BYTES + 1)
    except zlib.error as error:
        raise NoRecord("The record in this file is damaged and cannot be read.") from error


def _video_text(stream: BinaryIO, muxer: str, what: str) -> bytes | None:
    # The demuxer is named, for a guessed one may be a playlist that opens further files.
    try:
        with av.open(stream, "r", format=muxer, metadata_errors="replace") as container:
            tags = {key.lower(): value for key, value in container.metadata.items()}
    except (av.FFmpegError, OSError, ValueError) as error:
        raise damaged(what) from error
    return _if_ours(tags.get("comment", "").encode())


def _exif_comment(image: Image.Image) -> bytes:
    try:
        comment = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    except Exception:  # Pillow parses EXIF by hand and raises many kinds; what cannot be read is not ours
        return b""
    return _user_comment(comment) if isinstance(comment, bytes) else b""


def _user_comment(comment: bytes) -> bytes:
    """EXIF UserComment without its 8-byte character code; tools that rewrite it may have chosen UTF-16."""
    code, body = comment[:8], comment[8:]
    if code != b"UNICODE\0":
        return body.rstrip(b"\0")
    little = body[:2] == b"\xff\xfe" or body[1:2] == b"\0"
    return body.decode("utf-16-le" if little else "utf-16-be", "replace").strip("\ufeff\0").encode("utf-8")


def _if_ours(comment: bytes) -> bytes | None:
    """Comments are anybody's: ours is the line (GIF joins several) that is an object and names our key."""
    key = f'"{RECORD_KEY}"'.encode()
    lines = (line.strip() for line in comment.splitlines())
    return next((line for line in lines if line.startswith(b"{") and key in line), None)
