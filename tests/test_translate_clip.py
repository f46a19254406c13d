"""A video or GIF in the Translate tab."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from builders import pixels
from imgsynth.errors import BadImage
from imgsynth.imaging.clips import read_clip
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import Pace, count_frames, write_clip
from imgsynth.ui.clip_panel import make_paint_clip
from imgsynth.ui.endpoints import Endpoints
from imgsynth.ui.runs import begin, stop
from imgsynth.ui.session import Session
from translate_parts import refusal, value_of

pytest_plugins = ["translate_fixtures"]


@pytest.fixture(params=[".mp4", ".gif"])
def clip(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Six frames of three tenths of a second in all."""
    path = tmp_path / f"holiday{request.param}"
    frames: Iterator[Image.Image] = (Image.fromarray(pixels(36, 48, seed=seed)) for seed in range(6))
    pace = Pace.of([Fraction(1, 20)] * 6)
    write_clip(path, frames, pace, {"imgsynth": "1.0.0", "task": "test", "request": {}})
    return str(path)


def test_a_video_stays_a_video_and_can_be_made_again(session: Session, clip: str, bar: Any) -> None:
    *steps, last = make_paint_clip(session)("there", 0.5, clip, begin(None), bar)
    done = [int(step[0].split()[0]) for step in steps]
    assert done == sorted(set(done)) and done[-1] == 6 and last[0].startswith("6 frames")
    made = Path(value_of(last[-1]))
    assert made.suffix == Path(clip).suffix and count_frames(made) == 6
    record = read_record(made)
    assert record["request"] == {"strength": 0.5, "video": True}
    assert record["input_sha256"] == [read_clip(clip).sha256]

    endpoints = Endpoints(session)
    again = endpoints.redo(str(made), clip)
    assert Path(again).suffix == made.suffix and read_record(again) == record
    for one, other in zip(read_clip(again).frames(), read_clip(made).frames(), strict=True):
        assert np.array_equal(one.pixels, other.pixels)
    with pytest.raises(BadImage, match="parameter photo is missing"):
        endpoints.redo(str(made))
    with pytest.raises(BadImage, match="not the photo that was used"):
        endpoints.redo(str(made), str(made))


def test_a_stopped_video_keeps_the_frames_that_are_done(
    session: Session, clip: str, bar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(None)
    model, painted = session.model("there"), itertools.count(1)
    whole = type(model).translate  # type: ignore[attr-defined]

    def translating(self: Any, batch: torch.Tensor) -> torch.Tensor:
        # The first two are the noise that tells how much memory a pass takes, and the first frame.
        if next(painted) == 3:
            stop(run)
        return whole(self, batch)

    monkeypatch.setattr(type(model), "translate", translating)
    *_, last = make_paint_clip(session)("there", 1.0, clip, run, bar)
    assert count_frames(value_of(last[-1])) == 2
    assert last[0].startswith("Stopped after 2 of 6 frames")


def test_a_video_that_nobody_waits_for_ends_and_leaves_no_file(
    session: Session, clip: str, bar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, painted = begin(None), []
    model = session.model("there")
    whole = type(model).translate  # type: ignore[attr-defined]
    monkeypatch.setattr(type(model), "translate", lambda self, batch: painted.append(1) or whole(self, batch))
    steps = make_paint_clip(session)("there", 1.0, clip, run, bar)
    next(steps)
    steps.close()  # waits for the writer
    seen = len(painted)
    assert list(Path(run).iterdir()) == []
    assert list(steps) == [] and len(painted) == seen


def test_what_is_no_video_is_refused(session: Session, scene: str, bar: Any) -> None:
    assert "still picture" in refusal(
        lambda: list(make_paint_clip(session)("there", 1.0, scene, begin(None), bar))
    )


def test_the_endpoint_takes_videos(session: Session, clip: str) -> None:
    made = Path(Endpoints(session).translate("there", clip))
    assert made.suffix == (".mp4" if clip.endswith(".mp4") else ".png")
