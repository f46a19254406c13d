"""From a checkpoint to a file on this disk whose bytes are the promised ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from imgsynth.checkpoints.access import OWNER, Access, Progress
from imgsynth.checkpoints.catalog import Checkpoint, bundled_path, known_file
from imgsynth.checkpoints.client import explained
from imgsynth.checkpoints.config import config_beside, read_config
from imgsynth.checkpoints.hub import Plan, commit_of, download, make_plan
from imgsynth.checkpoints.verify import Verified, check_download, check_promise, current_sha256
from imgsynth.errors import CheckpointNotFound


@dataclass(frozen=True)
class Fetched:
    """A file of weights on this disk.

    Attributes:
        path: where it lies; for the program only, never shown to a person.
        sha256: of the bytes as they are now.
        bytes: its size.
        revision: the Hub commit it belongs to, 40 hex digits; None for files that are not from the Hub.
        hints: facts that the file cannot tell, from config.json and, above it, the catalog.
        notes: sentences that a person should see, such as which file was chosen.
        file: path inside the repository, or the bare file name.
        verified: who vouches for the bytes of a file from the Hub; None for others.
    """

    path: Path
    sha256: str
    bytes: int
    revision: str | None
    hints: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    file: str = ""
    verified: Verified | None = None


def fetch(
    checkpoint: Checkpoint,
    *,
    progress: Progress | None = None,
    access: Access = OWNER,
    plan: Plan | None = None,
) -> Fetched:
    """The file of a checkpoint: bundled, on this disk, or downloaded through huggingface_hub and its cache.

    Args:
        checkpoint: from `naming.resolve` or the catalog.
        progress: called with (bytes so far, bytes in all; 0 while unknown) during a download.
        access: on whose behalf: with or without the host's Hub token, and up to which size.
        plan: from `make_plan`, where it has been made already.

    Raises:
        CheckpointNotFound: no such repository, revision or file.
        DownloadFailed: the Hub could not be reached, refused or broke off, the disk is full,
            or the file is larger than `access` allows.
        ChecksumMismatch: the file is not the one that was promised, or was altered on the way.
    """
    if checkpoint.source == "hub":
        return _from_hub(plan or make_plan(checkpoint, access), progress, access)
    return _on_disk(checkpoint)


def _from_hub(plan: Plan, progress: Progress | None, access: Access) -> Fetched:
    path = download(plan, progress, access)
    plan = replace(plan, revision=commit_of(path) or plan.revision)
    with explained(plan.checkpoint):
        verified = check_download(plan.checkpoint, path, plan.revision)
    config, notes = read_config(plan, access)
    fetched = _described(path, plan.checkpoint, config, (*plan.notes, *notes))
    return replace(fetched, revision=plan.revision, verified=verified)


def _on_disk(checkpoint: Checkpoint) -> Fetched:
    path = bundled_path(checkpoint) if checkpoint.source == "bundled" else checkpoint.path
    if path is None or not path.is_file():
        raise _missing(checkpoint)
    try:
        check_promise(checkpoint, path.name, current_sha256(path))
        config, notes = config_beside(path) if checkpoint.source == "file" else ({}, ())
        return _described(path, checkpoint, config, notes)
    except OSError as error:
        raise CheckpointNotFound(f"{path.name} cannot be read: check its permissions.") from error


def _described(
    path: Path, checkpoint: Checkpoint, config: Mapping[str, Any], notes: tuple[str, ...]
) -> Fetched:
    sha256 = current_sha256(path)
    hints = {**config, **known_file(sha256), **checkpoint.hints}
    return Fetched(path, sha256, path.stat().st_size, None, hints, notes, checkpoint.file)


def _missing(checkpoint: Checkpoint) -> CheckpointNotFound:
    if checkpoint.source == "bundled":
        return CheckpointNotFound(
            f"The weights of {checkpoint.id} are not in this copy of imgsynth: fetch the folder 'weights' "
            "of the repository, or set IMGSYNTH_WEIGHTS to where it is."
        )
    return CheckpointNotFound(f"{checkpoint.file} is no longer there: choose the file again.")
