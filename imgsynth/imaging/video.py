"""Frames → a video file, an animated picture, or a folder of numbered PNGs; each with the record."""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from PIL import Image

from imgsynth.errors import BadImage, BadRequest
from imgsynth.imaging._files import disk_errors, part_beside, spoken_name, write_whole
from imgsynth.imaging.record import RECORD_FILE, Record, dump_record, exif_with_record, frame_record
from imgsynth.imaging.write import Job, encode_all, on_white

MAX_FPS = 240
_SHORTEST_SIDE = 256  # players and hardware decoders refuse smaller videos, or show them as a stamp
_LONGEST_ENLARGED = 4096  # a strip of few rows is not blown up beyond what decoders take
_LARGEST_PART = 2**31 - 1  # of a fraction, as FFmpeg keeps them
_BT709 = 1  # of matrix, transfer and primaries alike; stated, for browsers else guess it from the size
_LIMITED_RANGE = 1


@dataclass(frozen=True)
class Pace:
    """When frames are shown.

    Attributes:
        rate: frames per second, on average.
        durations: seconds for each frame, at least as many as there are frames; None: all alike.
        plays: how often an animated picture is shown; 0 is without end.
        enlarged: whether small frames are made larger for a film.
    """

    rate: Fraction
    durations: Sequence[Fraction] | None = None
    plays: int = 0
    enlarged: bool = False

    @classmethod
    def of(cls, durations: Sequence[Fraction], plays: int = 0) -> Pace:
        """The pace of frames that last so long, at least one."""
        exact = len(durations) / sum(durations, Fraction())
        # The average of times in fine units may be more than FFmpeg can hold; frames keep their own times.
        rate = exact.limit_denominator(max(1, int(_LARGEST_PART / max(Fraction(1), exact))))
        alike = rate == exact and len(set(durations)) == 1
        return cls(rate, None if alike else durations, plays)

    @property
    def tick(self) -> Fraction:
        """The unit of a film's times: a frame, or the 90 kHz of broadcasting where frames differ."""
        return 1 / self.rate if self.durations is None else Fraction(1, 90_000)

    def ends(self) -> Iterator[Fraction]:
        """When each frame ends, in seconds."""
        each = itertools.repeat(1 / self.rate) if self.durations is None else self.durations
        return itertools.accumulate(each)

    def starts(self) -> Iterator[Fraction]:
        return itertools.chain([Fraction()], self.ends())


class _Film(NamedTuple):
    muxer: str
    muxer_options: dict[str, str]
    codec: str
    codec_options: dict[str, str]


_H264 = {"crf": "14", "preset": "medium", "profile": "high"}
_VP9 = {"crf": "18", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}

# x264's rate control over a tree of macroblocks reads beyond pictures of a few of them, on some processors:
# one clip then becomes different files, by what lies there.
_FEW_MACROBLOCKS = 128
_WITHOUT_TREE = {"x264-params": "mbtree=0"}

# Both play in every browser of today: 4:2:0, High profile, and the index at the front to start at once.
_FILMS = {
    ".mp4": _Film("mp4", {"movflags": "+faststart"}, "libx264", _H264),
    ".webm": _Film("webm", {}, "libvpx-vp9", _VP9),
}


def write_video(path: str | Path, frames: Iterable[Image.Image], fps: int, record: Record) -> int:
    """Writes frames as the path's ending says; a failure on the way leaves nothing under that name.

    `.mp4` and `.webm` are made a little larger where they must (whole multiples up to 256 pixels a side, even
    sides), `.webp` is lossless, `.gif` has 256 colours a frame; a path without ending, or an existing folder,
    gets `frame00000.png` … and `record.json`. Video and folder are written as frames come; `.webp` and `.gif`
    are held in memory until the last.

    Args:
        frames: RGB pictures of one size.
        fps: frames per second, 1 … `MAX_FPS`; GIF rounds each to hundredths of a second.
        record: what made them; JSON values only.

    Returns:
        The number of frames.

    Raises:
        BadRequest: another ending, a bad rate, no frames, frames of several sizes, or the disk refused.
        Whatever `frames` raises.
    """
    path = Path(path)
    write = _writer(path)
    if not 1 <= fps <= MAX_FPS:
        raise BadRequest(f"{fps} frames per second cannot be written; choose 1 to {MAX_FPS}.")
    return write(path, _of_one_size(frames), Pace(Fraction(fps), enlarged=True), record)


