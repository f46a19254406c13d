"""Whose word stands for a file's bytes: the catalog's, the Hub's, or that of the first use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save as packed

from app_server import assert_plain
from builders import save, tiny_dcgan
from cli_runs import Run
from hub_client import share_blob
from hub_server import HubServer
from imgsynth.checkpoints import catalog
from imgsynth.checkpoints.cache import remove
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.fetch import Fetched, fetch
from imgsynth.checkpoints.naming import resolve
from imgsynth.checkpoints.verify import seen_file
from imgsynth.errors import ChecksumMismatch, DownloadFailed

FILE = "model.safetensors"
NAMED = f"owner/name:{FILE}"
WEIGHTS = packed(tiny_dcgan().state_dict())
OTHER = packed(tiny_dcgan(1).state_dict())
CONFIG = b'{"latent_dim": 6}'

Alter = Callable[[Path], None]


def add(hub: HubServer, lfs: bool = True, vouched: bool = True, weights: bytes = WEIGHTS) -> str:
    files = {FILE: weights, "config.json": CONFIG}
    return hub.add("owner/name", files, lfs=(FILE,) if lfs else (), vouched=vouched)


def fetched(checkpoint: Checkpoint | None = None) -> Fetched:
    return fetch(checkpoint or resolve(NAMED))


def promised(weights: bytes) -> Checkpoint:
    """The checkpoint with a promise of these bytes, as a row of the catalog has it."""
    return replace(resolve(NAMED), sha256=hashlib.sha256(weights).hexdigest())


def flip(path: Path) -> None:
    """Changes one bit of a file, in the last tensor."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def refused(checkpoint: Checkpoint | None = None) -> str:
    with pytest.raises(ChecksumMismatch) as caught:
        fetched(checkpoint)
    assert_plain(str(caught.value))
    return str(caught.value)


# --- the catalog's word ---


@pytest.mark.parametrize("vouched", [True, False])
def test_what_the_catalog_promised_is_opened(hub: HubServer, vouched: bool) -> None:
    add(hub, vouched=vouched)
    assert fetched(promised(WEIGHTS)).verified == "catalog"
    assert not seen_file().exists()


def test_what_the_hub_keeps_instead_of_what_was_promised_stays_for_others(hub: HubServer) -> None:
    add(hub, weights=OTHER)
    sentence = refused(promised(WEIGHTS))
    assert sentence.startswith(f"{FILE} is not the file that was promised (its sha256 differs)")
    assert "choose another checkpoint" in sentence
    hub.forget()
    assert fetched().path.read_bytes() == OTHER
    assert hub.asked("GET /cdn/") == []


def test_what_was_promised_and_altered_on_its_way_is_fetched_again(hub: HubServer) -> None:
    add(hub, vouched=False)
    hub.fail("altered", at="GET /cdn/", after=len(WEIGHTS) - 1)
    assert "promised" in refused(promised(WEIGHTS))
    assert fetched(promised(WEIGHTS)).path.read_bytes() == WEIGHTS


def test_a_file_on_this_disk_that_was_promised_otherwise_is_refused(tmp_path: Path) -> None:
    path = save(tiny_dcgan(1).state_dict(), tmp_path / "net.safetensors")
    checkpoint = replace(promised(WEIGHTS), source="file", file=path.name, path=path)
    assert "delete that copy and fetch it again" in refused(checkpoint)
    assert path.exists()


# --- the Hub's word: sha256 for large files, git's own sum for small ones ---

LFS = pytest.mark.parametrize("lfs", [True, False], ids=["sha256", "git"])


@LFS
def test_the_hubs_own_sum_vouches(hub: HubServer, lfs: bool) -> None:
    add(hub, lfs)
    assert fetched().verified == "hub"
    assert not seen_file().exists()


@LFS
@pytest.mark.parametrize("file", [FILE, "config.json"])
def test_what_was_altered_on_this_disk_is_deleted_and_fetched_again(
    hub: HubServer, lfs: bool, file: str
) -> None:
    add(hub, lfs)
    place = fetched().path.with_name(file)
    flip(place.resolve())
    sentence = refused()
    assert file in sentence
    assert "so it was deleted and not opened: try again" in sentence
    assert not place.is_symlink()
    got = fetched()
    assert (got.path.read_bytes(), got.path.with_name("config.json").read_bytes()) == (WEIGHTS, CONFIG)


