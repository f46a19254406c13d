"""Processes that are forked while other threads hold locks."""

from __future__ import annotations

import os
import signal
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builders import model_of, tiny_dcgan
from imgsynth.families import Model
from imgsynth.runtime.pool import ModelPool
from imgsynth.ui.dropped import Dropped

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")

GIVE_UP = 60  # seconds after which a forked process hangs


def holds_in_a_child(check: Callable[[], bool]) -> bool:
    """Whether a check holds in a forked process; one that hangs is ended by its alarm."""
    if (child := os.fork()) == 0:
        failed = True
        try:
            signal.alarm(GIVE_UP)
            failed = not check()
        finally:
            os._exit(failed)
    _, status = os.waitpid(child, 0)
    return status == 0


def test_a_child_loads_what_its_parent_was_loading() -> None:
    pool, slow, own = ModelPool(), model_of(tiny_dcgan()), model_of(tiny_dcgan())
    started, go_on = threading.Event(), threading.Event()

    def load() -> Model:
        started.set()
        assert go_on.wait(GIVE_UP)
        return slow

    with ThreadPoolExecutor(1) as threads:
        loading = threads.submit(pool.get, "a", load)
        assert started.wait(GIVE_UP)
        try:
            assert holds_in_a_child(lambda: pool.get("a", lambda: own) is own)
        finally:
            go_on.set()
        assert loading.result(GIVE_UP) is slow


def test_a_child_has_the_models_that_were_there() -> None:
    pool, model = ModelPool(), model_of(tiny_dcgan())
    pool.get("a", lambda: model)
    with pool._lock:
        assert holds_in_a_child(lambda: pool.loaded() == [model])


def test_a_child_runs_a_network_while_its_parent_does() -> None:
    model = model_of(tiny_dcgan())

    def runs() -> bool:
        with model.running():
            return True

    with model.running():
        assert holds_in_a_child(runs)
    assert runs()


def test_a_child_finds_dropped_files(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"x")
    dropped = Dropped()
    token = dropped.add(tmp_path / "net.pth")
    with dropped._lock:
        assert holds_in_a_child(lambda: dropped.get(token).id == "net")


@pytest.mark.parametrize("kind", [ModelPool, Dropped])
def test_nobody_is_kept_for_the_sake_of_forks(kind: Callable[[], object]) -> None:
    gone = weakref.ref(kind())
    assert gone() is None