def write_clip(path: str | Path, frames: Iterable[Image.Image], pace: Pace, record: Record) -> int:
    """As `write_video`, at a pace of its own and at the frames' own size, but for sides made even for films.

    `.gif` and `.webp` keep transparency; films show what is transparent as white. `frames` may end early.

    Raises:
        BadRequest: as `write_video`.
        Whatever `frames` raises.
    """
    path = Path(path)
    return _writer(path)(path, _of_one_size(frames), pace, record)


def count_frames(path: str | Path) -> int:
    """Decodes what `write_video` wrote and counts its frames.

    Raises:
        BadImage: not such a file.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return sum(1 for _ in path.glob("frame*.png"))
        if path.suffix.lower() in _FILMS:
            with av.open(str(path)) as container:
                return sum(1 for _ in container.decode(video=0))
        with Image.open(path, formats=("WEBP", "GIF")) as image:
            return int(getattr(image, "n_frames", 1))
    except (OSError, av.FFmpegError) as error:
        raise BadImage(f"{spoken_name(path)} is no video we can open.") from error


_Write = Callable[[Path, Iterator[Image.Image], Pace, Record], int]


def _writer(path: Path) -> _Write:
    if path.is_dir() or not path.suffix:
        return _write_folder
    by_ending: dict[str, _Write] = {
        ".mp4": _write_film, ".webm": _write_film, ".webp": _write_webp, ".gif": _write_gif
    }  # fmt: skip
    write = by_ending.get(path.suffix.lower())
    if write is None:
        endings = "end in .mp4, .webm, .webp or .gif, or name a folder"
        raise BadRequest(f"{spoken_name(path)} cannot be written; let the name {endings}.")
    return write


def _of_one_size(frames: Iterable[Image.Image]) -> Iterator[Image.Image]:
    size: tuple[int, int] | None = None
    for frame in frames:
        size = size or frame.size
        if frame.size != size:
            raise BadRequest("The frames of a video must all have the same size.")
        yield frame if frame.mode == "RGBA" else frame.convert("RGB")
    if size is None:
        raise BadRequest("A video needs at least one frame.")


def _write_film(path: Path, frames: Iterator[Image.Image], pace: Pace, record: Record) -> int:
    comment = dump_record(record)
    part = part_beside(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        count = _encode_film(part, path, frames, pace, comment)
        with disk_errors(path):
            part.replace(path)
        return count
    finally:
        part.unlink(missing_ok=True)


def _encode_film(part: Path, path: Path, frames: Iterator[Image.Image], pace: Pace, comment: str) -> int:
    """Encodes into `part`; `path` tells the format and is what sentences name."""
    film = _FILMS[path.suffix.lower()]
    first = next(frames)  # before the file is opened, for it may raise; the size is needed too
    with _film_errors(path):
        container = av.open(str(part), "w", format=film.muxer, container_options=film.muxer_options)
    with container:
        container.metadata["comment"] = comment
        with _film_errors(path):
            stream = _add_stream(container, film, _film_pixels(first, pace.enlarged), pace)
        count = 0
        # Frames are drawn outside film_errors: their errors are the caller's.
        for frame, start in zip(itertools.chain([first], frames), pace.starts(), strict=False):
            with _film_errors(path):
                container.mux(stream.encode(_film_frame(frame, start, pace)))
            count += 1
        with _film_errors(path):
            container.mux(stream.encode(None))
    return count


@contextmanager
def _film_errors(path: Path) -> Iterator[None]:
    with disk_errors(path):
        try:
            yield
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise BadRequest("These frames could not be encoded as a video; use smaller ones.") from error
        except OverflowError as error:
            raise BadRequest("Frames that are shown so long, or so briefly, make no video.") from error


def _add_stream(container: OutputContainer, film: _Film, pixels: np.ndarray, pace: Pace) -> VideoStream:
    few = film.codec == "libx264" and min(pixels.shape[:2]) < _FEW_MACROBLOCKS
    options = film.codec_options | (_WITHOUT_TREE if few else {})
    stream = container.add_stream(film.codec, rate=pace.rate, options=options)
    assert isinstance(stream, VideoStream)  # the codecs of _FILMS are all video
    stream.height, stream.width = pixels.shape[:2]
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = pace.tick
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED_RANGE
    return stream


def _film_pixels(image: Image.Image, enlarged: bool) -> np.ndarray:
    """uint8 H×W×3 of a size that players take: small frames enlarged by a whole factor, sides made even."""
    image = on_white(image)
    factor = min(math.ceil(_SHORTEST_SIDE / min(image.size)), _LONGEST_ENLARGED // max(image.size))
    if enlarged and factor > 1:
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.BICUBIC)
    pixels = np.asarray(image)
    return np.pad(pixels, ((0, image.height % 2), (0, image.width % 2), (0, 0)), mode="edge")


def _film_frame(image: Image.Image, start: Fraction, pace: Pace) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(_film_pixels(image, pace.enlarged), "rgb24").reformat(
        format="yuv420p",
        dst_colorspace=_BT709,
        dst_color_range=_LIMITED_RANGE,
        dst_color_trc=_BT709,
        dst_color_primaries=_BT709,
    )
    frame.time_base, frame.pts = pace.tick, round(start / pace.tick)
    return frame


def _write_webp(path: Path, frames: Iterator[Image.Image], pace: Pace, record: Record) -> int:
    exif = exif_with_record(record)
    pictures = list(frames)
    ends = [float(1000 * end) for end in itertools.islice(pace.ends(), len(pictures))]
    durations = [end - start for start, end in itertools.pairwise([0.0, *ends])]
    options = {"loop": pace.plays, "lossless": True, "quality": 50, "exif": exif}
    write_whole(path, _animation(pictures, "WEBP", duration=durations, **options))
    return len(pictures)


def _write_gif(path: Path, frames: Iterator[Image.Image], pace: Pace, record: Record) -> int:
    comment = dump_record(record)
    pictures = [frame if frame.mode == "RGBA" else frame.quantize(256) for frame in frames]
    ends = [round(100 * end) for end in itertools.islice(pace.ends(), len(pictures))]
    # Rounded by when each ends, so that errors do not add up; browsers slow down anything under 2/100 s.
    durations = [max(2, end - start) * 10 for start, end in itertools.pairwise([0, *ends])]
    options: dict[str, Any] = {"duration": durations, "comment": comment}
    if pace.plays != 1:  # the format counts repetitions, and says nothing where there are none
        options["loop"] = max(0, pace.plays - 1)
    if any(picture.mode == "RGBA" for picture in pictures):
        options["disposal"] = 2  # else a frame would show through the holes of the next
    write_whole(path, _animation(pictures, "GIF", **options))
    return len(pictures)


def _animation(pictures: list[Image.Image], kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    try:
        pictures[0].save(buffer, kind, save_all=True, append_images=pictures[1:], **options)
    except (OSError, ValueError, RuntimeError) as error:  # more pixels a side than the format knows
        raise BadRequest(f"These frames are too large for a {kind} file; write an .mp4 instead.") from error
    return buffer.getvalue()


def _write_folder(path: Path, frames: Iterator[Image.Image], pace: Pace, record: Record) -> int:
    text = dump_record(record)
    # Inside a folder that exists, since what is beside it may be another disk or not ours to write.
    part = path / part_beside(path / "frames").name if path.is_dir() else part_beside(path)
    try:
        with disk_errors(path):
            part.mkdir(parents=True)
        count = sum(1 for _ in encode_all(_numbered(part, frames, record)))
        write_whole(part / RECORD_FILE, text.encode("ascii"))
        with disk_errors(path):
            _put_in_place(part, path)
        return count
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _numbered(folder: Path, frames: Iterator[Image.Image], record: Record) -> Iterator[Job]:
    for index, frame in enumerate(frames):
        yield folder / f"frame{index:05d}.png", frame, frame_record(record, index), None


def _put_in_place(part: Path, path: Path) -> None:
    """Renames the finished folder, or moves its files into one that exists in place of an earlier video."""
    if not path.is_dir():
        part.rename(path)
        return
    names = {file.name for file in part.iterdir()}
    if (path / RECORD_FILE).exists():  # only then are the numbered frames there ours to remove
        for old in path.glob("frame" + "[0-9]" * 5 + ".png"):
            if old.name not in names:
                old.unlink()
    for name in sorted(names):
        (part / name).replace(path / name)
