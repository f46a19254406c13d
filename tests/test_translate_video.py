"""Short videos and animated pictures: translated frame by frame they keep their kind, size and pace."""

from __future__ import annotations

import hashlib
import itertools
import json
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from builders import model_of, photo, pixels, tiny_cyclegan, tiny_dcgan
from cli_runs import Run, assert_refused
from imgsynth.errors import BadImage, BadRequest, ChecksumMismatch, NoRecord, TaskNotOffered
from imgsynth.families import Model
from imgsynth.imaging import clips
from imgsynth.imaging.clips import Clip, is_clip, is_film, read_clip
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import Pace, count_frames, write_clip
from imgsynth.tasks.redo import redo, redo_video
from imgsynth.tasks.requests import TranslateRequest
from imgsynth.tasks.translate import translate
from imgsynth.tasks.translate_video import translate_video

REQUEST = TranslateRequest(strength=0.5)
RECORD: dict[str, Any] = {"imgsynth": "1.0.0", "task": "test", "request": {}}
MILLI = Fraction(1, 1000)
UNEVEN = [70 * MILLI, 200 * MILLI, 40 * MILLI, 120 * MILLI]
NTSC = [Fraction(1001, 30_000)] * 4
KINDS = [".mp4", ".webm", ".gif", ".webp"]


@pytest.fixture(scope="module")
def model() -> Model:
    return model_of(tiny_cyclegan())


def shots(count: int, size: tuple[int, int] = (48, 36), alpha: bool = False) -> Iterator[Image.Image]:
    """A square that moves over a smooth ground; with alpha, the ground has a hole."""
    for index in range(count):
        values = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), -1).astype(np.uint8)
        frame = np.dstack([values * 2, np.full(values.shape[:2], 60 + index, np.uint8)])
        frame[8:16, 4 * index : 4 * index + 8] = (220, 40, 30)
        if alpha:
            hole = np.full(frame.shape[:2], 255, np.uint8)
            hole[20:30, 10:20] = 0
            frame = np.dstack([frame, hole])
        yield Image.fromarray(frame)


def film(path: Path, durations: list[Fraction], plays: int = 0, **options: Any) -> Path:
    write_clip(path, shots(len(durations), **options), Pace.of(durations, plays), RECORD)
    return path


def decoded(path: Path) -> list[np.ndarray]:
    return [frame.pixels for frame in read_clip(path).frames()]


def alike(some: Sequence[Fraction], others: Sequence[Fraction]) -> bool:
    """Whether durations differ by no more than the ticks of two formats."""
    return np.allclose([float(d) for d in some], [float(d) for d in others], atol=2e-3)


# reading


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("durations", [UNEVEN, NTSC], ids=["uneven", "steady"])
def test_a_clip_is_read_as_it_was_written(kind: str, durations: list[Fraction], tmp_path: Path) -> None:
    clip = read_clip(film(tmp_path / f"holiday.day{kind}", durations))
    assert (clip.name, clip.ending, clip.width, clip.height, clip.plays) == ("holiday.day", kind, 48, 36, 0)
    tick = {".mp4": 1 / 90, ".webm": 1, ".gif": 10, ".webp": 1}[kind]  # milliseconds
    ends = [float(1000 * end) for end in itertools.accumulate(durations)]
    found = [float(1000 * end) for end in itertools.accumulate(clip.durations)]
    # The last frame of a video lasts until nothing comes after it: encoders say so more or less exactly.
    assert np.allclose(found[:-1], ends[:-1], atol=1.01 * tick)
    assert len(found) == len(ends)
    for shown, original in zip(clip.frames(), shots(len(durations)), strict=True):
        assert np.abs(shown.pixels.astype(int) - np.asarray(original)).mean() < 4


def test_a_steady_rate_is_kept_exactly(tmp_path: Path) -> None:
    clip = read_clip(film(tmp_path / "a.mp4", NTSC))
    assert clip.durations == tuple(NTSC) and clip.pace.rate == Fraction(30_000, 1001)


@pytest.mark.parametrize("kind", [".gif", ".webp"])
@pytest.mark.parametrize("plays", [0, 1, 3])
def test_animations_play_as_often_as_they_did(kind: str, plays: int, tmp_path: Path) -> None:
    assert read_clip(film(tmp_path / f"a{kind}", UNEVEN, plays)).plays == plays


@pytest.mark.parametrize("kind", [".gif", ".webp"])
def test_transparency_is_kept(kind: str, tmp_path: Path, model: Model) -> None:
    clip = read_clip(film(tmp_path / f"a{kind}", UNEVEN, alpha=True))
    translated = translate_video(model, REQUEST, clip)
    out = tmp_path / f"out{kind}"
    write_clip(out, translated.frames, translated.pace, translated.record)
    for frame in read_clip(out).frames():
        assert frame.alpha is not None
        assert not frame.alpha[20:30, 10:20].any() and frame.alpha[:20].all()


