"""What a checkpoint on the Hub would take: which file, how large, whether it is here; and its download."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from imgsynth.checkpoints.access import OWNER, Access, Progress
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.choose import choose_weights
from imgsynth.checkpoints.headers import has_header, read_header
from imgsynth.checkpoints.verify import check_hub_sum
from imgsynth.errors import CheckpointNotFound, CheckpointUnreadable, DownloadFailed

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

LARGEST_CONFIG = 1_000_000  # bytes; a config.json has a few hundred
CONFIGS = ("config.json", "model_config.json")
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


@contextmanager
def explained(checkpoint: Checkpoint) -> Iterator[None]:
    """Whatever huggingface_hub raises, as one of our errors."""
    from imgsynth.checkpoints.hub_errors import FAILURES, explain

    try:
        yield
    except FAILURES as error:
        raise explain(error, checkpoint) from error


def make_plan(checkpoint: Checkpoint, access: Access = OWNER) -> Plan:
    """Asks the Hub, or the cache where the Hub cannot be reached; downloads nothing.

    Raises:
        CheckpointNotFound: no such repository, revision or file.
        DownloadFailed: the Hub could not be reached or refused, and the cache does not have the file.
    """
    import huggingface_hub

    with explained(checkpoint):
        chosen, notes = _with_file(checkpoint, access)
    with explained(chosen):
        found = huggingface_hub.hf_hub_download(
            str(chosen.repo), chosen.file, revision=chosen.revision, token=access.token, dry_run=True
        )
    return Plan(chosen, full_commit(found.commit_hash), found.file_size, not found.will_download, notes)


def download(plan: Plan, progress: Progress | None, access: Access) -> Path:
    """The file of a plan, from the cache or the Hub.

    Raises:
        DownloadFailed: it is larger than `access` allows, the Hub broke off, or the disk is full.
    """
    # Asked for by the name of its branch, not by its commit, so that it is found under that name offline.
    checkpoint, size = plan.checkpoint, plan.bytes or 0
    if not plan.cached and access.most_bytes is not None and size > access.most_bytes:
        raise DownloadFailed(
            f"{checkpoint.file} has {size / 1e6:.0f} MB and this server downloads at most "
            f"{access.most_bytes / 1e6:.0f} MB for a visitor: choose a smaller file."
        )
    if not plan.cached and progress:
        progress(0, size)
    with explained(checkpoint):
        return _download(checkpoint, checkpoint.file, progress, access)


def _download(checkpoint: Checkpoint, file: str, progress: Progress | None, access: Access) -> Path:
    import huggingface_hub

    bar = _bar_class(progress) if progress else None
    path = huggingface_hub.hf_hub_download(
        str(checkpoint.repo), file, revision=checkpoint.revision, token=access.token, tqdm_class=bar
    )
    return Path(path)


def _with_file(checkpoint: Checkpoint, access: Access) -> tuple[Checkpoint, tuple[str, ...]]:
    """The checkpoint with its file named; where it was not, the most likely one, and a note that says so."""
    if checkpoint.file:
        return checkpoint, ()
    repo = checkpoint.repo
    likely = choose_weights(_files_of(checkpoint, access))
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


def _files_of(checkpoint: Checkpoint, access: Access) -> list[str]:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    from imgsynth.checkpoints.hub_errors import TransportError

    try:
        return list(_listing(checkpoint, access))
    except HfHubHTTPError:
        raise
    except (ConnectionError, TransportError):  # what an earlier download left in the cache will do
        folder = Path(
            huggingface_hub.snapshot_download(
                str(checkpoint.repo), revision=checkpoint.revision, local_files_only=True
            )
        )
        return [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]


def _listing(checkpoint: Checkpoint, access: Access, sums: bool = False) -> dict[str, RepoSibling]:
    """The files of a repository by name, with their sizes and sums if asked for."""
    from huggingface_hub import HfApi, constants

    info = HfApi().model_info(
        str(checkpoint.repo),
        revision=checkpoint.revision,
        timeout=constants.HF_HUB_ETAG_TIMEOUT,  # without one the client would wait for ever
        files_metadata=sums,
        token=access.token,
    )
    return {file.rfilename: file for file in info.siblings or []}


def read_config(plan: Plan, access: Access) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the config.json beside the weights says, where there is one, and notes on it.

    Raises:
        DownloadFailed: it could not be asked for, and the weights are new here: without it they could be
            taken for another network.
        ChecksumMismatch: it was altered on the way.
    """
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for name in CONFIGS:
        try:
            with explained_but(EntryNotFoundError, plan.checkpoint):
                path = _config_path(plan.pinned, name, access)
        except LocalEntryNotFoundError as error:
            if not plan.cached:
                with explained(plan.checkpoint):
                    raise error
            return {}, ("The Hub could not be asked for a config.json, so the file is opened without one.",)
        except EntryNotFoundError:
            continue
        if path:
            check_hub_sum(path)
            return parse_config(path)
    return {}, ()


@contextmanager
def explained_but(passed: type[Exception], checkpoint: Checkpoint) -> Iterator[None]:
    """As `explained`, for all errors but one kind."""
    try:
        with explained(checkpoint):
            yield
    except Exception as error:
        if isinstance(error.__cause__, passed):
            raise error.__cause__ from None
        raise


def _config_path(checkpoint: Checkpoint, name: str, access: Access) -> Path | None:
    import huggingface_hub

    file = str(PurePosixPath(checkpoint.file).with_name(name))
    known = huggingface_hub.try_to_load_from_cache(str(checkpoint.repo), file, revision=checkpoint.revision)
    if known is huggingface_hub._CACHED_NO_EXIST:
        return None
    return _download(checkpoint, file, None, access)


def parse_config(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A config.json as a dict, and a note where it is none."""
    try:
        config = json.loads(path.read_text("utf-8")) if path.stat().st_size <= LARGEST_CONFIG else None
    except (ValueError, RecursionError):
        config = None
    if isinstance(config, dict):
        return config, ()
    return {}, (f"{path.name} could not be understood, so it was left aside.",)


def sum_on_hub(plan: Plan, access: Access) -> str | None:
    """The sha256 that the Hub itself gives for a large file; it keeps none for small ones."""
    with explained(plan.checkpoint):
        file = _listing(plan.pinned, access, sums=True).get(plan.checkpoint.file)
    return file.lfs.sha256 if file and file.lfs else None


def commit_of(path: Path) -> str | None:
    """The commit that a file of the Hub's cache belongs to: `…/snapshots/<40 hex>/…`."""
    folders = [*path.parts, ""]
    after = [folders[i + 1] for i, name in enumerate(folders[:-1]) if name == "snapshots"]
    return full_commit(after[-1]) if after else None


def full_commit(revision: str | None) -> str | None:
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
