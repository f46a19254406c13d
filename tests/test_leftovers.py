"""What is left on the disk: nothing when the app has stopped, nothing of a killed one, nothing old."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gradio_client import Client

from app_server import PATIENCE, send, started
from builders import pixels, png
from imgsynth.errors import BadRequest
from imgsynth.ui import app, leftovers
from imgsynth.ui.leftovers import OwnFolder, look_through, remove_abandoned, remove_old, remove_own

HOUR = 3600.0


def files(*folders: Path) -> list[str]:
    return sorted(path.name for folder in folders for path in folder.rglob("*") if path.is_file())


def written(path: Path, seconds_ago: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a photo")
    then = time.time() - seconds_ago
    os.utime(path, (then, then))
    os.utime(path.parent, (then, then))
    return path


# --- folders of a process ---


def test_a_folder_goes_with_its_owner(tmp_path: Path) -> None:
    own = OwnFolder(tmp_path / "made on the way")
    path = written(own.path / "results" / "a.png")
    assert own.path.stat().st_mode & 0o77 == 0, "others must not look inside"
    del own
    assert not path.exists() and list((tmp_path / "made on the way").iterdir()) == []


def test_only_what_nobody_holds_is_removed_for_others(tmp_path: Path) -> None:
    """The folders of a killed process have the name of one, but no lock."""
    held = OwnFolder(tmp_path)
    alive = written(held.path / "a.png")
    dead = written(tmp_path / f"imgsynth-{'0' * 32}" / "results" / "b.png")
    strangers = [written(tmp_path / name / "c.png") for name in ("imgsynth-backup", "0" * 32)]
    elsewhere = written(tmp_path / "elsewhere" / "d.png")
    (tmp_path / f"imgsynth-{'1' * 32}").symlink_to(elsewhere.parent)
    remove_abandoned(tmp_path)
    assert not dead.parent.parent.exists()
    assert all(path.is_file() for path in (alive, *strangers, elsewhere))


def test_a_place_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    remove_abandoned(tmp_path / "nowhere")
    remove_old(tmp_path / "nowhere", HOUR)


def test_a_forked_process_leaves_the_folder_to_its_owner(tmp_path: Path) -> None:
    path = written(tmp_path / "own" / "a.png")
    remove_own(path.parent, None, os.getpid() + 1)
    assert path.is_file()
    remove_own(path.parent, None, os.getpid())
    assert not path.parent.exists()


# --- results that no component showed ---


def test_results_go_an_hour_after_the_last_of_them_was_written(tmp_path: Path) -> None:
    old = written(tmp_path / "old" / "frames" / "a.png", 2 * HOUR)
    os.utime(tmp_path / "old", (0, 0))
    growing = written(tmp_path / "growing" / "a.png", 2 * HOUR)
    written(tmp_path / "growing" / "frames" / "b.png", 60)
    os.utime(growing.parent, (0, 0))
    (tmp_path / "empty").mkdir()
    remove_old(tmp_path, HOUR)
    assert not old.exists() and growing.is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "growing"]


def test_results_are_looked_through_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = OwnFolder(tmp_path)
    seen: list[list[str]] = []

    def sleep(seconds: float) -> None:
        assert seconds == 600
        seen.append(files(own.path))
        if len(seen) == 3:
            raise TimeoutError
        written(own.path / "results" / str(len(seen)) / "a.png", 2 * HOUR)

    monkeypatch.setattr(leftovers, "time", SimpleNamespace(sleep=sleep, time=time.time))
    with pytest.raises(TimeoutError):
        look_through(own, 600, HOUR)
    assert seen == [[], [], []]


# --- the end of the app ---


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signals that kill, as in a process of its own."""
    numbers = [getattr(signal, name) for name in app.STOPPING]
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", app.STOPPING)
def test_a_signal_is_as_ctrl_c_but_to_a_forked_process(handlers: None, name: str) -> None:
    app.stop_in_order()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(getattr(signal, name))
    child = os.fork()
    if child == 0:
        signal.raise_signal(getattr(signal, name))
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == getattr(signal, name)


def test_a_signal_that_somebody_sees_to_stays_as_it_is(handlers: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    app.stop_in_order()
    signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_outside_the_main_thread_signals_stay_as_they_are(handlers: None) -> None:
    thread = threading.Thread(target=app.stop_in_order)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_disk_that_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(app, "stop_in_order", lambda: None)
    monkeypatch.setattr(app, "keep_clean", refuse)
    with pytest.raises(BadRequest, match="make room there, or set GRADIO_TEMP_DIR"):
        app.launch()


def test_nothing_of_a_visitors_is_left_when_the_app_is_told_to_stop(tmp_path: Path) -> None:
    temporary, cache = tmp_path / "temporary", tmp_path / "gradio"
    dead = [written(folder / f"imgsynth-{'0' * 32}" / "old.png") for folder in (temporary, cache)]
    (tmp_path / "photo.png").write_bytes(png(pixels(24, 32, 3)))
    with started(tmp_path, "-m", "imgsynth", "serve", TMPDIR=str(temporary)) as server:
        assert not any(path.exists() for path in dead)
        client = Client(server.url, verbose=False, download_files=tmp_path, analytics_enabled=False)
        photo = send(tmp_path / "photo.png")
        client.predict(checkpoint="photo2monet", photo=photo, api_name="/translate")
        client.predict(what="", file=send(server.weights / "avatars-gan.safetensors"), api_name="/open")
        client.close()
        assert files(temporary) == ["avatars-gan.safetensors"]
        assert {"avatars-gan.safetensors", "photo.png"} <= set(files(cache))
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0
    assert files(temporary, cache) == []
