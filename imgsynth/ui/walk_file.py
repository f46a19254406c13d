"""A finished walk as a file: a video, an animated picture, or all frames in a ZIP."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from imgsynth.imaging.archive import write_zip
from imgsynth.imaging.record import Record
from imgsynth.imaging.video import write_video

FORMATS = [
    ("MP4", "mp4"),
    ("WebM", "webm"),
    ("WebP, every pixel kept", "webp"),
    ("GIF", "gif"),
    ("PNG frames in a ZIP", "zip"),
]
FILMS = ("mp4", "webm")
ANIMATED = ("webp", "gif")
VIDEO_FORMATS = FILMS + ANIMATED


def write_walk(folder: Path, kind: str, frames: Sequence[Image.Image], fps: int, record: Record) -> str:
    """Writes frames in one of `FORMATS`; returns the path.

    Raises:
        BadRequest: the frames are too large for the format, or the disk refused.
    """
    path = folder / f"walk.{kind}"
    if kind != "zip":
        write_video(path, frames, fps, record)
        return str(path)
    numbered = folder / "frames"
    try:
        write_video(numbered, frames, fps, record)
        return str(write_zip(path, ((file.name, file) for file in sorted(numbered.iterdir()))))
    finally:
        shutil.rmtree(numbered, ignore_errors=True)
