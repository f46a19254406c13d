"""That nothing of a visitor's stays on the disk: not beyond an hour, and not when the app has stopped.

Gradio deletes files that a component showed, where its server ends in good order; with a page still open it
does not. So its cache lies in a folder that belongs to this process alone, which goes as a whole when the
process ends, or when the next one starts if it was killed. Results that were never shown go by their age.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import gradio.mcp
import gradio.routes
import gradio.screen_recording_utils

if sys.platform != "win32":
    import fcntl

OWN = re.compile(r"imgsynth-[0-9a-f]{32}")
# A job that runs on in its thread may write into a folder while it is removed.
ATTEMPTS = 3
# They took down where the cache is when they were imported; MCP clients' files and page recordings go there.
ASKED_EARLY: tuple[Any, ...] = (gradio.mcp, gradio.routes, gradio.screen_recording_utils)


def keep_clean(frequency: float, age: float) -> None:
    """Gives Gradio's cache a folder of this process's own, and removes what others left behind.

    It has to be called before any component is made: each remembers where the cache is.

    Args:
        frequency: seconds between two looks for results that are older than `age`.
        age: in seconds.

    Raises:
        OSError: the disk refused.
    """
    temporary = Path(tempfile.gettempdir())
    place = Path(os.environ.get("GRADIO_TEMP_DIR") or temporary)
    for parent in {temporary, place}:
        remove_abandoned(parent)
    cache = OwnFolder(place)
    os.environ["GRADIO_TEMP_DIR"] = str(cache.path)
    for module in ASKED_EARLY:
        module.DEFAULT_TEMP_DIR = str(cache.path)
    threading.Thread(target=look_through, args=(cache, frequency, age), daemon=True).start()


class OwnFolder:
    """A fresh folder that goes with this object, at the latest when the process ends.

    Args:
        parent: where to make it; None: among the system's temporary files.

    Attributes:
        path: where it is.

    Raises:
        OSError: the disk refused.
    """

    def __init__(self, parent: Path | None = None) -> None:
        place = (parent or Path(tempfile.gettempdir())).resolve()
        place.mkdir(parents=True, exist_ok=True)
        # It gets its name once it is locked: what bears such a name without a lock, other processes remove.
        made = Path(tempfile.mkdtemp(prefix=".imgsynth-", dir=place))
        held = hold(made)
        self.path = made.rename(place / f"imgsynth-{secrets.token_hex(16)}")
        weakref.finalize(self, remove_own, self.path, held, os.getpid())


def hold(folder: Path) -> int | None:
    """Locks a folder; the system gives it free when the process ends, however it ends.

    Returns:
        What to close to give it free before; None where a living process holds it, where it is another
        user's, or where there are no such locks, so that nothing is taken for abandoned there.
    """
    if sys.platform == "win32":
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def remove_own(folder: Path, held: int | None, owner: int) -> None:
    """Removes a folder in the process that made it; those that were forked from it end this way too."""
    if os.getpid() != owner:
        return
    for _ in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
    if held is not None:
        os.close(held)


def remove_abandoned(parent: Path) -> None:
    """Removes the folders of processes that were killed before they could."""
    for folder in parent.glob("imgsynth-*"):
        if OWN.fullmatch(folder.name) and (held := hold(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


def look_through(cache: OwnFolder, frequency: float, age: float) -> None:
    """Removes old results for ever."""
    while True:
        time.sleep(frequency)
        remove_old(cache.path / "results", age)


def remove_old(results: Path, age: float) -> None:
    """Removes the folders in which nothing was written for `age` seconds: none that a job still fills."""
    for folder in results.glob("*"):
        with contextlib.suppress(OSError):  # something in it went meanwhile; so will the rest, next time
            if time.time() - last_written(folder) > age:
                shutil.rmtree(folder, ignore_errors=True)


def last_written(folder: Path) -> float:
    """When anything in a folder was written, at any depth, in seconds since 1970."""
    return max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
