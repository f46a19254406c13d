"""Videos: as many frames as came, a record in each format, and no half file after a failure."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from builders import pixels
from imgsynth.errors import BadImage, BadRequest, NoRecord
from imgsynth.imaging.read import read_photo
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import Pace, count_frames, write_clip, write_video

RECORD: dict[str, Any] = {
    "imgsynth": "1.0.0",
    "task": "interpolate",
    "request": {"keyframes": list(range(3000)), "path": "slerp", "label": "Zürich 東京"},
}
ENDINGS = [".mp4", ".webm", ".webp", ".gif", ""]


def film(count: int, size: tuple[int, int] = (20, 16)) -> Iterator[Image.Image]:
    for index in range(count):
        frame = Image.new("RGB", size, (20, 90, 160))
        frame.paste((250, 200, 10), (index % size[0], 2, index % size[0] + 6, 10))
        yield frame


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("count", [1, 13])
def test_frames_and_record(ending: str, count: int, tmp_path: Path) -> None:
    path = tmp_path / "deep" / f"walk{ending}"
    assert write_video(path, film(count), 30, RECORD) == count
    assert count_frames(path) == count
    assert read_record(path) == RECORD
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("ending", [".mp4", ".webm"])
def test_films_show_the_colours_at_the_rate_asked(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"walk{ending}"
    write_video(path, film(6), 24, RECORD)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 24 and stream.codec_context.pix_fmt == "yuv420p"
        assert stream.codec_context.color_range == stream.codec_context.colorspace == 1
    for shown, frame in zip(decoded(path), film(6), strict=True):
        large = np.asarray(frame.resize((shown.shape[1], shown.shape[0]), Image.Resampling.BICUBIC))
        assert np.abs(shown.astype(int) - large).mean() < 3


def test_mp4_is_fit_for_browsers(tmp_path: Path) -> None:
    path = tmp_path / "walk.mp4"
    write_video(path, film(3), 30, RECORD)
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat"), "the index must come first to start playing at once"
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.profile == "High"
        assert json.loads(container.metadata["comment"]) == RECORD


@pytest.mark.parametrize(
    ("size", "shown"),
    [((64, 64), (256, 256)), ((255, 300), (510, 600)), ((257, 301), (258, 302)), ((5, 3), (430, 258)),
     ((256, 256), (256, 256)), ((1500, 20), (3000, 40))],
)  # fmt: skip
def test_odd_and_tiny_frames(size: tuple[int, int], shown: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "walk.mp4"
    frame = Image.new("RGB", size, (200, 40, 90))
    write_video(path, [frame, frame], 30, RECORD)
    first = decoded(path)[0]
    assert (first.shape[1], first.shape[0]) == shown
    assert np.abs(first[-1].astype(int) - (200, 40, 90)).max() < 8, "the row that was added repeats the edge"


def test_equal_frames_make_equal_films(tmp_path: Path) -> None:
    """Small ones too, whatever lay in memory before; else one in seven of these comes out otherwise."""
    frames = [Image.fromarray(pixels(36, 48, seed=seed)) for seed in range(6)]
    made, rng = set(), np.random.RandomState(0)
    for _ in range(40):
        junk = [rng.bytes(rng.randint(1000, 200_000)) for _ in range(20)]
        write_clip(tmp_path / "a.mp4", iter(frames), Pace.of([Fraction(1, 20)] * 6), RECORD)
        made.add((tmp_path / "a.mp4").read_bytes())
        del junk
    assert len(made) == 1


FINE = [Fraction(333_333 + 977 * index % 15_000, 10_000_000) for index in range(301)]


@pytest.mark.parametrize(("ending", "unit"), [(".mp4", Fraction(1, 90_000)), (".webm", Fraction(1, 1000))])
@pytest.mark.parametrize(
    "durations", [FINE, [Fraction(143_165_576, 4_294_967_295)] * 40], ids=["varied", "alike"]
)
def test_frames_of_fine_times_are_shown_when_they_should(
    durations: list[Fraction], ending: str, unit: Fraction, tmp_path: Path
) -> None:
    """Cameras count in ten millionths of a second, and FFmpeg holds no average of many such times."""
    path, pace = tmp_path / f"a{ending}", Pace.of(durations)
    assert write_clip(path, film(len(durations)), pace, RECORD) == len(durations)
    with av.open(str(path)) as container:
        starts = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert all(abs(found - start) <= unit for found, start in zip(starts, pace.starts(), strict=False))


def test_a_rate_that_ffmpeg_can_hold_is_exact() -> None:
    for durations in ([Fraction(1001, 30_000)] * 9, [Fraction(333_333, 10_000_000)] * 9, FINE[:100]):
        assert Pace.of(durations).rate == len(durations) / sum(durations)
    assert Pace.of(FINE).rate != len(FINE) / sum(FINE)
    assert Pace.of([Fraction(333_333, 10_000_000)] * 9).tick == Fraction(333_333, 10_000_000)


@given(st.lists(st.fractions(min_value=Fraction(1, 2**31 - 1), max_value=2**31), min_size=1, max_size=9))
def test_rates_fit_into_ffmpegs_fractions(durations: list[Fraction]) -> None:
    pace = Pace.of(durations)
    for part in (pace.rate.numerator, pace.rate.denominator, pace.tick.numerator, pace.tick.denominator):
        assert 0 <= part < 2**31
    exact = len(durations) / sum(durations)
    assert abs(pace.rate - exact) <= 4 * max(1, exact) / 2**31
    assert list(zip(pace.ends(), durations, strict=False))[-1][0] == sum(durations)


@pytest.mark.parametrize("ending", [".mp4", ".webm"])
def test_frames_of_no_length_worth_showing_are_refused(ending: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"shown so long, or so briefly, make no video\.$"):
        write_clip(tmp_path / f"a{ending}", film(3), Pace.of([Fraction(1, 2**32)] * 3), RECORD)
    assert os.listdir(tmp_path) == []


def test_webp_is_lossless(tmp_path: Path) -> None:
    path = tmp_path / "walk.webp"
    noise = np.random.RandomState(0).randint(0, 256, (4, 9, 11, 3)).astype(np.uint8)
    write_video(path, map(Image.fromarray, noise), 30, RECORD)
    with Image.open(path) as image:
        for index, pixels in enumerate(noise):
            image.seek(index)
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), pixels)


def test_gif_lasts_as_long_as_it_should_and_repeats(tmp_path: Path) -> None:
    path = tmp_path / "walk.gif"
    write_video(path, film(12), 24, RECORD)
    with Image.open(path) as image:
        lengths = []
        for index in range(12):
            image.seek(index)
            lengths.append(image.info["duration"])
        assert sum(lengths) == 500 and image.info["loop"] == 0


def test_folder_frames_carry_their_number(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    write_video(path, film(3), 30, RECORD)
    assert sorted(os.listdir(path)) == ["frame00000.png", "frame00001.png", "frame00002.png", "record.json"]
    for index, frame in enumerate(film(3)):
        file = path / f"frame{index:05d}.png"
        np.testing.assert_array_equal(read_photo(file).pixels, np.asarray(frame))
        assert read_record(file) == {**RECORD, "request": {**RECORD["request"], "frame": index}}
    assert "frame" not in RECORD["request"]


def test_a_shorter_video_replaces_a_longer_one_in_its_folder(tmp_path: Path) -> None:
    write_video(tmp_path, film(5), 30, RECORD)
    (tmp_path / "notes.txt").write_text("mine")
    write_video(tmp_path, film(2), 30, RECORD)
    assert sorted(os.listdir(tmp_path)) == ["frame00000.png", "frame00001.png", "notes.txt", "record.json"]


def test_frames_that_are_not_ours_are_left(tmp_path: Path) -> None:
    (tmp_path / "frame00009.png").write_bytes(b"mine")
    write_video(tmp_path, film(2), 30, RECORD)
    assert (tmp_path / "frame00009.png").read_bytes() == b"mine"


def test_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_video(".", film(2), 30, RECORD) == count_frames(".") == 2
    assert write_video("walk.mp4", film(2), 30, RECORD) == count_frames("walk.mp4") == 2


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    "error", [RuntimeError("out of memory"), OSError(28, "elsewhere"), KeyboardInterrupt()]
)
def test_frames_that_fail_leave_nothing(ending: str, error: BaseException, tmp_path: Path) -> None:
    def failing() -> Iterator[Image.Image]:
        yield from film(70)  # more than encoders hold back, so that part of the file is on the disk by then
        raise error

    with pytest.raises(type(error)) as caught:
        write_video(tmp_path / f"walk{ending}", failing(), 30, RECORD)
    assert caught.value is error
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_failure_keeps_the_file_that_was_there(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"walk{ending}"
    write_video(path, film(3), 30, RECORD)

    def failing() -> Iterator[Image.Image]:
        yield from film(2)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        write_video(path, failing(), 30, {**RECORD, "task": "other"})
    assert count_frames(path) == 3 and read_record(path) == RECORD
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_frames_or_unequal_frames(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"walk{ending}"
    with pytest.raises(BadRequest, match="at least one frame"):
        write_video(path, [], 30, RECORD)
    with pytest.raises(BadRequest, match="same size"):
        write_video(path, [*film(1), *film(1, (20, 18))], 30, RECORD)
    assert os.listdir(tmp_path) == []


def test_other_endings_and_rates(tmp_path: Path) -> None:
    for name in ("walk.avi", "walk.png", "walk.mp4.txt"):
        with pytest.raises(BadRequest, match=r"\.mp4, \.webm, \.webp or \.gif, or name a folder\.$"):
            write_video(tmp_path / name, film(1), 30, RECORD)
    for fps in (0, -5, 10_000):
        with pytest.raises(BadRequest, match="choose 1 to 240"):
            write_video(tmp_path / "walk.mp4", film(1), fps, RECORD)


@pytest.mark.parametrize("ending", [".mp4", ".webp", ""])
def test_a_file_in_the_way(ending: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadRequest, match="a file is in the way") as caught:
        write_video(tmp_path / "file" / f"walk{ending}", film(2), 30, RECORD)
    assert str(tmp_path) not in str(caught.value)


def test_too_large_for_the_encoders(tmp_path: Path) -> None:
    wide = Image.new("RGB", (40_000, 2))
    for name, words in (("walk.webp", "too large for a WEBP"), ("walk.mp4", "could not be encoded")):
        with pytest.raises(BadRequest, match=words):
            write_video(tmp_path / name, [wide, wide], 30, RECORD)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", [".mp4", ".webm", ""])
def test_frames_are_not_gathered(ending: str, tmp_path: Path) -> None:
    size = (22, 18)  # of no other picture in memory
    most = 0

    def watched() -> Iterator[Image.Image]:
        nonlocal most
        yield from film(99, size)
        alive = [thing for thing in gc.get_objects() if isinstance(thing, Image.Image) and thing.size == size]
        most = len(alive)
        yield from film(1, size)

    assert write_video(tmp_path / f"walk{ending}", watched(), 30, RECORD) == 100
    assert most < 50


def test_videos_of_others(tmp_path: Path) -> None:
    path = tmp_path / "holiday.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 64
        for packet in stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")):
            container.mux(packet)
        container.mux(stream.encode(None))
    with pytest.raises(NoRecord, match="This video carries no imgsynth record"):
        read_record(path)


def test_count_frames_of_no_video(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.gif"):
        (tmp_path / name).write_bytes(b"no video")
        with pytest.raises(BadImage, match="no video"):
            count_frames(tmp_path / name)
