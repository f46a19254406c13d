"""Fetching: which file and which facts beside it, what is told on the way, and what the disk may do to it."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save as packed

from app_server import assert_plain
from builders import tiny_dcgan
from hub_client import CHUNK
from hub_faults import Kind
from hub_server import HubServer
from imgsynth.checkpoints.access import Access
from imgsynth.checkpoints.catalog import Checkpoint, load_catalog
from imgsynth.checkpoints.choose import choose_weights
from imgsynth.checkpoints.fetch import Fetched, fetch
from imgsynth.checkpoints.hub_errors import explain
from imgsynth.checkpoints.naming import from_path, resolve
from imgsynth.errors import CheckpointNotFound, DownloadFailed
from imgsynth.runtime.opening import open_file

FILE = "model.safetensors"
NAMED = f"owner/name:{FILE}"
WEIGHTS = packed(tiny_dcgan().state_dict())
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
SIZE = len(WEIGHTS)
FULL_DISK = Path("/dev/full")


def add(hub: HubServer, **more: bytes) -> str:
    """A commit of `owner/name` with the weights, and more files: `config_json` stands for config.json."""
    files = {FILE: WEIGHTS, **{name.replace("_json", ".json"): content for name, content in more.items()}}
    return hub.add("owner/name", files, lfs=(FILE,))


def fetched(what: str = NAMED, **options: Any) -> Fetched:
    return fetch(resolve(what), **options)


# --- files on this disk ---


def test_a_local_file(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(WEIGHTS)
    got = fetch(from_path(path))
    assert (got.path, got.sha256, got.bytes, got.file) == (path, SHA256, SIZE, "net.pth")
    assert (got.revision, got.hints, got.notes, got.verified) == (None, {}, (), None)


def test_the_checksum_follows_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(WEIGHTS)
    first = fetch(from_path(path)).sha256
    path.write_bytes(WEIGHTS[::-1])
    os.utime(path, ns=(1, 1))
    assert fetch(from_path(path)).sha256 == hashlib.sha256(WEIGHTS[::-1]).hexdigest() != first


def test_the_checksum_of_an_unchanged_file_is_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(WEIGHTS)
    fetch(from_path(path))
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert fetch(from_path(path)).sha256 == SHA256


def test_bundled_weights_and_their_absence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGSYNTH_WEIGHTS", str(tmp_path))
    with pytest.raises(CheckpointNotFound, match=r"avatars-gan are not in this copy"):
        fetched("avatars-gan")
    (tmp_path / "avatars-gan.safetensors").write_bytes(WEIGHTS)
    assert fetched("avatars-gan").sha256 == SHA256


def test_a_file_that_went_away(tmp_path: Path) -> None:
    (tmp_path / "net.pth").touch()
    checkpoint = from_path(tmp_path / "net.pth")
    (tmp_path / "net.pth").unlink()
    with pytest.raises(CheckpointNotFound, match=r"^net.pth is no longer there"):
        fetch(checkpoint)


@pytest.mark.parametrize(("source", "hints"), [("file", {"latent_dim": 7}), ("upload", {})])
def test_a_config_beside_a_file_is_read_but_none_beside_an_upload(
    tmp_path: Path, source: Any, hints: dict[str, Any]
) -> None:
    """Uploads of several people may lie in one folder."""
    (tmp_path / "net.pth").write_bytes(WEIGHTS)
    (tmp_path / "config.json").write_text('{"latent_dim": 7}')
    got = fetch(Checkpoint("net", "net", (), source, "net.pth", path=tmp_path / "net.pth"))
    assert (got.sha256, got.hints) == (SHA256, hints)


# --- which file of a repository ---


def test_a_row_is_fetched_at_its_pinned_commit_or_not_at_all(hub: HubServer) -> None:
    row = load_catalog()["big-lama"]
    hub.add(str(row.repo), {row.file: WEIGHTS})
    with pytest.raises(CheckpointNotFound, match=f"no revision {row.revision}"):
        fetch(row)
    assert hub.requests == hub.asked(f"/resolve/{row.revision}/")


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["pytorch_model.bin", "model.safetensors", "config.json"], "model.safetensors"),
        (["pytorch_model.bin", "training_args.bin", "optimizer.bin"], "pytorch_model.bin"),
        (["gen_AB.pth", "disc_A.pth", "disc_B.pth"], "gen_AB.pth"),
        (["latest_net_D.pth", "latest_net_G.pth"], "latest_net_G.pth"),
        (["netD.pth", "netG.pth", "readme.md"], "netG.pth"),
        (["model.safetensors", "model_ema.safetensors"], "model_ema.safetensors"),
        (["vae/model.safetensors", "model.safetensors"], "model.safetensors"),
        (["directions/Smiling.pt", "other.bin"], "other.bin"),
        (["a.bin", "generator_final.bin"], "generator_final.bin"),
        (["model-00001-of-00002.safetensors", "small.pt"], "small.pt"),
        (["state_dict.pth"], "state_dict.pth"),
        (["scheduler.pt", "random_states_0.pkl", "model.onnx", "snapshot.pkl", "logs/rng_state.pth"], None),
    ],
)
def test_the_most_likely_file(files: list[str], chosen: str | None) -> None:
    assert next(iter(choose_weights(files)), None) == chosen
    assert next(iter(choose_weights(reversed(files))), None) == chosen


# --- what lies beside it ---


def test_a_config_belongs_to_the_commit_of_the_weights(hub: HubServer) -> None:
    first = add(hub, config_json=b'{"latent_dim": 7, "channels": 3}')
    second = add(hub, config_json=b'{"latent_dim": 9}')
    checkpoint = replace(resolve(f"{NAMED}@{first}"), hints={"channels": 1})
    assert fetch(checkpoint).hints == {"latent_dim": 7, "channels": 1}
    assert fetched().hints == {"latent_dim": 9}
    assert len(hub.asked(f"/{first}/config.json")) + len(hub.asked(f"/{second}/config.json")) == len(
        hub.asked("config.json")
    )


def test_pythaes_name_of_a_config_is_known(hub: HubServer) -> None:
    add(hub, model_config_json=b'{"latent_dim": 7}')
    assert fetched().hints == {"latent_dim": 7}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b"[1]", b"[" * 9999, b" " * 2_000_000])
def test_a_config_that_is_none_is_left_aside_and_said(hub: HubServer, content: bytes) -> None:
    add(hub, config_json=content)
    got = fetched()
    assert (got.hints, got.notes) == ({}, ("config.json could not be understood, so it was left aside.",))


def test_a_file_far_too_large_for_a_config_is_not_downloaded(hub: HubServer) -> None:
    add(hub, config_json=b" " * 2_000_000)
    assert "could not be understood" in fetched(access=Access(False, SIZE)).notes[0]
    assert hub.asked("GET .*config.json") == []


def test_a_config_known_to_be_missing_is_not_asked_for_again(hub: HubServer) -> None:
    add(hub)
    fetched()
    assert len(hub.asked("config.json")) == 2
    hub.forget()
    fetched()
    assert [str(request) for request in hub.requests] == 2 * [f"HEAD /owner/name/resolve/main/{FILE}"]


@pytest.mark.parametrize("kind", ["drop", "status", "html"])
def test_without_its_config_a_file_is_opened_only_if_it_is_here_already(hub: HubServer, kind: Kind) -> None:
    add(hub, config_json=b'{"latent_dim": 7}')
    hub.fail(kind, at="config.json", times=None)
    with pytest.raises(DownloadFailed, match=r"config.json of owner/name"):
        fetched()
    got = fetched()
    assert (got.sha256, got.hints) == (SHA256, {})
    assert "could not be asked for a config.json" in got.notes[0]
    hub.heal()
    assert fetched().hints == {"latent_dim": 7}


# --- for a visitor ---


def test_what_is_cached_may_be_used_by_a_visitor_whatever_its_size(hub: HubServer) -> None:
    add(hub)
    fetched()
    assert fetched(access=Access(False, 1)).sha256 == SHA256


def test_of_what_is_too_large_for_a_visitor_not_even_the_header_is_read(hub: HubServer) -> None:
    add(hub)
    with pytest.raises(DownloadFailed, match=f"{FILE} has .* MB and this server downloads at most"):
        open_file(resolve(NAMED), access=Access(False, SIZE - 1))
    assert hub.asked("GET ") == []


# --- progress ---


def test_progress_begins_at_nothing_before_the_first_byte_and_ends_at_the_whole(hub: HubServer) -> None:
    add(hub, config_json=b"{}")
    seen: list[tuple[int, int]] = []
    asked: list[int] = []

    def note(done: int, total: int) -> None:
        seen.append((done, total))
        asked.append(len(hub.asked("GET ")))

    fetched(progress=note)
    assert (seen[0], asked[0]) == ((0, SIZE), 0)
    assert seen[-1] == (SIZE, SIZE)
    assert seen == sorted(seen) and {total for _, total in seen} == {SIZE}
    assert len(seen) >= SIZE // CHUNK


def test_there_is_no_progress_where_nothing_is_downloaded(hub: HubServer) -> None:
    add(hub)
    fetched()
    fetched(progress=lambda done, total: pytest.fail("nothing was to be downloaded"))


class StoppedError(Exception):
    """Somebody has had enough."""


OWN_ERRORS = [
    StoppedError(),
    ValueError("no such bar"),
    OSError(errno.ENOSPC, "of the caller's own disk"),
    ConnectionResetError("whoever watched has left"),
    KeyboardInterrupt(),
]


@pytest.mark.parametrize("error", OWN_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("reached", [0, 2 * CHUNK])
def test_an_error_of_the_callers_own_passes_through(
    hub: HubServer, error: BaseException, reached: int
) -> None:
    add(hub)

    def stop(done: int, total: int) -> None:
        if done >= reached:
            raise error

    with pytest.raises(type(error)) as caught:
        fetched(progress=stop)
    assert caught.value is error
    assert fetched().path.read_bytes() == WEIGHTS


# --- a Hub that is there only now and then ---

QUESTIONS = [("owner/name", "GET /api/"), (NAMED, f"HEAD .*{FILE}"), (NAMED, "HEAD .*/config.json")]


@pytest.mark.parametrize(("what", "question"), QUESTIONS)
def test_a_question_lost_on_its_way_is_put_again(hub: HubServer, what: str, question: str) -> None:
    """As on a connection that the Hub has closed since the last question."""
    add(hub, config_json=b'{"latent_dim": 7}')
    hub.fail("drop", at=question)
    got = fetched(what)
    assert (got.sha256, got.hints) == (SHA256, {"latent_dim": 7})
    assert [request.fault for request in hub.asked(question)[:2]] == ["drop", None]


def test_a_question_is_put_twice_and_not_for_ever(hub: HubServer) -> None:
    add(hub)
    hub.fail("drop", at="GET /api/", times=None)
    with pytest.raises(DownloadFailed, match="could not be reached"):
        fetched("owner/name")
    assert len(hub.requests) == 2


@pytest.mark.parametrize("what", ["owner/name", NAMED, f"{NAMED}@main"])
@pytest.mark.parametrize("kind", ["drop", "status", "html"])
def test_what_is_here_is_found_while_the_hub_is_not(hub: HubServer, what: str, kind: Kind) -> None:
    add(hub, config_json=b'{"latent_dim": 7}')
    fetched(what)
    hub.fail(kind, at="", times=None)
    got = fetched(what)
    assert (got.file, got.sha256, got.hints) == (FILE, SHA256, {"latent_dim": 7})


def test_one_file_of_a_repository_whose_others_were_never_downloaded_is_found(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another program once fetched a part of the repository, and noted how much it has in all."""
    import huggingface_hub

    add(hub, config_json=b"{}", other_json=b"{}")
    huggingface_hub.snapshot_download("owner/name", allow_patterns=[FILE, "config.json"])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetched("owner/name").file == FILE