def test_films_show_white_where_a_clip_is_transparent(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", UNEVEN, alpha=True)
    assert all(frame[22:28, 12:18].min() > 240 for frame in decoded(path))


def test_films_of_phones_stand_upright(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", NTSC)
    upright = decoded(path)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 36 << 16, 0, 1 << 30)
    path.write_bytes(data)
    clip = read_clip(path)
    assert (clip.width, clip.height) == (36, 48)
    for turned, frame in zip(decoded(path), upright, strict=True):
        assert np.array_equal(turned, np.rot90(frame, -1))  # a quarter clockwise


def test_the_sum_is_that_of_the_frames(tmp_path: Path) -> None:
    clip = read_clip(film(tmp_path / "a.webp", UNEVEN))
    sums = [hashlib.sha256(np.asarray(frame).tobytes()).digest() for frame in shots(4)]
    assert clip.sha256 == hashlib.sha256(b"".join(sums)).hexdigest()


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.rate = 8000
        container.mux([*stream.encode(frame), *stream.encode(None)])


def test_what_is_no_clip_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = film(tmp_path / "whole.mp4", UNEVEN).read_bytes()
    animation = film(tmp_path / "whole.gif", UNEVEN).read_bytes()
    Image.fromarray(pixels(20, 20)).save(tmp_path / "still.png")
    sound_only(tmp_path / "sound.mp4")
    (tmp_path / "cut.mp4").write_bytes(whole[:600])
    (tmp_path / "cut.gif").write_bytes(animation[:900])
    (tmp_path / "text.mp4").write_text("Dear diary")
    for name, about in {
        "still.png": "still picture",
        "sound.mp4": "only sound",
        "cut.mp4": "damaged",
        "cut.gif": "damaged",
        "text.mp4": "no picture we can open",
        "missing.mp4": "not there",
    }.items():
        with pytest.raises(BadImage, match=about) as caught:
            read_clip(tmp_path / name)
        assert name in str(caught.value) and str(tmp_path) not in str(caught.value)
    monkeypatch.setattr(clips, "MOST_FRAMES", 3)
    for name in ("whole.mp4", "whole.gif"):
        with pytest.raises(BadImage, match="more than 3 frames; cut it shorter"):
            read_clip(tmp_path / name)
    monkeypatch.setattr(clips, "MOST_FRAME_PIXELS", 48 * 36 - 1)
    for name in ("whole.mp4", "whole.gif"):
        with pytest.raises(BadImage, match="48 × 36 pixels"):
            read_clip(tmp_path / name)


def test_clips_are_told_from_photos(tmp_path: Path) -> None:
    found = {kind: film(tmp_path / f"a{kind}", UNEVEN) for kind in KINDS}
    Image.fromarray(pixels(20, 20)).save(tmp_path / "still.gif")
    (tmp_path / "text.gif").write_text("Dear diary")
    assert all(is_clip(path) for path in found.values())
    assert [kind for kind, path in found.items() if is_film(path)] == [".mp4", ".webm"]
    assert not is_clip(tmp_path / "still.gif") and not is_clip(tmp_path / "text.gif")


# translating


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_stays_a_clip(kind: str, model: Model, tmp_path: Path) -> None:
    clip = read_clip(film(tmp_path / f"a{kind}", UNEVEN))
    translated = translate_video(model, REQUEST, clip)
    assert (translated.total, translated.name, translated.ending) == (4, "a", kind)
    frames = list(translated.frames)
    for frame, original in zip(frames, clip.frames(), strict=True):
        assert frame.tobytes() == translate(model, REQUEST, original).image.tobytes()
    out = tmp_path / f"out{translated.ending}"
    assert write_clip(out, frames, translated.pace, translated.record) == count_frames(out) == 4
    again = read_clip(out)
    assert (again.width, again.height) == (48, 36)
    assert np.allclose(
        [float(d) for d in again.durations[:-1]], [float(d) for d in clip.durations[:-1]], atol=2e-3
    )
    record = read_record(out)
    assert record == translated.record
    assert record["request"] == {"strength": 0.5, "video": True}
    assert record["input_sha256"] == [clip.sha256]


def test_a_clip_may_become_another_kind(model: Model, tmp_path: Path) -> None:
    clip = read_clip(film(tmp_path / "a.webp", UNEVEN, size=(47, 35)))
    for kind, size in {".mp4": (48, 36), ".webm": (48, 36), ".gif": (47, 35)}.items():
        translated = translate_video(model, REQUEST, clip)
        write_clip(tmp_path / f"out{kind}", translated.frames, translated.pace, translated.record)
        again = read_clip(tmp_path / f"out{kind}")
        assert (again.width, again.height) == size  # films need even sides; the edge is repeated
        assert alike(again.durations[:3], UNEVEN[:3])


def test_frames_come_one_by_one_and_what_is_done_can_be_kept(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, made = read_clip(film(tmp_path / "a.mp4", UNEVEN)), []
    whole = model.translate  # type: ignore[attr-defined]
    monkeypatch.setattr(model, "translate", lambda batch: made.append(1) or whole(batch))
    translated = translate_video(model, REQUEST, clip)
    assert len(made) <= 1  # at most the little noise that tells how much memory a pass takes
    made.clear()
    some = itertools.islice(translated.frames, 2)
    assert write_clip(tmp_path / "b.mp4", some, translated.pace, translated.record) == 2
    assert count_frames(tmp_path / "b.mp4") == len(made) == 2


def test_sound_is_left_out(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "loud.mp4"
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("libx264", rate=10), container.add_stream("aac", rate=8000)
        video.width, video.height, video.pix_fmt = 48, 36, "yuv420p"
        for image in shots(3):
            container.mux(video.encode(av.VideoFrame.from_image(image)))
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        tone.rate = 8000
        container.mux([*video.encode(None), *audio.encode(tone), *audio.encode(None)])
    translated = translate_video(model, REQUEST, read_clip(path))
    assert translated.pace.rate == 10
    write_clip(tmp_path / "out.mp4", translated.frames, translated.pace, translated.record)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_a_translated_clip_can_be_made_again(model: Model, tmp_path: Path) -> None:
    clip = read_clip(film(tmp_path / "a.gif", UNEVEN))
    translated = translate_video(model, REQUEST, clip)
    record = json.loads(json.dumps(translated.record))
    again = redo_video(model, record, clip)
    assert again.record == translated.record and again.pace == translated.pace
    pairs = zip(again.frames, translated.frames, strict=True)
    assert all(one.tobytes() == two.tobytes() for one, two in pairs)

    other = read_clip(film(tmp_path / "b.gif", NTSC, alpha=True))
    with pytest.raises(BadImage, match="b is not the photo that was used"):
        redo_video(model, record, other)
    with pytest.raises(NoRecord, match="not of a video"):
        redo_video(model, translate(model, REQUEST, photo(20, 20)).record, clip)
    with pytest.raises(ChecksumMismatch):
        redo_video(model, {**record, "checkpoint": {"sha256": "1" * 64}}, clip)
    with pytest.raises(BadImage, match="give that video"):
        redo(model, {**record, "input_sha256": []})


@pytest.mark.parametrize("index", [4, -1, "2"])
def test_a_frame_that_is_not_there_is_not_made_again(model: Model, tmp_path: Path, index: Any) -> None:
    clip = read_clip(film(tmp_path / "a.gif", UNEVEN))
    made = translate_video(model, REQUEST, clip).record
    with pytest.raises(BadRequest, match="frame"):
        redo_video(model, {**made, "request": {**made["request"], "frame": index}}, clip)


def test_a_model_that_cannot_is_refused_before_any_frame(tmp_path: Path) -> None:
    clip: Clip = read_clip(film(tmp_path / "a.gif", UNEVEN))
    with pytest.raises(TaskNotOffered):
        translate_video(model_of(tiny_dcgan()), REQUEST, clip)


# the command line


@pytest.mark.usefixtures("tiny_catalog")
def test_the_command_line_takes_videos_and_makes_them_again(run: Run, tmp_path: Path) -> None:
    video, animation = film(tmp_path / "a.mp4", NTSC), film(tmp_path / "b.gif", UNEVEN)
    out = tmp_path / "out"
    words = ("translate", "--checkpoint", "tiny-cyclegan", video, animation, "--out", out)
    ran = run(*words, "--all-frames")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [str(out / "a.mp4"), str(out / "b.gif")]
    assert count_frames(out / "a.mp4") == count_frames(out / "b.gif") == 4
    # As it is promised of photos, an animated picture's first frame becomes a PNG unless all are asked for.
    assert run(*words).out.splitlines() == [str(out / "a.mp4"), str(out / "b.png")]

    again = tmp_path / "again.mp4"
    ran = run("redo", out / "a.mp4", "--out", again, "--input", video)
    assert (ran.code, ran.out) == (0, f"{again}\n"), ran.err
    assert all(np.array_equal(*pair) for pair in zip(decoded(again), decoded(out / "a.mp4"), strict=True))
    assert read_record(again) == read_record(out / "a.mp4")
    assert_refused(run("redo", out / "a.mp4", "--out", again, "--input", animation), "b is not the")
    frame = out / "frame00002.png"
    run("redo", out / "a.mp4", "--out", out / "frames", "--input", video)
    assert run("redo", out / "frames" / frame.name, "--out", frame, "--input", video).code == 0
    assert np.array_equal(np.asarray(Image.open(frame)), np.asarray(Image.open(out / "frames" / frame.name)))
    assert read_record(frame) == read_record(out / "frames" / frame.name)
    folder = run("redo", out / "frames" / frame.name, "--out", tmp_path / "no.mp4", "--input", video)
    assert_refused(folder, "no.mp4")
    assert_refused(run("redo", out / "a.mp4", "--out", tmp_path / "a.png", "--input", video), "a.png")
