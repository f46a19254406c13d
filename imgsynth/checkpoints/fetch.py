"""From a checkpoint to a file on this disk whose bytes are the promised ones."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from imgsynth.checkpoints.catalog import Checkpoint, bundled_path
from imgsynth.checkpoints.choose import choose_weights
from imgsynth.errors import CheckpointNotFound, ChecksumMismatch, DownloadFailed

Progress = Callable[[int, int], None]
LARGEST_CONFIG = 1_000_000  # bytes; a config.json has a few hundred


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
    """

    path: Path
    sha256: str
    bytes: int
    revision: str | None
    hints: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    file: str = ""


@dataclass(frozen=True)
class Access:
    """On whose behalf a download is made.

    Attributes:
        token: False keeps the host's own Hub token out of it; None uses it where there is one.
        most_bytes: the largest file that may be downloaded; None allows any.
    """

    token: bool | None = None
    most_bytes: int | None = None


OWNER = Access()


def fetch(checkpoint: Checkpoint, *, progress: Progress | None = None, access: Access = OWNER) -> Fetched:
    """Brings the checkpoint's file to this disk, from the Hub if need be, and checks its sha256.

    Args:
        checkpoint: from `naming.resolve` or the catalog.
        progress: called with (bytes so far, bytes in all; 0 while unknown) during a download.
        access: on whose behalf: with or without the host's Hub token, and up to which size.

    Raises:
        CheckpointNotFound: no such repository, revision or file.
        DownloadFailed: the Hub could not be reached, refused or broke off, the disk is full,
            or the file is larger than `access` allows.
        ChecksumMismatch: the file is not the one that the catalog promises.
    """
    on_hub = checkpoint.source == "hub"
    fetched = _from_hub(checkpoint, progress, access) if on_hub else _on_disk(checkpoint)
    if checkpoint.sha256 not in (None, fetched.sha256):
        raise ChecksumMismatch(
            f"{fetched.path.name} is not the file that was promised (its sha256 differs), "
            "so it was not opened: delete that copy and fetch it again."
        )
    return fetched


def _on_disk(checkpoint: Checkpoint) -> Fetched:
    path = bundled_path(checkpoint) if checkpoint.source == "bundled" else checkpoint.path
    if path is None or not path.is_file():
        raise _missing(checkpoint)
    try:
        return _described(path, checkpoint, None)
    except OSError as error:
        raise CheckpointNotFound(f"{path.name} cannot be read: check its permissions.") from error


def _missing(checkpoint: Checkpoint) -> CheckpointNotFound:
    if checkpoint.source == "bundled":
        return CheckpointNotFound(
            f"The weights of {checkpoint.id} are not in this copy of imgsynth: fetch the folder 'weights' "
            "of the repository, or set IMGSYNTH_WEIGHTS to where it is."
        )
    return CheckpointNotFound(f"{checkpoint.file} is no longer there: choose the file again.")


