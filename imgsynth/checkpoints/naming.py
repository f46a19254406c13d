"""From what a person types to a checkpoint: a catalog id, a path, or a file on the Hub."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from imgsynth.checkpoints.catalog import Checkpoint, load_catalog
from imgsynth.errors import CheckpointNotFound

WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
LONGEST_NAME = 1000
SHOWN = 80

# Repository names as the Hub's own validator has them, always with an owner.
_PART = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?"
_HUB_NAME = re.compile(
    rf"(?P<repo>{_PART}/{_PART})(?::(?P<file>[^:@\\]+))?(?:@(?P<revision>[\w./-]+))?", re.ASCII
)
_FORCED_PATH = re.compile(r"\.{1,2}[/\\]|[/\\~]|[A-Za-z]:[/\\]")
_HOW_TO_NAME = "name one as owner/name or owner/name:file on the Hugging Face Hub"


def resolve(what: str | os.PathLike[str], *, paths_allowed: bool = True) -> Checkpoint:
    """The checkpoint that `what` names; nothing is downloaded or opened.

    In this order: a catalog id; a path (an existing file, or any spelling that starts with
    `./`, `../`, `/` or `~`); `owner/name[:path/in/repo][@revision]` on the Hub.

    Args:
        what: as typed; a path object is always a path.
        paths_allowed: False wherever a visitor types: then the disk is not even looked at.

    Raises:
        CheckpointNotFound: the sentence suggests what is spelled alike, and how to name others.
    """
    if isinstance(what, os.PathLike):
        return from_path(os.fspath(what))
    if paths_allowed and _is_file(Path(what)) and what not in load_catalog():
        return from_path(what)  # as spelled: names of files may hold what no other name does
    what = what.strip()
    if not what or len(what) > LONGEST_NAME or not what.isprintable():
        raise CheckpointNotFound(
            f"That is no name of a checkpoint: give a catalog id such as {_first_id()}, or {_HOW_TO_NAME}."
        )
    if row := load_catalog().get(what):
        return row
    if paths_allowed and _FORCED_PATH.match(what):
        return from_path(what)
    if _looks_like_path(what):
        raise _missing_file(what) if paths_allowed else _path_refused()
    return _on_hub(what)


def as_recorded(checkpoint: Checkpoint, file: object, revision: object) -> Checkpoint:
    """A checkpoint of the Hub with the file and the commit that a record has of it.

    Its name may leave both open, and the repository may have gone on since. What no file on the Hub can be
    called, for a record may come from anybody, changes nothing.
    """
    if checkpoint.source != "hub" or not (isinstance(file, str) and isinstance(revision, str)):
        return checkpoint
    if (file, revision) == (checkpoint.file, checkpoint.revision):  # the catalog's promise holds
        return checkpoint
    match = _HUB_NAME.fullmatch(f"{checkpoint.repo}:{file}@{revision}")
    if match is None or not _hub_would_accept(**match.groupdict()):
        return checkpoint
    return replace(
        checkpoint, file=match["file"], revision=match["revision"], sha256=None, bytes=None, pair=None
    )


def from_path(path: str | Path) -> Checkpoint:
    """The checkpoint that is a file on this disk.

    Raises:
        CheckpointNotFound: there is no such file; the sentence holds the bare name only.
    """
    try:
        found = Path(path).expanduser()
    except RuntimeError as error:  # "~name" of a user who is not known here
        raise _missing_file(str(path)) from error
    if _is_file(found):
        return Checkpoint(found.stem, found.stem, (), "file", found.name, path=found.absolute())
    if _is_folder(found):
        raise CheckpointNotFound(f"{_bare(str(path))} is a folder: name the weights file inside it.")
    raise _missing_file(str(path))


def _on_hub(what: str) -> Checkpoint:
    match = _HUB_NAME.fullmatch(what)
    if match is None or not _hub_would_accept(**match.groupdict()):
        raise _unknown(what)
    repo, file, revision = match["repo"], match["file"] or "", match["revision"]
    if row := _row_of(repo, file):
        return _at_revision(row, revision)
    name = f"{repo}:{file}" if file else repo
    return Checkpoint(name, PurePosixPath(file or repo).stem, (), "hub", file, repo, revision)


def _hub_would_accept(repo: str, file: str | None, revision: str | None) -> bool:
    """Whether the parts of a Hub name are well formed, so that none can lead out of the cache folder."""
    if len(repo) > 96 or "--" in repo or ".." in repo or repo.endswith(".git"):
        return False
    paths = [p for p in (file, revision) if p is not None]
    return not any(part in ("", ".", "..") for path in paths for part in path.split("/"))


def _row_of(repo: str, file: str) -> Checkpoint | None:
    rows = [c for c in load_catalog().values() if c.repo == repo and file in ("", c.file)]
    return rows[0] if rows else None


def _at_revision(row: Checkpoint, revision: str | None) -> Checkpoint:
    """The row at another revision: what was promised of its bytes no longer holds."""
    if revision in (None, row.revision):
        return row
    name = f"{row.repo}:{row.file}" if row.file else str(row.repo)
    return replace(row, id=name, revision=revision, sha256=None, bytes=None, pair=None)


def _looks_like_path(what: str) -> bool:
    repo = re.split(r"[:@]", what)[0]
    if _FORCED_PATH.match(what) or "\\" in what or repo.count("/") > 1:
        return True
    return ":" not in what and what.lower().endswith(WEIGHT_SUFFIXES)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # names that no file can have, folders that may not be entered
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _bare(what: str) -> str:
    name = PureWindowsPath(what).name or "This"  # splits at both kinds of slash
    return name if len(name) <= SHOWN else name[:SHOWN] + "…"


def _missing_file(what: str) -> CheckpointNotFound:
    return CheckpointNotFound(f"There is no file {_bare(what)} at that place: check its path.")


def _path_refused() -> CheckpointNotFound:
    return CheckpointNotFound(
        f"A file of the server cannot be named here: choose a model of the catalog, {_HOW_TO_NAME}, "
        "or upload the file."
    )


def _unknown(what: str) -> CheckpointNotFound:
    shown = what if len(what) <= SHOWN else what[:SHOWN] + "…"
    alike = difflib.get_close_matches(what.lower(), load_catalog(), n=3, cutoff=0.5)
    guess = _either(alike) if alike else f"{_first_id()} or another id of the catalog"
    return CheckpointNotFound(f"No checkpoint is called {shown}: try {guess}, or {_HOW_TO_NAME}.")


def _either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _first_id() -> str:
    return next(iter(load_catalog()))
