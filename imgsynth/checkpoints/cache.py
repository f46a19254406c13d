"""What of the Hub is on this disk, and how to be rid of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imgsynth.checkpoints.catalog import Checkpoint, load_catalog
from imgsynth.checkpoints.choose import choose_weights
from imgsynth.checkpoints.verify import blob_of
from imgsynth.errors import CheckpointNotFound


@dataclass(frozen=True)
class CachedFile:
    """A file of weights in the Hub's cache, at one commit.

    Attributes:
        name: how to ask for it: a catalog id, or `owner/name:file`.
        repo, file, revision: where on the Hub it belongs.
        bytes: its size.
        path, blob: the entry of the commit, and the bytes that it leads to.
    """

    name: str
    repo: str
    file: str
    revision: str
    bytes: int
    path: Path
    blob: Path


def cached_files() -> list[CachedFile]:
    """All weights in the cache, by name; nothing where there is no cache."""
    found = [
        CachedFile(name_of(repo, file), repo, file, commit, path.stat().st_size, path, path.resolve())
        for repo, commit, file, path in _entries("model")
        if choose_weights([file])
    ]
    return sorted(found, key=lambda c: (c.name, c.revision))


def _entries(*kinds: str) -> Iterator[tuple[str, str, str, Path]]:
    """Repository, commit, file and place of all that is in the cache, or in some kinds of repositories."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos = scan_cache_dir().repos
    except CacheNotFound:
        return
    for repo in repos:
        if not kinds or repo.repo_type in kinds:
            for revision in repo.revisions:
                for entry in revision.files:
                    file = entry.file_path.relative_to(revision.snapshot_path).as_posix()
                    yield repo.repo_id, revision.commit_hash, file, entry.file_path


def name_of(repo: str, file: str) -> str:
    """The id of the catalog's row for a file on the Hub, else its name there."""
    rows = (c.id for c in load_catalog().values() if (c.repo, c.file) == (repo, file))
    return next(rows, f"{repo}:{file}")


def remove(checkpoint: Checkpoint) -> int:
    """Deletes a checkpoint's file from the Hub's cache, at every commit; returns the bytes set free.

    Raises:
        CheckpointNotFound: it is not there.
    """
    ours = [c for c in cached_files() if c.repo == checkpoint.repo and checkpoint.file in ("", c.file)]
    if not ours:
        raise CheckpointNotFound(f"{checkpoint.id} is not in the cache, so there is nothing to remove.")
    paths = {c.path for c in ours}
    kept = {place for *_, path in _entries() if path not in paths for place in _places(path)}
    gone = {place for path in paths for place in _places(path)} - kept
    for place in gone:
        place.unlink(missing_ok=True)
    return sum({c.blob: c.bytes for c in ours if c.blob in gone}.values())


def _places(path: Path) -> set[Path]:
    """All that a file of the cache takes: its entry, the blob that this names, and the bytes."""
    return {path, blob_of(path), path.resolve()}