def test_what_was_altered_is_not_opened_without_the_hub_either(hub: HubServer) -> None:
    add(hub)
    flip(fetched().path.resolve())
    hub.fail("drop", at="", times=None)
    refused()
    with pytest.raises(DownloadFailed, match="could not be reached"):
        fetched()


def test_altered_bytes_are_deleted_from_all_commits_that_have_them(hub: HubServer) -> None:
    first = resolve(f"{NAMED}@{add(hub)}")
    hub.add("owner/name", {FILE: WEIGHTS}, lfs=(FILE,))
    old, new = fetched(first).path, fetched().path
    assert old.parent != new.parent and old.resolve() == new.resolve()
    flip(new.resolve())
    refused()
    assert not old.is_symlink() and not new.is_symlink()
    assert fetched(first).path.read_bytes() == WEIGHTS


def test_bytes_in_the_store_of_all_repositories_are_held_to_the_hubs_sum(hub: HubServer) -> None:
    """There they have another name than their checksum."""
    add(hub)
    store = share_blob(fetched().path)
    assert store.name not in (fetched().sha256, FILE)
    assert fetched().verified == "hub"
    flip(store)
    refused()
    assert not store.exists()
    assert fetched().path.read_bytes() == WEIGHTS


# --- nobody's word but that of the first use ---


def test_what_nobody_vouches_for_must_stay_as_it_was_first_seen(hub: HubServer) -> None:
    add(hub, vouched=False)
    assert fetched().verified == "unverified"
    assert fetched().verified == "unverified"
    flip(fetched().path.resolve())
    assert "is not the file that was opened here before under this name" in refused()


def test_the_first_use_is_remembered_when_the_file_is_gone(hub: HubServer) -> None:
    add(hub, vouched=False)
    fetched()
    remove(resolve(NAMED))
    hub.fail("altered", at="GET /cdn/", after=len(WEIGHTS) - 1)
    assert "opened here before" in refused()
    remove(resolve(NAMED))
    assert fetched().path.read_bytes() == WEIGHTS


def test_another_commit_may_have_other_bytes(hub: HubServer) -> None:
    first = resolve(f"{NAMED}@{add(hub, vouched=False)}")
    fetched(first)
    add(hub, vouched=False, weights=OTHER)
    assert fetched().path.read_bytes() == OTHER
    assert fetched(first).path.read_bytes() == WEIGHTS
    assert len(json.loads(seen_file().read_text())) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", "\xff"])
def test_a_damaged_memory_begins_anew(hub: HubServer, content: str) -> None:
    add(hub, vouched=False)
    seen_file().parent.mkdir(parents=True)
    seen_file().write_text(content, "latin-1")
    assert fetched().verified == "unverified"
    assert list(json.loads(seen_file().read_text())) == [f"{NAMED}@{fetched().revision}"]


def test_where_nothing_can_be_remembered_a_file_is_opened_all_the_same(hub: HubServer) -> None:
    add(hub, vouched=False)
    seen_file().parent.parent.mkdir()
    seen_file().parent.write_text("in the way of a folder")
    assert fetched().verified == "unverified"


# --- what is told of it ---


def test_inspect_tells_who_vouches(hub: HubServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(what: object) -> tuple[Any, bool]:
        facts = json.loads(run("inspect", what, "--json").out)
        return facts["verified"], facts["downloaded"]

    add(hub)
    row = replace(promised(WEIGHTS), id="promised", tasks=("sample",), repo="owner/promised")
    monkeypatch.setattr(catalog, "_shipped_catalog", lambda: {"promised": row})
    for name, vouched in (("owner/promised", True), ("owner/mirrored", False)):
        hub.add(name, {FILE: WEIGHTS}, lfs=(FILE,), vouched=vouched)
    assert told(NAMED) == (None, False)
    for what in (NAMED, "promised", f"owner/mirrored:{FILE}"):
        fetch(resolve(what))
    assert told(NAMED) == ("hub", True)
    assert told("promised") == ("catalog", True)
    assert told(f"owner/mirrored:{FILE}") == ("unverified", True)
    assert told(fetched().path) == (None, True)
