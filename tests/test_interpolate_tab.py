"""The Interpolate tab without a server: the files that a walk is written as, whole or stopped on the way."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from imgsynth.errors import BadRequest
from imgsynth.imaging.record import RECORD_FILE, read_record
from imgsynth.imaging.video import count_frames
from imgsynth.runtime.opening import Runtime
from imgsynth.tasks.redo import Walk, redo
from imgsynth.ui.interpolate_tab import make_render
from imgsynth.ui.runs import begin, stop
from imgsynth.ui.session import Session
from imgsynth.ui.walk_file import ANIMATED, FILMS, FORMATS

FRAMES = 20


@pytest.fixture
def session(tiny_catalog: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return Session(Runtime("cpu", "fp32"))


def render(session: Session, kind: str, run: str | None = None) -> Any:
    """Preview, video, line and download, one after the other."""
    options = (FRAMES, "slerp", False, 20, 1.0, kind)
    return make_render(session)("tiny-gan", "1,2", None, None, None, *options, run or begin(None))


def shown(component: Any) -> Any:
    return component.constructor_args.get("value")


@pytest.mark.parametrize("kind", [kind for _, kind in FORMATS])
def test_a_walk_is_written_as_asked_for(session: Session, kind: str) -> None:
    *_, (preview, video, line, download) = render(session, kind)
    path = Path(shown(download))
    assert path.suffix == f".{kind}"
    assert f"{FRAMES} frames" in line
    assert shown(video) == (str(path) if kind in FILMS else None)
    assert (shown(preview) == str(path)) is (kind in ANIMATED)
    if kind != "zip":
        assert count_frames(path) == FRAMES
        assert read_record(path)["request"]["frames"] == FRAMES
        return
    with zipfile.ZipFile(path) as archive:
        names = [f"frame{index:05d}.png" for index in range(FRAMES)]
        assert archive.namelist() == [*names, RECORD_FILE]
        assert read_record(archive.read(names[7]))["request"]["frame"] == 7


def test_a_stopped_walk_keeps_its_frames(session: Session) -> None:
    run = begin(None)
    walk = render(session, "webp", run)
    next(walk)
    next(walk)  # every eighth frame is shown
    stop(run)
    preview, _, line, download = next(walk)
    path = shown(download)
    assert shown(preview) == path
    assert line == f"Stopped; 9 of {FRAMES} frames are kept."
    record = read_record(path)
    assert record["request"]["kept"] == 9
    remade = redo(session.model("tiny-gan"), record)
    assert isinstance(remade, Walk)
    assert remade.record["request"] == record["request"]
    with Image.open(path) as image:
        kept = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    again = [np.asarray(frame) for frame in remade.frames]
    assert len(again) == 9
    np.testing.assert_array_equal(kept, again)


@pytest.mark.parametrize("kept", [0, FRAMES + 1, "all"])
def test_a_record_of_more_frames_than_there_are_is_refused(session: Session, kept: Any) -> None:
    *_, (_, _, _, download) = render(session, "webp")
    record = read_record(shown(download))
    record["request"]["kept"] = kept
    with pytest.raises(BadRequest, match="kept frames"):
        redo(session.model("tiny-gan"), record)