def _described(path: Path, checkpoint: Checkpoint, revision: str | None) -> Fetched:
    stat = path.stat()
    sha256 = _sha256(path.resolve(), stat.st_size, stat.st_mtime_ns)
    return Fetched(path, sha256, stat.st_size, revision, dict(checkpoint.hints), (), checkpoint.file)


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """Hashes once for each state of a file: size and time are in the key, not in the sum."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _from_hub(checkpoint: Checkpoint, progress: Progress | None, access: Access) -> Fetched:
    from imgsynth.checkpoints.hub_errors import FAILURES, explain

    token = access.token
    try:
        chosen, notes = _with_file(checkpoint, token)
        _check_size(chosen, access)
        path = _download(chosen, chosen.file, progress, token)
        revision = _commit_of(path) or _full_commit(chosen.revision)
        config, config_notes = _config(replace(chosen, revision=revision or chosen.revision), token)
        fetched = _described(path, chosen, revision)
    except FAILURES as error:
        raise explain(error, checkpoint) from error
    return replace(fetched, hints={**config, **checkpoint.hints}, notes=notes + config_notes)


def _download(checkpoint: Checkpoint, file: str, progress: Progress | None, token: bool | None) -> Path:
    import huggingface_hub

    bar = _bar_class(progress) if progress else None
    path = huggingface_hub.hf_hub_download(
        str(checkpoint.repo), file, revision=checkpoint.revision, token=token, tqdm_class=bar
    )
    return Path(path)


def _check_size(checkpoint: Checkpoint, access: Access) -> None:
    """Asks the Hub for the size before anything is downloaded; what is cached already may be used."""
    import huggingface_hub

    if access.most_bytes is None:
        return
    plan = huggingface_hub.hf_hub_download(
        str(checkpoint.repo), checkpoint.file, revision=checkpoint.revision, token=access.token, dry_run=True
    )
    size = plan.file_size or 0
    if plan.will_download and size > access.most_bytes:
        raise DownloadFailed(
            f"{checkpoint.file} has {size / 1e6:.0f} MB and this server downloads at most "
            f"{access.most_bytes / 1e6:.0f} MB for a visitor: choose a smaller file."
        )


def _with_file(checkpoint: Checkpoint, token: bool | None) -> tuple[Checkpoint, tuple[str, ...]]:
    """The checkpoint with its file named; where it was not, the most likely one, and a note that says so."""
    if checkpoint.file:
        return checkpoint, ()
    repo = checkpoint.repo
    likely = choose_weights(_files_of(checkpoint, token))
    if not likely:
        raise CheckpointNotFound(
            f"{repo} holds no weights that can be opened here (.safetensors, .pth, .pt, .bin or .ckpt): "
            "choose another repository."
        )
    note = f"{repo} names no main file, so {likely[0]} was taken; ask for another as {repo}:FILE."
    return replace(checkpoint, file=likely[0]), (note,)


def _files_of(checkpoint: Checkpoint, token: bool | None) -> list[str]:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    from imgsynth.checkpoints.hub_errors import TransportError

    repo, revision = str(checkpoint.repo), checkpoint.revision
    try:
        return list(huggingface_hub.HfApi().list_repo_files(repo, revision=revision, token=token))
    except HfHubHTTPError:
        raise
    except (ConnectionError, TransportError):  # what an earlier download left in the cache will do
        folder = Path(huggingface_hub.snapshot_download(repo, revision=revision, local_files_only=True))
        return [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]


def _config(checkpoint: Checkpoint, token: bool | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The config.json that lies beside the weights, where there is one."""
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    file = str(PurePosixPath(checkpoint.file).with_name("config.json"))
    known = huggingface_hub.try_to_load_from_cache(str(checkpoint.repo), file, revision=checkpoint.revision)
    if known is huggingface_hub._CACHED_NO_EXIST:
        return {}, ()
    try:
        path = _download(checkpoint, file, None, token)
    except LocalEntryNotFoundError:
        return {}, ("The Hub could not be asked for a config.json, so the file is opened without one.",)
    except EntryNotFoundError:
        return {}, ()
    return _read_config(path)


def _read_config(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    try:
        config = json.loads(path.read_text("utf-8")) if path.stat().st_size <= LARGEST_CONFIG else None
    except ValueError:
        config = None
    if isinstance(config, dict):
        return config, ()
    return {}, ("The config.json of the repository could not be understood, so it was left aside.",)


def _commit_of(path: Path) -> str | None:
    """The commit that a file of the Hub cache belongs to: `…/snapshots/<40 hex>/…`."""
    folders = [*path.parts, ""]
    after = [folders[i + 1] for i, name in enumerate(folders[:-1]) if name == "snapshots"]
    return _full_commit(after[-1]) if after else None


def _full_commit(revision: str | None) -> str | None:
    return revision if revision and re.fullmatch(r"[0-9a-f]{40}", revision) else None


def _bar_class(progress: Progress) -> type:
    """A progress bar for huggingface_hub that draws nothing and reports to `progress`."""
    from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]

    class Bar(tqdm):  # type: ignore[misc, type-arg, unused-ignore]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0  # a disabled bar does not count by itself
            progress(int(self.n), int(self.total or 0))

        def update_transfer(self, n: float) -> None:
            """Its presence tells the hub to open one bar, not one for the network and one for the disk."""

        def set_transfer_postfix_str(self, *args: Any, **kwargs: Any) -> None:
            """Goes with `update_transfer`; speeds are not shown."""

    return Bar
