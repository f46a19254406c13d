"""Many pictures in one ZIP, with a sheet on which all of them can be seen."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from imgsynth.errors import BadRequest
from imgsynth.imaging._files import disk_errors, part_beside, spoken_name
from imgsynth.imaging.grid import make_grid
from imgsynth.imaging.read import read_photo
from imgsynth.imaging.record import Record, read_record
from imgsynth.imaging.write import encode_png

SHEET = "contact-sheet.png"
_THUMBNAIL = 192
_COLUMNS = 6

File = tuple[str, Path | bytes]


def write_zip(path: str | Path, files: Iterable[File], sheet: bool = False) -> Path:
    """Writes pictures that we made into a ZIP, whole or not at all, one at a time as they come.

    Nothing is compressed again: PNGs and videos are as small as they get. Entries have the oldest date there
    is, so that equal pictures give equal files.

    Args:
        files: name in the ZIP, and the file: its path or its bytes.
        sheet: adds `contact-sheet.png` with all pictures, small, side by side.

    Raises:
        BadRequest: no files, a name that comes twice or leads elsewhere, or the disk refused.
        BadImage, NoRecord: with a sheet, a file that is not a picture of ours.
        Whatever `files` raises.
    """
    path = Path(path)
    part = part_beside(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with disk_errors(path), zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            _fill(archive, files, sheet)
        with disk_errors(path):
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _fill(archive: zipfile.ZipFile, files: Iterable[File], sheet: bool) -> None:
    names = {SHEET} if sheet else set()
    thumbnails: list[Image.Image] = []
    records: list[tuple[str, Record]] = []
    for name, source in files:
        _check_name(name, names)
        names.add(name)
        data = source.read_bytes() if isinstance(source, Path) else source
        archive.writestr(_entry(name), data)
        if sheet:
            thumbnails.append(_thumbnail(data, name))
            records.append((name, read_record(data)))
    if not archive.namelist():
        raise BadRequest("There is nothing to put into the ZIP yet.")
    if sheet:
        archive.writestr(_entry(SHEET), encode_png(make_grid(thumbnails, _COLUMNS), _joint(records)))


def _check_name(name: str, taken: set[str]) -> None:
    if name in taken:
        raise BadRequest(f"Two pictures would be called {spoken_name(name)} in the ZIP; rename one.")
    if Path(name).name != name or "\\" in name:  # would be unpacked beside or above its folder
        raise BadRequest(f"{spoken_name(name)} cannot be a name in a ZIP; leave the folder out.")


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16  # else nobody may read what is unpacked
    return entry


def _thumbnail(data: bytes, name: str) -> Image.Image:
    """In the middle of a white square."""
    small = read_photo(data, name).image.convert("RGBA")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    square = Image.new("RGB", (_THUMBNAIL, _THUMBNAIL), "white")
    square.paste(small, ((_THUMBNAIL - small.width) // 2, (_THUMBNAIL - small.height) // 2), small)
    return square


def _joint(records: list[tuple[str, Record]]) -> Record:
    """The record of the sheet: what the first picture's says of the checkpoint, and what is on it."""
    inputs = [sha256 for _, record in records for sha256 in record.get("input_sha256") or []]
    request = {"pictures": [name for name, _ in records]}
    own = {"task": "contact_sheet", "request": request, "input_sha256": inputs, "mask_sha256": None}
    return {**records[0][1], **own}
