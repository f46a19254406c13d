"""Whether a file's bytes are the ones that were promised, by the catalog, by the Hub, or at first use."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal

from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.errors import ChecksumMismatch

Verified = Literal["catalog", "hub", "unverified"]


@lru_cache(maxsize=256)
def sha256_of(path: Path, size: int, mtime_ns: int) -> str:
    """Hashes once for each state of a file: size and time are in the key, not in the sum."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def current_sha256(path: Path) -> str:
    """Of a file's bytes as they are now."""
    stat = path.stat()
    return sha256_of(path.resolve(), stat.st_size, stat.st_mtime_ns)


def check_promise(
    checkpoint: Checkpoint, name: str, sha256: str, advice: str = "delete that copy and fetch it again"
) -> None:
    """Raises ChecksumMismatch where the catalog promises other bytes."""
    if checkpoint.sha256 not in (None, sha256):
        raise ChecksumMismatch(
            f"{name} is not the file that was promised (its sha256 differs), so it was not opened: {advice}."
        )


def check_download(checkpoint: Checkpoint, path: Path, revision: str | None) -> Verified:
    """How far a file out of the Hub's cache can be trusted to be the one that was asked for.

    Raises:
        ChecksumMismatch: it is not; a copy that was altered on the way, or later on this disk, is deleted.
    """
    vouched = check_hub_sum(path)
    sha256 = current_sha256(path)
    if not vouched and checkpoint.sha256 not in (None, sha256):
        discard(path)
    check_promise(checkpoint, path.name, sha256, "choose another checkpoint" if vouched else "try again")
    if checkpoint.sha256:
        return "catalog"
    if vouched:
        return "hub"
    check_first_seen(f"{checkpoint.repo}:{checkpoint.file}@{revision}", path.name, sha256)
    return "unverified"


def check_hub_sum(path: Path) -> bool:
    """Holds a file of the Hub's cache to the Hub's own checksum; false where the Hub gave none.

    Raises:
        ChecksumMismatch: it was altered on the way, or later on this disk; the copy is deleted.
    """
    expected = hub_sum(path)
    if expected is None:
        return False
    if actual_sum(path, expected) != expected:
        discard(path)
        raise ChecksumMismatch(
            f"{path.name} is not as the Hub keeps it (its checksum differs), "
            "so it was deleted and not opened: try again."
        )
    return True


def hub_sum(path: Path) -> str | None:
    """The checksum that the Hub gave for a file, which names its blob in the cache: sha256, or git's sha1."""
    name = blob_of(path).name
    return name if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name) else None


def blob_of(path: Path) -> Path:
    """What the entry of a commit points to, or the entry itself where a disk knows no links.

    The blob may be a link again, into a store that all repositories share, where names are no checksums.
    """
    return Path(os.path.abspath(path.parent / path.readlink())) if path.is_symlink() else path


def actual_sum(path: Path, like: str) -> str:
    """The sum of a file's bytes, of the kind of another."""
    if len(like) == 64:
        return current_sha256(path)
    content = path.read_bytes()  # only small files are kept in git itself
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def discard(path: Path) -> None:
    """Deletes a file of the Hub's cache, at every commit that has the same bytes.

    huggingface_hub takes a repository with an entry that leads nowhere for damaged.
    """
    bytes_here, blob = path.resolve(), blob_of(path)
    same = [entry for entry in blob.parents[1].glob("snapshots/**/*") if blob_of(entry) == blob]
    for file in (bytes_here, blob, path, *same):
        file.unlink(missing_ok=True)


def check_first_seen(name: str, shown: str, sha256: str) -> None:
    """Remembers the sum of a file that nobody vouches for, and holds later copies to it.

    Raises:
        ChecksumMismatch: at first use it was another file.
    """
    store = seen_file()
    seen = read_seen(store)
    if name not in seen:
        with suppress(OSError):  # a disk that cannot be written to has no later copies either
            write_seen(store, {**seen, name: sha256})
    elif seen[name] != sha256:
        raise ChecksumMismatch(
            f"{shown} is not the file that was opened here before under this name (its sha256 differs), "
            "so it was not opened: ask its author what has changed."
        )


def seen_file() -> Path:
    """Where sums are remembered: beside the Hub's cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HOME) / "imgsynth" / "first-seen.json"


def read_seen(store: Path) -> dict[str, str]:
    try:
        seen = json.loads(store.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return seen if isinstance(seen, dict) else {}


def write_seen(store: Path, seen: dict[str, str]) -> None:
    """In one step, so that two processes never leave half a file."""
    store.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=store.parent, delete=False, encoding="utf-8") as handle:
        json.dump(seen, handle, indent=1)
    os.replace(handle.name, store)
