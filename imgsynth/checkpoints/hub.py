"""What a checkpoint on the Hub would take: which file, how large, whether it is here; and its download."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imgsynth.checkpoints.access import OWNER, Access, Progress
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.client import bring, explained, listing, look_up, weights_of
from imgsynth.checkpoints.headers import has_header, read_header
from imgsynth.errors import CheckpointNotFound, CheckpointUnreadable, DownloadFailed

MOST_HEADERS = 4  # of a repository with several files, this many are looked into


@dataclass(frozen=True)
class Plan:
    """What opening a checkpoint of the Hub takes.

    Attributes:
        checkpoint: with its file named.
        revision: the commit that the file belongs to, 40 hex digits, where it is known.
        bytes: size of the file, where the Hub tells.
        cached: whether it is on this disk already, so that nothing is downloaded.
        notes: sentences that a person should see, such as which file was chosen.
    """

    checkpoint: Checkpoint
    revision: str | None
    bytes: int | None
    cached: bool
    notes: tuple[str, ...] = ()

    @property
    def pinned(self) -> Checkpoint:
        """The checkpoint at exactly the commit that was looked at."""
        return replace(self.checkpoint, revision=self.revision or self.checkpoint.revision)


def make_plan(checkpoint: Checkpoint, access: Access = OWNER) -> Plan:
    """Asks the Hub, or the cache where the Hub cannot be reached; downloads nothing.

    Raises:
        CheckpointNotFound: no such repository, revision or file.
        DownloadFailed: the Hub could not be reached or refused, and the cache does not have the file.
    """
    with explained(checkpoint):
        chosen, notes = _with_file(checkpoint, access)
    with explained(chosen):
        found = look_up(chosen, access)
    return Plan(chosen, full_commit(found.commit_hash), found.file_size, not found.will_download, notes)


def check_size(plan: Plan, access: Access) -> None:
    """Raises DownloadFailed where more would be downloaded than `access` allows."""
    size, most = plan.bytes or 0, access.most_bytes
    if not plan.cached and most is not None and size > most:
        raise DownloadFailed(
            f"{plan.checkpoint.file} has {size / 1e6:.0f} MB and this server downloads at most "
            f"{most / 1e6:.0f} MB for a visitor: choose a smaller file."
        )


def download(plan: Plan, progress: Progress | None, access: Access) -> Path:
    """The file of a plan, from the cache or the Hub.

    Raises:
        DownloadFailed: it is larger than `access` allows, the Hub broke off, or the disk is full.
        Exception: whatever `progress` raises.
    """
    check_size(plan, access)
    if not plan.cached and progress:
        progress(0, plan.bytes or 0)
    own: list[Exception] = []
    bar = _bar_class(progress, own) if progress else None
    # Asked for by the name of its branch, not by its commit, so that it is found under that name offline.
    with explained(plan.checkpoint, own):
        return bring(plan.checkpoint, access, bar)


def _with_file(checkpoint: Checkpoint, access: Access) -> tuple[Checkpoint, tuple[str, ...]]:
    """The checkpoint with its file named; where it was not, the most likely one, and a note that says so."""
    if checkpoint.file:
        return checkpoint, ()
    repo = checkpoint.repo
    likely = weights_of(checkpoint, access)
    if not likely:
        raise CheckpointNotFound(
            f"{repo} holds no weights that can be opened here (.safetensors, .pth, .pt, .bin or .ckpt): "
            "choose another repository."
        )
    file = likely[0] if len(likely) == 1 else _first_known(checkpoint, likely, access)
    note = f"{repo} names no main file, so {file} was taken; ask for another as {repo}:FILE."
    return replace(checkpoint, file=file), (note,)


def _first_known(checkpoint: Checkpoint, likely: Sequence[str], access: Access) -> str:
    """Of several files the first whose header is that of a network we know, else the most likely one."""
    from imgsynth.architectures.registry import detect

    with_header = [file for file in likely if has_header(file)]
    for file in with_header[:MOST_HEADERS]:
        try:
            header = read_header(replace(checkpoint, file=file), access)
        except CheckpointUnreadable:
            continue
        if detect(header.tensors):
            return file
    return likely[0]


def sum_on_hub(plan: Plan, access: Access) -> str | None:
    """The sha256 that the Hub itself gives for a large file; it keeps none for small ones."""
    with explained(plan.checkpoint):
        file = listing(plan.pinned, access, sums=True).get(plan.checkpoint.file)
    return file.lfs.sha256 if file and file.lfs else None


def commit_of(path: Path) -> str | None:
    """The commit that a file of the Hub's cache belongs to: `…/snapshots/<40 hex>/…`."""
    folders = [*path.parts, ""]
    after = [folders[i + 1] for i, name in enumerate(folders[:-1]) if name == "snapshots"]
    return full_commit(after[-1]) if after else None


def full_commit(revision: str | None) -> str | None:
    return revision if revision and re.fullmatch(r"[0-9a-f]{40}", revision) else None


def _bar_class(progress: Progress, own: list[Exception]) -> type:
    """A progress bar for huggingface_hub that draws nothing and reports to `progress`.

    Args:
        own: takes what `progress` raises, so that it is not mistaken for a failure of the download.
    """
    from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]

    class Bar(tqdm):  # type: ignore[misc, type-arg, unused-ignore]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0  # a disabled bar does not count by itself
            try:
                progress(int(self.n), int(self.total or 0))
            except Exception as error:
                own.append(error)
                raise

        def update_transfer(self, n: float) -> None:
            """Its presence tells the hub to open one bar, not one for the network and one for the disk."""

        def set_transfer_postfix_str(self, *args: Any, **kwargs: Any) -> None:
            """Goes with `update_transfer`; speeds are not shown."""

    return Bar
