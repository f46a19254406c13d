"""The Interpolate tab without a server: the files of a walk, whole or stopped, and single frames of it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image, ImageSequence

from imgsynth.errors import BadRequest
from imgsynth.imaging.record import RECORD_FILE, read_record
from imgsynth.imaging.video import count_frames
from imgsynth.runtime.opening import Runtime
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.redo import Walk, redo
from imgsynth.ui.interpolate_tab import make_render
from imgsynth.ui.runs import stop
from imgsynth.ui.scrub import ScrubPanel, make_scrub, make_scrub_slider, make_scrub_view
from imgsynth.ui.session import Session
from imgsynth.ui.walk_file import ANIMATED, FILMS, FORMATS
from walkers import FRAMES, Walker, given


@pytest.fixture
def session(tiny_catalog: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return Session(Runtime("cpu", "fp32"))


@pytest.fixture
def walker(session: Session) -> Walker:
    return Walker(session)


def render(walker: Walker, kind: str) -> Any:
    """Preview, video, line and download, one after the other."""
    return make_render(walker.session, walker.controls, walker.run)(walker.having(kind=kind))


@pytest.mark.parametrize("kind", [kind for _, kind in FORMATS])
def test_a_walk_is_written_as_asked_for(walker: Walker, kind: str) -> None:
    *_, (preview, video, line, download) = render(walker, kind)
    path = Path(given(download))
    assert path.suffix == f".{kind}"
    assert list(path.parent.iterdir()) == [path], "Gradio would not delete what it does not show"
    assert f"{FRAMES} frames" in line
    assert given(video) == (str(path) if kind in FILMS else None)
    assert (given(preview) == str(path)) is (kind in ANIMATED)
    if kind != "zip":
        assert count_frames(path) == FRAMES
        assert read_record(path)["request"]["frames"] == FRAMES
        return
    with zipfile.ZipFile(path) as archive:
        names = [f"frame{index:05d}.png" for index in range(FRAMES)]
        assert archive.namelist() == [*names, RECORD_FILE]
        assert read_record(archive.read(names[7]))["request"]["frame"] == 7


def test_a_stopped_walk_keeps_its_frames(walker: Walker) -> None:
    walk = render(walker, "webp")
    next(walk)
    next(walk)  # every eighth frame is shown
    stop(walker.values[walker.run])
    preview, _, line, download = next(walk)
    path = given(download)
    assert given(preview) == path
    assert line == f"Stopped; 9 of {FRAMES} frames are kept."
    record = read_record(path)
    assert record["request"]["kept"] == 9
    remade = redo(walker.session.model("tiny-gan"), record)
    assert isinstance(remade, Walk)
    assert remade.record["request"] == record["request"]
    with Image.open(path) as image:
        kept = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    again = [np.asarray(frame) for frame in remade.frames]
    assert len(again) == 9
    np.testing.assert_array_equal(kept, again)


@pytest.mark.parametrize("kept", [0, FRAMES + 1, "all"])
def test_a_record_of_more_frames_than_there_are_is_refused(walker: Walker, kept: Any) -> None:
    *_, (_, _, _, download) = render(walker, "webp")
    record = read_record(given(download))
    record["request"]["kept"] = kept
    with pytest.raises(BadRequest, match="kept frames"):
        redo(walker.session.model("tiny-gan"), record)


# Scrubbing


@pytest.fixture
def scrubbed(walker: Walker) -> ScrubPanel:
    with gr.Blocks():
        return ScrubPanel(make_scrub_slider(), *make_scrub_view())


def scrub(walker: Walker, panel: ScrubPanel, position: float) -> tuple[str | None, str]:
    """The file and the line at a position."""
    event = make_scrub(walker.session, walker.controls, panel)
    updates = event({**walker.values, panel.slider: position})
    return updates[panel.image], updates[panel.line]


@pytest.mark.parametrize("path", ["slerp", "spline"])
@pytest.mark.parametrize("easing", ["none", "smoothstep"])
@pytest.mark.parametrize("loop", [False, True])
def test_the_scrubbed_picture_is_the_frame_of_the_video(
    walker: Walker, scrubbed: ScrubPanel, path: str, easing: str, loop: bool
) -> None:
    walker.having(path=path, easing=easing, loop=loop, keyframes="1,2,5")
    *_, (_, _, _, download) = render(walker, "webp")
    with Image.open(given(download)) as film:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]
    for position, index in ((0, 0), (0.5, 10), (0.61, 12), (1, FRAMES - 1)):
        still, line = scrub(walker, scrubbed, position)
        assert still is not None
        assert line.startswith(f"Frame {index + 1} of {FRAMES} · {index / 20:.2f} s")
        with Image.open(still) as image:
            np.testing.assert_array_equal(np.asarray(image), frames[index])


def test_a_scrubbed_picture_carries_its_recipe(walker: Walker, scrubbed: ScrubPanel) -> None:
    walker.having(easing="smoothstep", psi=0.7)
    still, _ = scrub(walker, scrubbed, 0.3)
    record = read_record(str(still))
    assert record["request"]["frame"] == 6
    assert record["request"]["easing"] == "smoothstep"
    again = redo(walker.session.model("tiny-gan"), record)
    assert isinstance(again, Picture)
    with Image.open(str(still)) as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(again.image))


def test_where_a_position_lies_is_told(walker: Walker, scrubbed: ScrubPanel) -> None:
    walker.having(keyframes="1,2,5", frames=9, loop=False)
    lines = [scrub(walker, scrubbed, position)[1] for position in (0, 0.2, 0.5, 0.8, 1)]
    assert [line.rpartition(" · ")[2] for line in lines] == [
        "at keyframe 1",
        "between keyframes 1 and 2",
        "at keyframe 2",
        "between keyframes 2 and 3",
        "at keyframe 3",
    ]
    walker.having(loop=True)
    assert scrub(walker, scrubbed, 1)[1].endswith("between keyframes 3 and 1")


@pytest.mark.parametrize("text", ["", "7", "abc", "1,latent:z:AAAA"])
def test_without_a_walk_there_is_nothing_to_scrub(walker: Walker, scrubbed: ScrubPanel, text: str) -> None:
    walker.having(keyframes=text)
    assert scrub(walker, scrubbed, 0.5) == (None, "")
    with pytest.raises(gr.Error):  # the button says why
        next(render(walker, "mp4"))
