"""Short videos and animated pictures of visitors → upright frames, and how long each is shown."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import av
import numpy as np
from PIL import Image

from imgsynth.errors import BadImage
from imgsynth.imaging._files import opened, spoken_name
from imgsynth.imaging.read import Photo, damaged, identify, read_photo
from imgsynth.imaging.video import Pace

MOST_FRAMES = 900
MOST_FRAME_PIXELS = 4096 * 2304
# All frames of an animated picture are in memory when it is written.
MOST_PIXELS_IN_ALL = 500_000_000

Source = str | Path | bytes
Made = TypeVar("Made")

_MATROSKA_SIGNATURE = b"\x1a\x45\xdf\xa3"
_PICTURE_BRANDS = (b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix")
_MUXERS = {".mp4": "mp4", ".webm": "matroska"}
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
_HEADER_BYTES = 32
_USUAL_RATE = Fraction(25)
_USUAL_MILLISECONDS = 100  # how long browsers show a frame that does not tell


@dataclass(frozen=True, eq=False)
class Clip:
    """A video or animated picture, looked through once; its frames are decoded anew each time.

    Attributes:
        source: path or bytes of the file.
        name: its stem.
        width, height: of every frame, upright.
        durations: seconds for which each frame is shown.
        plays: how often an animated picture is shown; 0 is without end, as it is for videos.
        ending: what a result of the same kind is called: ".mp4", ".webm", ".gif" or ".webp".
        sha256: of the frames' own `Photo.sha256`, as bytes, one after the other.
    """

    source: Source
    name: str
    width: int
    height: int
    durations: tuple[Fraction, ...]
    plays: int
    ending: str
    sha256: str

    @property
    def pace(self) -> Pace:
        return Pace.of(self.durations, self.plays)

    def frames(self) -> Iterator[Photo]:
        """Upright 8-bit RGB(A), one after the other.

        Raises:
            BadImage: the file is no longer what it was.
        """
        what = spoken_name(None if isinstance(self.source, bytes) else self.source)
        for frame in _decoded(self.source, what):
            yield replace(frame.photo, name=self.name)


@dataclass(frozen=True)
class _Frame:
    """A decoded frame.

    Attributes:
        start: when it is shown, in seconds; None where the file does not tell.
        duration: for how long, in seconds; 0 where the file does not tell.
    """

    photo: Photo
    start: Fraction | None
    duration: Fraction
    plays: int = 0


def read_clip(source: Source, name: str | None = None) -> Clip:
    """Looks through a short video (MP4, MOV, WebM, MKV) or animated picture (GIF, WebP, PNG, AVIF).

    Sound and colour profiles are left aside: no video that we write has any.

    Args:
        name: the file's name where `source` does not tell it; default: the path's own, else "clip".

    Raises:
        BadImage: nothing there, not such a file, damaged, a still picture, too many frames or too large ones.
    """
    own = name or ("clip" if isinstance(source, bytes) else str(source))
    what = spoken_name(own)
    hashed, timed, size, plays = hashlib.sha256(), [], (0, 0), 0
    for frame in _decoded(source, what):
        size, plays = (frame.photo.width, frame.photo.height), frame.plays
        hashed.update(bytes.fromhex(frame.photo.sha256))
        timed.append((frame.start, frame.duration))
    with opened(source, what) as stream:
        ending = _ending(stream)
    if not timed or (len(timed) == 1 and ending not in _MUXERS):
        raise BadImage(f"{what} is a still picture or empty; open it as a photo instead.")
    durations = tuple(_durations(timed))
    return Clip(source, Path(own).stem, *size, durations, plays, ending, hashed.hexdigest())


def is_clip(source: Source) -> bool:
    """Whether a file is a video or an animated picture; one that cannot be read is neither.

    Raises:
        BadImage: the file is missing, unreadable or empty.
    """
    what = spoken_name(None if isinstance(source, bytes) else source)
    with opened(source, what) as stream:
        if _ending(stream) in _MUXERS:
            return True
        stream.seek(0)
        try:
            return _safely(what, lambda: _count(identify(stream, what))) > 1
        except BadImage:
            return False


def is_film(source: Source) -> bool:
    """As `is_clip`, of videos alone."""
    with opened(source, spoken_name(None if isinstance(source, bytes) else source)) as stream:
        return _ending(stream) in _MUXERS


def _ending(stream: BinaryIO) -> str:
    """Of our own file of the same kind, from the first bytes."""
    stream.seek(0)
    header = stream.read(_HEADER_BYTES)
    if header.startswith(_MATROSKA_SIGNATURE):
        return ".webm"
    if header[4:8] == b"ftyp" and header[8:12] not in _PICTURE_BRANDS:
        return ".mp4"
    return ".gif" if header.startswith(b"GIF8") else ".webp"


def _decoded(source: Source, what: str) -> Iterator[_Frame]:
    """The frames of any clip, all of one size and within the limits."""
    with opened(source, what) as stream:
        ending = _ending(stream)
        stream.seek(0)
        film = ending in _MUXERS
        frames = _film(stream, _MUXERS[ending], what) if film else _animation(stream, what)
        size: tuple[int, int] | None = None
        for index, frame in enumerate(frames):
            size = size or (frame.photo.width, frame.photo.height)
            if index == MOST_FRAMES:
                raise BadImage(f"{what} has more than {MOST_FRAMES} frames; cut it shorter first.")
            if (frame.photo.width, frame.photo.height) != size:
                raise BadImage(f"{what} changes its size on the way; save it at one size first.")
            yield frame


def _film(stream: BinaryIO, muxer: str, what: str) -> Iterator[_Frame]:
    try:
        # The demuxer is named, for a guessed one may be a playlist that opens further files.
        with av.open(stream, "r", format=muxer, metadata_errors="replace") as container:
            if not container.streams.video:
                raise BadImage(f"{what} holds no pictures, only sound; choose a video.")
            video = container.streams.video[0]
            _check_size(video.codec_context.width, video.codec_context.height, what)
            usual = 1 / (video.average_rate or _USUAL_RATE)
            for frame in container.decode(video):
                _check_size(frame.width, frame.height, what)
                yield _film_frame(frame, usual)
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise damaged(what) from error


def _film_frame(frame: av.VideoFrame, usual: Fraction) -> _Frame:
    # Phones store pictures as the sensor lies, and how far they are to be turned counterclockwise.
    pixels = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
    base = frame.time_base or Fraction()
    start = None if frame.pts is None else frame.pts * base
    photo = read_photo(Image.fromarray(np.ascontiguousarray(pixels)))
    return _Frame(photo, start, (frame.duration or 0) * base or usual)


def _animation(stream: BinaryIO, what: str) -> Iterator[_Frame]:
    image = identify(stream, what)
    _check_size(*image.size, what)
    count = _safely(what, lambda: _count(image))
    if count * image.width * image.height > MOST_PIXELS_IN_ALL:
        raise BadImage(f"{what} holds too many pixels in its {count} frames; make it smaller or shorter.")
    for index in range(count):
        yield _safely(what, partial(_animation_frame, image, index))


def _count(image: Image.Image) -> int:
    """Frames; the pages of a document and the views of a stereo camera are none."""
    return int(getattr(image, "n_frames", 1)) if image.format in _ANIMATED else 1


def _animation_frame(image: Image.Image, index: int) -> _Frame:
    image.seek(index)
    image.load()
    milliseconds = Fraction(image.info.get("duration") or _USUAL_MILLISECONDS).limit_denominator(1000)
    plays = int(image.info.get("loop", 0))
    if image.format == "GIF":  # counts repetitions, and says nothing where there are none
        plays = 1 if "loop" not in image.info else plays and plays + 1
    return _Frame(read_photo(_without_idle_alpha(image.copy())), None, milliseconds / 1000, plays)


def _without_idle_alpha(image: Image.Image) -> Image.Image:
    """Decoders differ in whether a frame that hides nothing has alpha; for us it has none."""
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() == (255, 255):
        return image.convert("RGBA").convert("RGB")
    return image


def _safely(what: str, work: Callable[[], Made]) -> Made:
    try:
        return work()
    except BadImage:
        raise
    except Exception as error:  # decoders of hostile bytes raise nearly anything
        raise damaged(what) from error


def _check_size(width: int, height: int, what: str) -> None:
    if width * height > MOST_FRAME_PIXELS:
        limit = f"frames may have at most {MOST_FRAME_PIXELS // 1_000_000} million pixels"
        raise BadImage(f"{what} is {width:,} × {height:,} pixels; {limit}, so make it smaller first.")


def _durations(timed: list[tuple[Fraction | None, Fraction]]) -> list[Fraction]:
    """From one frame's start to the next one's; as long as each says where starts are missing or run back."""
    starts = [start for start, _ in timed if start is not None]
    last = timed[-1][1]
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    if len(starts) < len(timed) or any(gap <= 0 for gap in gaps):
        return [duration for _, duration in timed]
    return [*gaps, last]
