"""What reading and writing share: spoken names, safe opening, writes that are whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from imgsynth.errors import BadImage, BadRequest

_LONGEST_NAME = 60

_DISK_TROUBLE = {
    errno.ENOSPC: "there is no space left on the disk; free some and try again",
    errno.EDQUOT: "the disk quota is used up; free some space and try again",
    errno.EACCES: "you may not write there; choose another folder",
    errno.EPERM: "you may not write there; choose another folder",
    errno.EROFS: "that place is read-only; choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.EISDIR: "a folder of that name is in the way; choose another name",
    errno.ENOTDIR: "a file is in the way of its folder; choose another folder",
    errno.EEXIST: "a file is in the way of its folder; choose another folder",
}


def spoken_name(name: str | Path | None, otherwise: str = "The picture") -> str:
    """The bare name of a file, fit to stand in a sentence: no path, no control characters, not endless."""
    bare = "".join(char for char in Path(name or "").name if char.isprintable())
    if len(bare) > _LONGEST_NAME:
        bare = bare[: _LONGEST_NAME - 1] + "…"
    return bare or otherwise


def _readable_status(path: Path, what: str) -> os.stat_result:
    try:
        return path.stat()
    except PermissionError as error:
        raise BadImage(f"{what} may not be read; change its permissions or choose another file.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        raise BadImage(f"{what} is not there; check its name.") from error


def _open_file(path: Path, what: str) -> BinaryIO:
    status = _readable_status(path, what)
    if stat.S_ISDIR(status.st_mode):
        raise BadImage(f"{what} is a folder; name one file in it.")
    if not stat.S_ISREG(status.st_mode):  # a pipe or /dev/zero would be read for ever
        raise BadImage(f"{what} is not a regular file; choose a picture file.")
    if status.st_size == 0:
        raise BadImage(f"{what} is empty (0 bytes); choose another file.")
    try:
        return path.open("rb")
    except OSError as error:
        raise BadImage(f"{what} may not be read; change its permissions or choose another file.") from error


@contextmanager
def opened(source: str | Path | bytes, what: str) -> Iterator[BinaryIO]:
    """A seekable stream over a file's bytes, closed at the end.

    Args:
        source: a path, or the bytes themselves.
        what: how sentences call the file (see `spoken_name`).

    Raises:
        BadImage: the file is missing, unreadable, empty, or no regular file.
    """
    if isinstance(source, bytes):
        if not source:
            raise BadImage(f"{what} is empty (0 bytes); choose another file.")
        yield BytesIO(source)
        return
    with _open_file(Path(source), what) as stream:
        yield stream


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns an OSError of the block into a BadRequest, whose sentence names `path` without its folder."""
    try:
        yield
    except OSError as error:
        reason = _DISK_TROUBLE.get(error.errno or 0, "the disk refused; check the folder and try again")
        raise BadRequest(f"{spoken_name(path, 'The file')} could not be written: {reason}.") from error


def part_beside(path: Path) -> Path:
    """A fresh hidden name in the same folder, so that a rename to `path` stays on one disk and is atomic."""
    return path.with_name(f".{uuid.uuid4().hex}.part")


def write_whole(path: Path, data: bytes) -> Path:
    """Writes `data` to `path`, all of it or nothing; makes the folders above it.

    Raises:
        BadRequest: the disk refused.
    """
    part = part_beside(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path