def test_a_repository_that_says_no_is_not_read_from_the_cache(hub: HubServer) -> None:
    add(hub)
    fetched("owner/name")
    hub.add("owner/name", {FILE: WEIGHTS}, lfs=(FILE,), private_token="hf_mine")
    with pytest.raises(CheckpointNotFound, match="no public repository owner/name"):
        fetched("owner/name")


# --- the disk ---


@pytest.mark.skipif(not FULL_DISK.exists(), reason="there is no full disk here")
def test_a_full_disk_is_told_and_later_forgotten(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    add(hub)
    usual = Path.open

    def on_full_disk(path: Path, *mode: Any, **options: Any) -> Any:
        return usual(FULL_DISK if path.suffix == ".incomplete" else path, *mode, **options)

    with monkeypatch.context() as disk:
        disk.setattr(Path, "open", on_full_disk)
        with pytest.raises(DownloadFailed, match="The disk is full") as caught:
            fetched()
    assert_plain(str(caught.value))
    assert fetched().path.read_bytes() == WEIGHTS


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_cache_that_cannot_be_written_to_is_told(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    add(hub)

    def refuse(path: str, *_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(os, "makedirs", refuse)
    with pytest.raises(DownloadFailed, match="cache cannot be written to: set HF_HOME") as caught:
        fetched()
    assert_plain(str(caught.value))


def test_a_cache_where_a_file_is_in_the_way_is_told(hub: HubServer, tmp_path: Path) -> None:
    add(hub)
    (tmp_path / "home").write_text("no folder")
    with pytest.raises(DownloadFailed, match="cache cannot be written to"):
        fetched()


def test_a_cache_that_can_only_be_read_is_read(hub: HubServer, tmp_path: Path) -> None:
    def state() -> dict[Path, int]:
        return {path: path.lstat().st_mtime_ns for path in (tmp_path / "home").rglob("*")}

    add(hub, config_json=b"{}")
    fetched("owner/name")
    before = state()
    fetched("owner/name")
    assert state() == before


NOT_TO_BE_HAD_HERE: dict[str, tuple[Callable[[], Exception], str]] = {
    "full disk, told by Xet": (lambda: RuntimeError("I/O: No space left on device"), "disk is full"),
    "Xet's own trouble": (lambda: RuntimeError("Data processing: CAS error"), "broke off"),
    "slow network": (lambda: TimeoutError("timed out"), "could not be reached"),
    "somebody else's folder": (lambda: PermissionError(errno.EPERM, "x", "/srv/x"), "set HF_HOME"),
}


@pytest.mark.parametrize("case", NOT_TO_BE_HAD_HERE)
def test_what_no_local_hub_can_bring_about_is_one_plain_sentence_too(case: str) -> None:
    make, words = NOT_TO_BE_HAD_HERE[case]
    sentence = str(explain(make(), resolve(NAMED)))
    assert words in sentence
    assert_plain(sentence)
