"""A run that is killed at any moment, five times, and resumed: its log and networks are those of one go."""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from imgsynth.training.log import Log, log_path
from imgsynth.training.recipe import Settings
from imgsynth.training.run import Budget, interruption, train
from imgsynth.training.state import Clock, load_state, save_state, state_path
from training_runs import (
    Job,
    ToyRecipe,
    count_lines,
    kill_at,
    logged,
    make_images,
    networks,
    run_alone,
    start,
)

STEPS, KILLS = 30, 5


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("data") / "images")


def settings_of(images: Path, folder: Path) -> Settings:
    return Settings(data=(images,), out=folder / "made.safetensors", size=32, width=4, batch=4)


def test_five_kills_leave_no_trace(images: Path, tmp_path: Path) -> None:
    whole = Job("gan", settings_of(images, tmp_path / "whole"), STEPS)
    run_alone(whole)
    settings = settings_of(images, tmp_path / "killed")
    log, state = log_path(settings.out), state_path(settings.out)
    moments = random.Random(0)
    for lines in sorted(moments.sample(range(1, STEPS - 6), KILLS)):
        # It would wait a few steps later; till then the kill comes wherever it comes.
        job = Job("gan", settings, STEPS, state.exists(), hold_at=lines + 6, save_seconds=0.05)
        kill_at(start(job), log, lines)
        assert count_lines(log) < STEPS
    run_alone(Job("gan", settings, STEPS, resume=state.exists()))

    assert [entry["step"] for entry in logged(settings.out)] == list(range(STEPS))
    assert logged(settings.out) == logged(whole.settings.out)
    assert settings.out.read_bytes() == whole.settings.out.read_bytes()
    for part, weights in networks(whole.settings.out).items():
        for key, value in networks(settings.out)[part].items():
            assert torch.equal(value, weights[key]), (part, key)


# What the test above could miss: where in a file a kill may strike.


def entry(step: int) -> bytes:
    return b'{"step": %d, "losses": {"D": %d.5}}\n' % (step, step)


LINES = b"".join(map(entry, range(5)))


@pytest.mark.parametrize(
    ("found", "step", "kept"),
    [
        (LINES, 5, LINES),
        (LINES, 3, b"".join(map(entry, range(3)))),
        (LINES, 0, b""),
        (LINES + b'{"step": 5, "los', 5, LINES),
        (LINES + b'{"step": 5, "losses": {}}', 6, LINES),
        (LINES[:-1], 5, b"".join(map(entry, range(4)))),
        (LINES + b"\0\0\0\n" + entry(6), 9, LINES),
        (LINES, 9, LINES),
        (b"", 3, b""),
    ],
    ids=[
        "whole",
        "longer than the state",
        "new run",
        "half a line",
        "no line end",
        "last cut",
        "zeros",
        "gap",
        "empty",
    ],
)
def test_a_log_goes_on_where_the_state_is(found: bytes, step: int, kept: bytes, tmp_path: Path) -> None:
    path = tmp_path / "made.log.jsonl"
    path.write_bytes(found)
    with Log(path, step):
        pass
    assert path.read_bytes() == kept


@pytest.mark.parametrize("where", ["torch.save", "os.fsync", "os.replace"])
def test_a_kill_while_the_state_is_written_leaves_the_one_before(
    where: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = ToyRecipe(settings_of(images, tmp_path))
    path = state_path(recipe.settings.out)
    save_state(recipe, Clock(step=7))
    before = path.read_bytes()

    def kill(*arguments: Any) -> None:
        if where == "torch.save":
            arguments[1].write(b"half a state")
        raise KeyboardInterrupt

    monkeypatch.setattr(f"imgsynth.training.state.{where}", kill)
    with pytest.raises(KeyboardInterrupt):
        save_state(recipe, Clock(step=8))
    assert path.read_bytes() == before
    assert load_state(recipe, path).step == 7


def test_a_run_without_a_state_starts_its_log_afresh(images: Path, tmp_path: Path) -> None:
    settings = settings_of(images, tmp_path)
    for steps in (3, 2):
        train(ToyRecipe(settings), Budget(steps, None), None, lambda _: None)
        assert [line["step"] for line in logged(settings.out)] == list(range(steps))


def test_the_sheet_is_drawn_soon_and_then_seldom(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgsynth.training import run

    drawn: list[int] = []
    minute = iter(range(10_000))
    monkeypatch.setattr(run.time, "monotonic", lambda: 5.0 * next(minute))  # a step takes five seconds
    monkeypatch.setattr(run, "draw_sheet", lambda recipe: drawn.append(steps[-1]))
    steps: list[int] = []
    recipe = ToyRecipe(settings_of(images, tmp_path))
    monkeypatch.setattr(recipe, "step", lambda step, progress: steps.append(step) or {"D": 0.0})
    train(recipe, Budget(120, None), None, lambda _: None)
    seconds = [5 * (step + 1) for step in drawn]
    assert seconds == [20, 45, 95, 195, 380, 565, 600]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_what_it_always_does(number: signal.Signals) -> None:
    got: list[int] = []
    before = signal.signal(number, lambda *_: got.append(number))
    try:
        with interruption() as stopped:
            os.kill(os.getpid(), number)
            assert stopped.is_set() and got == []
            os.kill(os.getpid(), number)
            assert got == [number]
        os.kill(os.getpid(), number)
        assert got == [number, number]
    finally:
        signal.signal(number, before)


def test_runs_in_other_threads_leave_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[bool] = []

    def inside() -> None:
        with interruption() as stopped:
            seen.append(signal.getsignal(signal.SIGINT) is before and not stopped.is_set())

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [True]
