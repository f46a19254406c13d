"""Repositories of the local Hub (hub_server.py): files, commits, branches, tags, and their lists."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

EPOCH = "2024-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class Blob:
    """A file's content.

    Attributes:
        lfs: whether git itself holds only a pointer to it.
        vouched: whether its ETag is a checksum, as the Hub's are; a mirror's may only tell versions apart.
    """

    content: bytes
    lfs: bool = False
    vouched: bool = True

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def pointer(self) -> bytes:
        lines = ("version https://git-lfs.github.com/spec/v1", f"oid sha256:{self.sha256}")
        return "\n".join([*lines, f"size {len(self.content)}\n"]).encode()

    @cached_property
    def oid(self) -> str:
        """The git object id of what git holds."""
        held = self.pointer if self.lfs else self.content
        return hashlib.sha1(b"blob %d\0" % len(held) + held).hexdigest()

    @property
    def etag(self) -> str:
        checksum = self.sha256 if self.lfs else self.oid
        return f'"{checksum}"' if self.vouched else f'W/"version-{checksum[:8]}"'

    def as_entry(self, path: str) -> dict[str, Any]:
        """As the tree and paths-info list it."""
        entry: dict[str, Any] = {"type": "file", "oid": self.oid, "size": len(self.content), "path": path}
        lfs = {"oid": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
        return entry | ({"lfs": lfs} if self.lfs else {})

    def as_sibling(self, path: str, in_full: bool) -> dict[str, Any]:
        """As the model info lists it; sizes and hashes are told only where `blobs` was asked for."""
        if not in_full:
            return {"rfilename": path}
        sibling: dict[str, Any] = {"rfilename": path, "blobId": self.oid, "size": len(self.content)}
        lfs = {"sha256": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
        return sibling | ({"lfs": lfs} if self.lfs else {})


Files = Mapping[str, Blob]


@dataclass
class Repository:
    """A model repository and who may read it.

    Attributes:
        gated: whether its files, though not its description, need permission.
        private_token: the token that may read; without `gated`, nobody else even sees the repository.
        refs: commits by the names of branches and tags; a commit is 40 hex digits.
    """

    name: str
    gated: bool = False
    private_token: str | None = None
    commits: dict[str, Files] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)

    @property
    def private(self) -> bool:
        return self.private_token is not None and not self.gated

    def commit(self, files: Mapping[str, bytes], lfs: Collection[str], branch: str, vouched: bool) -> str:
        """Makes a commit of exactly these files the newest of the branch."""
        blobs = {path: Blob(content, path in lfs, vouched) for path, content in sorted(files.items())}
        listing = "".join(f"{path} {blob.oid}\n" for path, blob in blobs.items())
        history = f"{self.name} {branch} {self.refs.get(branch)}\n{listing}"
        sha = hashlib.sha1(history.encode()).hexdigest()
        self.commits[sha] = blobs
        self.refs[branch] = sha
        return sha

    def tag(self, name: str, revision: str) -> None:
        self.refs[name] = str(self.find(revision))
        self.tags.add(name)

    def blobs(self) -> Iterator[Blob]:
        """The files of all commits."""
        for files in self.commits.values():
            yield from files.values()

    def find(self, revision: str) -> str | None:
        """The commit that a branch, a tag or a whole commit id stands for."""
        return self.refs.get(revision) or (revision if revision in self.commits else None)

    def info(self, sha: str, in_full: bool) -> dict[str, Any]:
        siblings = [blob.as_sibling(path, in_full) for path, blob in self.commits[sha].items()]
        state = {"private": self.private, "gated": "manual" if self.gated else False, "disabled": False}
        dates = {"lastModified": EPOCH, "createdAt": EPOCH}
        names = {"id": self.name, "modelId": self.name, "author": self.name.partition("/")[0]}
        counts = {"downloads": 0, "likes": 0, "tags": []}
        return {**names, "sha": sha, **dates, **state, **counts, "siblings": siblings}

    def tree(self, sha: str, folder: str, recursive: bool) -> list[dict[str, Any]]:
        """What lies in a folder ("" for the topmost), folders first; with `recursive`, all below it too."""
        files = self.commits[sha]
        inside = [path for path in files if not folder or path.startswith(f"{folder}/")]
        above = {str(parent) for path in inside for parent in PurePosixPath(path).parents}
        folders = sorted(path for path in above - {"."} if path.startswith(f"{folder}/" if folder else ""))
        entries = [self._folder_entry(sha, path) for path in folders]
        entries += [files[path].as_entry(path) for path in inside]
        level = folder.count("/") + 1 if folder else 0
        return [entry for entry in entries if recursive or entry["path"].count("/") == level]

    def paths_info(self, sha: str, paths: Collection[str]) -> list[dict[str, Any]]:
        """Files and folders of these paths; what is not there is left out, as the Hub does."""
        return [entry for entry in self.tree(sha, "", True) if entry["path"] in paths]

    def references(self) -> dict[str, Any]:
        def listed(names: Collection[str], kind: str) -> list[dict[str, str]]:
            rows = sorted((name, self.refs[name]) for name in names)
            return [{"name": n, "ref": f"refs/{kind}/{n}", "targetCommit": sha} for n, sha in rows]

        branches = listed(self.refs.keys() - self.tags, "heads")
        return {"branches": branches, "tags": listed(self.tags, "tags"), "converts": [], "pullRequests": []}

    def _folder_entry(self, sha: str, path: str) -> dict[str, Any]:
        oid = hashlib.sha1(f"{sha} {path}".encode()).hexdigest()
        return {"type": "directory", "oid": oid, "size": 0, "path": path}
