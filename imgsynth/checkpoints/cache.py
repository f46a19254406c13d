"""What of the Hub is on this disk, and how to be rid of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgsynth.checkpoints.catalog import Checkpoint, load_catalog
from imgsynth.checkpoints.choose import choose_weights
from imgsynth.errors import CheckpointNotFound

if TYPE_CHECKING:
    from huggingface_hub import CachedFileInfo, CachedRevisionInfo


@dataclass(frozen=True)
class CachedFile:
    """A file of weights in the Hub's cache, at one commit.

    Attributes:
        name: how to ask for it: a catalog id, or `owner/name:file`.
        repo, file, revision: where on the Hub it belongs.
        bytes: its size.
        path, blob: the entry in the snapshot, and the bytes that it points to.
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
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos = scan_cache_dir().repos
    except CacheNotFound:
        return []
    found = [
        as_cached(repo.repo_id, revision, entry)
        for repo in repos
        if repo.repo_type == "model"
        for revision in repo.revisions
        for entry in revision.files
    ]
    return sorted((c for c in found if choose_weights([c.file])), key=lambda c: c.name)


def as_cached(repo: str, revision: CachedRevisionInfo, entry: CachedFileInfo) -> CachedFile:
    file = entry.file_path.relative_to(revision.snapshot_path).as_posix()
    return CachedFile(
        name_of(repo, file),
        repo,
        file,
        revision.commit_hash,
        entry.size_on_disk,
        entry.file_path,
        entry.blob_path,
    )


def name_of(repo: str, file: str) -> str:
    """The id of the catalog's row for a file on the Hub, else its name there."""
    rows = (c.id for c in load_catalog().values() if (c.repo, c.file) == (repo, file))
    return next(rows, f"{repo}:{file}")


def remove(checkpoint: Checkpoint) -> int:
    """Deletes a checkpoint's file from the Hub's cache, at every commit; returns the bytes set free.

    Raises:
        CheckpointNotFound: it is not there.
    """
    every = cached_files()
    ours = [c for c in every if c.repo == checkpoint.repo and checkpoint.file in ("", c.file)]
    if not ours:
        raise CheckpointNotFound(f"{checkpoint.id} is not in the cache, so there is nothing to remove.")
    for entry in ours:
        entry.path.unlink(missing_ok=True)
    kept = {c.blob for c in every if c not in ours}
    freed = {c.blob: c.bytes for c in ours if c.blob not in kept}
    for blob in freed:
        blob.unlink(missing_ok=True)
    return sum(freed.values())
