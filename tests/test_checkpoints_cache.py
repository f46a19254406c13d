"""What is in the Hub's cache, by the names under which it is asked for, and how a file of it is removed."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
from safetensors.torch import save as packed

from app_server import assert_plain
from builders import tiny_dcgan
from hub_client import share_blob
from hub_server import HubServer
from imgsynth.checkpoints.cache import CachedFile, cached_files, remove
from imgsynth.checkpoints.catalog import Checkpoint, availability, load_catalog
from imgsynth.checkpoints.fetch import fetch
from imgsynth.checkpoints.naming import resolve
from imgsynth.errors import CheckpointNotFound, DownloadFailed

FILE = "model.safetensors"
WEIGHTS, OTHER = (packed(tiny_dcgan(seed).state_dict()) for seed in (1, 2))
SIZE = len(WEIGHTS)
DIGITS = load_catalog()["mnist-dcgan"]


def fetched(hub: HubServer, *what: str) -> list[Path]:
    """Downloads, from repositories that are made as they are named: `owner/name:file`."""
    files: dict[str, dict[str, bytes]] = {}
    for name in what:
        repo, _, file = name.partition(":")
        files.setdefault(repo, {"config.json": b"{}"})[file] = WEIGHTS
    for repo, named in files.items():
        hub.add(repo, named, lfs=[file for file in named if file != "config.json"])
    return [fetch(resolve(name)).path for name in what]


def names() -> list[str]:
    return [file.name for file in cached_files()]


# --- what is there ---


def test_without_a_cache_there_is_nothing(hub: HubServer) -> None:
    assert cached_files() == []


def test_weights_are_named_as_they_are_asked_for(hub: HubServer) -> None:
    what = [f"{DIGITS.repo}:{DIGITS.file}", "owner/name:vae/model.safetensors", f"owner/name:{FILE}"]
    fetched(hub, *what)
    assert names() == [DIGITS.id, f"owner/name:{FILE}", "owner/name:vae/model.safetensors"]
    assert all(resolve(name).repo in (DIGITS.repo, "owner/name") for name in names())


def test_a_file_of_the_cache_is_described(hub: HubServer) -> None:
    [path] = fetched(hub, f"owner/name:{FILE}")
    [file] = cached_files()
    expected = CachedFile(
        f"owner/name:{FILE}", "owner/name", FILE, path.parent.name, SIZE, path, path.resolve()
    )
    assert file == expected


def test_what_holds_no_weights_of_a_network_is_left_out(hub: HubServer) -> None:
    fetched(hub, "owner/name:optimizer.pt", "owner/name:disc_A.pth", "owner/name:gen.pth")
    assert names() == ["owner/name:gen.pth"]


def test_offline_the_names_of_what_is_here_are_offered(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched(hub, f"{DIGITS.repo}:{DIGITS.file}", *(f"owner/name:{n}.pt" for n in "abce"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadFailed) as caught:
        fetch(resolve("owner/other"))
    sentence = str(caught.value)
    assert_plain(sentence)
    listed = ", ".join([DIGITS.id, *(f"owner/name:{n}.pt" for n in "abc")])
    assert sentence.endswith(f"of the Hub's, {listed} and 1 more can be opened.")


# --- removing ---


def test_a_file_is_removed_and_the_others_of_its_repository_stay(hub: HubServer) -> None:
    hub.add("owner/name", {FILE: WEIGHTS, "b.pt": OTHER, "config.json": b"{}"}, lfs=(FILE, "b.pt"))
    gone, stays = (fetch(resolve(f"owner/name:{file}")).path for file in (FILE, "b.pt"))
    bytes_gone = gone.resolve()
    assert remove(resolve(f"owner/name:{FILE}")) == SIZE
    assert not gone.is_symlink() and not bytes_gone.exists()
    assert names() == ["owner/name:b.pt"]
    assert stays.read_bytes() == OTHER
    assert gone.with_name("config.json").read_bytes() == b"{}"


def test_a_file_is_removed_at_all_its_commits(hub: HubServer) -> None:
    for content in (WEIGHTS, OTHER, WEIGHTS):  # the third has the first's bytes
        hub.add("owner/name", {FILE: content}, lfs=(FILE,))
        fetch(resolve(f"owner/name:{FILE}"))
    assert len({file.revision for file in cached_files()}) == 3
    assert remove(resolve(f"owner/name:{FILE}")) == len(WEIGHTS) + len(OTHER)
    assert cached_files() == []


def test_a_repository_is_removed_with_all_its_weights(hub: HubServer) -> None:
    fetched(hub, "owner/name:a.pt", "owner/name:b/c.pt", "owner/other:a.pt")
    assert remove(resolve("owner/name")) == SIZE  # once, as both have the same bytes
    assert names() == ["owner/other:a.pt"]


@pytest.mark.parametrize("other", ["b.pt", "optimizer.pt"])
def test_bytes_that_another_file_has_too_stay(hub: HubServer, other: str) -> None:
    gone, stays = fetched(hub, "owner/name:a.pt", f"owner/name:{other}")
    assert gone.resolve() == stays.resolve()
    assert remove(resolve("owner/name:a.pt")) == 0
    assert not gone.is_symlink()
    assert stays.read_bytes() == WEIGHTS


def test_bytes_in_the_store_of_all_repositories_go_with_the_last_that_has_them(hub: HubServer) -> None:
    stores = {share_blob(path) for path in fetched(hub, "owner/name:a.pt", "owner/other:a.pt")}
    [store] = stores
    assert remove(resolve("owner/name:a.pt")) == 0
    assert store.exists()
    assert names() == ["owner/other:a.pt"]
    assert remove(resolve("owner/other:a.pt")) == SIZE
    assert not store.exists()
    assert cached_files() == []


def test_what_was_removed_can_be_had_again(hub: HubServer, tmp_path: Path) -> None:
    [path] = fetched(hub, f"owner/name:{FILE}")
    remove(resolve(f"owner/name:{FILE}"))
    assert huggingface_hub.scan_cache_dir().warnings == []
    assert fetch(resolve("owner/name")).path == path
    assert path.read_bytes() == WEIGHTS


def test_without_the_hub_what_was_removed_is_not_found(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched(hub, f"owner/name:{FILE}")
    remove(resolve(f"owner/name:{FILE}"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadFailed, match="owner/name is not on this machine"):
        fetch(resolve("owner/name"))


@pytest.mark.parametrize("what", ["owner/none", "owner/name:none.pt", "big-lama", "avatars-gan"])
def test_what_is_not_in_the_cache_cannot_be_removed(hub: HubServer, what: str) -> None:
    fetched(hub, f"owner/name:{FILE}")
    with pytest.raises(CheckpointNotFound, match=f"^{what} is not in the cache") as caught:
        remove(resolve(what))
    assert_plain(str(caught.value))
    assert names() == [f"owner/name:{FILE}"]


# --- what the list of models says ---


@pytest.mark.parametrize(
    ("row", "file"), [("mnist-dcgan", DIGITS.file), ("taesdxl", "diffusion_pytorch_model.safetensors")]
)
def test_a_row_is_available_while_its_file_is_here(hub: HubServer, row: str, file: str) -> None:
    checkpoint: Checkpoint = load_catalog()[row]
    assert availability(checkpoint) == "download"
    fetched(hub, f"{checkpoint.repo}:{file}")
    hub.forget()
    assert availability(checkpoint) == "cached"
    assert hub.requests == []
    remove(checkpoint)
    assert availability(checkpoint) == "download"
