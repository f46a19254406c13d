"""Checkpoints that visitors drop on the page, each known only by a token that nobody can guess."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
from collections import OrderedDict
from pathlib import Path

from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.errors import CheckpointNotFound
from imgsynth.runtime.forks import renew_in_children
from imgsynth.ui.leftovers import OwnFolder

TOKEN = re.compile(r"upload-[0-9a-f]{32}")
MOST_BYTES = 8 * 10**9


class Dropped:
    """The dropped files; the ones that were used least recently go when there are too many bytes of them.

    They are kept out of Gradio's own cache, which serves its files over HTTP and deletes them within an hour.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._files: OrderedDict[str, Checkpoint] = OrderedDict()
        # Made before any process is forked, so that all of them share it.
        self._folder = OwnFolder()
        self.renew_locks()
        renew_in_children(self)

    def renew_locks(self) -> None:
        self._lock = threading.Lock()

    def add(self, path: str | Path) -> str:
        """Takes a file in, under its own name; returns the token."""
        token = f"upload-{secrets.token_hex(16)}"
        with self._lock:
            kept = self._folder.path / token / Path(path).name
            link_or_copy(Path(path), kept)
            self._files[token] = dropped_as(kept)
            self._make_room()
        return token

    def get(self, token: str) -> Checkpoint:
        """The file of a token.

        Raises:
            CheckpointNotFound: it is not here any more, or never was.
        """
        with self._lock:
            if token in self._files:
                self._files.move_to_end(token)
                return self._files[token]
        # A forked process knows nothing of what came later, but where it is.
        if is_token(token) and (kept := next((self._folder.path / token).glob("*"), None)):
            return dropped_as(kept)
        raise CheckpointNotFound("That file is no longer here: drop it again in the Models tab.")

    def _make_room(self) -> None:
        sizes = {token: path_of(c).stat().st_size for token, c in self._files.items()}
        while len(self._files) > 1 and sum(sizes.values()) > self.most_bytes:
            token, checkpoint = self._files.popitem(last=False)
            del sizes[token]
            shutil.rmtree(path_of(checkpoint).parent)


def dropped_as(kept: Path) -> Checkpoint:
    return Checkpoint(kept.stem, kept.stem, (), "upload", kept.name, path=kept)


def is_token(what: str) -> bool:
    return TOKEN.fullmatch(what) is not None


def path_of(checkpoint: Checkpoint) -> Path:
    assert checkpoint.path is not None
    return checkpoint.path


def link_or_copy(source: Path, target: Path) -> None:
    """The same bytes under another name; they are copied only between two disks."""
    target.parent.mkdir(parents=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
