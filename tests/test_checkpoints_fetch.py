"""Fetching: which file, which bytes, and one plain sentence for whatever goes wrong on the way."""

from __future__ import annotations

import errno
import hashlib
import importlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import _CACHED_NO_EXIST
from huggingface_hub import errors as hub

from imgsynth.checkpoints.catalog import Checkpoint, load_catalog
from imgsynth.checkpoints.choose import choose_weights
from imgsynth.checkpoints.fetch import Access, fetch
from imgsynth.checkpoints.naming import from_path, resolve
from imgsynth.errors import CheckpointNotFound, ChecksumMismatch, DownloadFailed, ImgsynthError

# httpx in huggingface_hub 1.x, httpx2 in 2.x
httpx: Any = importlib.import_module(hub.HfHubHTTPError.__bases__[0].__module__.partition(".")[0])

COMMIT = "0123abcd" * 5
WEIGHTS = b"weights" * 100
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


class FakeHub:
    """Stands in for hf_hub_download and list_repo_files: a folder laid out as the Hub cache is."""

    def __init__(self, root: Path) -> None:
        self.root = root / "models--owner--name" / "snapshots" / COMMIT
        self.asked: list[tuple[str, str, str | None, bool | None]] = []
        self.error: Exception | None = None
        self.known: Any = None
        self.add("net.safetensors", WEIGHTS)

    def add(self, file: str, content: bytes) -> None:
        (self.root / file).parent.mkdir(parents=True, exist_ok=True)
        (self.root / file).write_bytes(content)

    def download(
        self,
        repo: str,
        file: str,
        *,
        revision: str | None,
        token: bool | None,
        tqdm_class: Any = None,
        dry_run: bool = False,
    ) -> Any:
        self.asked.append((repo, file, revision, token))
        if self.error:
            raise self.error
        if not (self.root / file).exists():
            raise hub.RemoteEntryNotFoundError("no such entry", response=answer(404))
        if dry_run:
            return SimpleNamespace(will_download=not self.known, file_size=(self.root / file).stat().st_size)
        if tqdm_class:
            self.report(tqdm_class)
        return str(self.root / file)

    def report(self, tqdm_class: Any) -> None:
        """As huggingface_hub drives its bar, over HTTP and over Xet."""
        with tqdm_class(total=len(WEIGHTS), initial=100, desc="net", unit="B", unit_scale=True) as bar:
            bar.update(200)
            bar.update_transfer(200)
            bar.set_postfix_str("1 MB/s", refresh=False)
            bar.update(len(WEIGHTS) - 300)

    def files(self, *args: Any, **kwargs: Any) -> list[str]:
        if self.error:
            raise self.error
        return [p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.is_file()]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub(tmp_path)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fake.download)
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", fake.files)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *a, **k: fake.known)
    return fake


def answer(status: int) -> Any:
    return httpx.Response(status, request=httpx.Request("GET", "https://hub.invalid/owner/name"))


def from_cause(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


# --- files on this disk ---


def test_a_local_file(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(WEIGHTS)
    fetched = fetch(from_path(path))
    assert (fetched.path, fetched.sha256, fetched.bytes) == (path, SHA256, len(WEIGHTS))
    assert (fetched.revision, fetched.file, fetched.notes) == (None, "net.pth", ())


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
        fetch(resolve("avatars-gan"))
    (tmp_path / "avatars-gan.safetensors").write_bytes(WEIGHTS)
    assert fetch(resolve("avatars-gan")).sha256 == SHA256


def test_a_file_that_went_away(tmp_path: Path) -> None:
    (tmp_path / "net.pth").touch()
    checkpoint = from_path(tmp_path / "net.pth")
    (tmp_path / "net.pth").unlink()
    with pytest.raises(CheckpointNotFound, match=r"^net.pth is no longer there"):
        fetch(checkpoint)


# --- the Hub ---


def test_a_hub_file_with_its_commit(fake: FakeHub) -> None:
    fetched = fetch(resolve("owner/name:net.safetensors@main"), access=Access(token=False))
    assert (fetched.sha256, fetched.revision, fetched.hints, fetched.notes) == (SHA256, COMMIT, {}, ())
    assert fake.asked[0] == ("owner/name", "net.safetensors", "main", False)


def test_a_file_too_large_for_a_visitor_is_not_downloaded(fake: FakeHub) -> None:
    with pytest.raises(DownloadFailed, match=r"net.safetensors has .* MB and this server downloads at most"):
        fetch(resolve("owner/name:net.safetensors"), access=Access(False, len(WEIGHTS) - 1))
    assert len(fake.asked) == 1
    assert fetch(resolve("owner/name:net.safetensors"), access=Access(False, len(WEIGHTS))).sha256 == SHA256


def test_what_is_cached_may_be_used_by_a_visitor_whatever_its_size(fake: FakeHub) -> None:
    fake.known = "cached"
    assert fetch(resolve("owner/name:net.safetensors"), access=Access(False, 1)).sha256 == SHA256


def test_config_is_asked_for_beside_the_weights_and_at_their_commit(fake: FakeHub) -> None:
    fake.add("vae/net.pt", WEIGHTS)
    fake.add("vae/config.json", b'{"latent_dim": 7, "channels": 3}')
    checkpoint = replace(resolve("owner/name:vae/net.pt"), hints={"channels": 1})
    assert fetch(checkpoint).hints == {"latent_dim": 7, "channels": 1}
    assert fake.asked[1] == ("owner/name", "vae/config.json", COMMIT, None)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b"[1]", b" " * 2_000_000])
def test_a_config_that_is_none_is_left_aside_and_said(fake: FakeHub, content: bytes) -> None:
    fake.add("config.json", content)
    fetched = fetch(resolve("owner/name:net.safetensors"))
    assert fetched.hints == {}
    assert "could not be understood" in fetched.notes[0]


def test_a_config_known_to_be_missing_is_not_asked_for_again(fake: FakeHub) -> None:
    fake.known = _CACHED_NO_EXIST
    fetch(resolve("owner/name:net.safetensors"))
    assert len(fake.asked) == 1


def test_progress_ends_at_the_whole_file(fake: FakeHub) -> None:
    seen: list[tuple[int, int]] = []
    fetch(resolve("owner/name:net.safetensors"), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(300, len(WEIGHTS)), (len(WEIGHTS), len(WEIGHTS))]


def test_an_unnamed_file_is_chosen_and_said(fake: FakeHub) -> None:
    fake.add("optimizer.safetensors", b"x")
    fake.add("old/net.pth", b"x")
    fetched = fetch(resolve("owner/name"))
    assert fetched.file == "net.safetensors"
    assert fetched.sha256 == SHA256
    assert "net.safetensors was taken" in fetched.notes[0]


def test_a_repository_without_weights(fake: FakeHub) -> None:
    (fake.root / "net.safetensors").rename(fake.root / "net.onnx")
    with pytest.raises(CheckpointNotFound, match=r"owner/name holds no weights"):
        fetch(resolve("owner/name"))


def test_an_altered_file_is_refused(fake: FakeHub) -> None:
    promised = replace(resolve("owner/name:net.safetensors"), sha256=SHA256)
    assert fetch(promised).sha256 == SHA256
    fake.add("net.safetensors", WEIGHTS + b"!")
    with pytest.raises(ChecksumMismatch, match=r"net.safetensors is not the file that was promised"):
        fetch(promised)


def test_a_row_is_fetched_at_its_pinned_revision(fake: FakeHub) -> None:
    row = load_catalog()["big-lama"]
    fake.add("big-lama.safetensors", WEIGHTS)
    with pytest.raises(ChecksumMismatch):
        fetch(row)
    assert fake.asked[0] == ("michaelgold/big-lama", "big-lama.safetensors", row.revision, None)


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


# --- what can go wrong ---

LOST = "cannot find it in the cache"
FAILURES: list[tuple[str, Callable[[], Exception], type[ImgsynthError], str]] = [
    ("repo", lambda: hub.RepositoryNotFoundError("x", response=answer(401)), CheckpointNotFound, "no public"),
    ("gated", lambda: hub.GatedRepoError("x", response=answer(403)), DownloadFailed, "gated"),
    (
        "revision",
        lambda: hub.RevisionNotFoundError("x", response=answer(404)),
        CheckpointNotFound,
        "no rev",
    ),
    (
        "file",
        lambda: hub.RemoteEntryNotFoundError("x", response=answer(404)),
        CheckpointNotFound,
        "no file",
    ),
    ("name", lambda: hub.HFValidationError("x"), CheckpointNotFound, "owner/name"),
    ("token", lambda: hub.HfHubHTTPError("x", response=answer(401)), DownloadFailed, "token"),
    ("access", lambda: hub.HfHubHTTPError("x", response=answer(403)), DownloadFailed, "may not read"),
    ("busy", lambda: hub.HfHubHTTPError("x", response=answer(429)), DownloadFailed, "slow down"),
    ("down", lambda: hub.HfHubHTTPError("x", response=answer(503)), DownloadFailed, "503"),
    ("teapot", lambda: hub.HfHubHTTPError("x", response=answer(418)), DownloadFailed, "418"),
    ("offline", lambda: hub.OfflineModeIsEnabled("x"), DownloadFailed, "HF_HUB_OFFLINE is set"),
    (
        "offline, no copy",
        lambda: from_cause(hub.LocalEntryNotFoundError(LOST), hub.OfflineModeIsEnabled("x")),
        DownloadFailed,
        "HF_HUB_OFFLINE is set",
    ),
    (
        "busy, no copy",
        lambda: from_cause(hub.LocalEntryNotFoundError(LOST), hub.HfHubHTTPError("x", response=answer(429))),
        DownloadFailed,
        "slow down",
    ),
    (
        "not a hub",
        lambda: from_cause(hub.LocalEntryNotFoundError(LOST), hub.FileMetadataError("x")),
        DownloadFailed,
        "HF_ENDPOINT",
    ),
    (
        "no network, no copy",
        lambda: from_cause(hub.LocalEntryNotFoundError(LOST), httpx.ConnectError("x")),
        DownloadFailed,
        "could not be reached",
    ),
    ("no network", lambda: httpx.ConnectError("x"), DownloadFailed, "could not be reached"),
    ("slow network", lambda: httpx.ReadTimeout("x"), DownloadFailed, "could not be reached"),
    ("disk", lambda: OSError(errno.ENOSPC, "No space left on device"), DownloadFailed, "disk is full"),
    ("disk, in Xet", lambda: RuntimeError("I/O: No space left on device"), DownloadFailed, "disk is full"),
    ("permission", lambda: PermissionError(errno.EACCES, "x", "/srv/x"), DownloadFailed, "HF_HOME"),
    ("size", lambda: OSError("Consistency check failed: file should be"), DownloadFailed, "broke off"),
]


@pytest.mark.parametrize(("make", "kind", "words"), [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES])
def test_every_failure_is_one_plain_sentence(
    fake: FakeHub, make: Callable[[], Exception], kind: type[ImgsynthError], words: str
) -> None:
    fake.error = make()
    with pytest.raises(kind, match=words) as caught:
        fetch(resolve("owner/name:net.safetensors@v1"))
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert str(fake.root) not in sentence
    assert "/srv" not in sentence
    assert caught.value.__cause__ is fake.error


def test_a_failure_while_listing_is_told_too(fake: FakeHub) -> None:
    fake.error = hub.RepositoryNotFoundError("x", response=answer(401))
    with pytest.raises(CheckpointNotFound, match="no public repository owner/name"):
        fetch(resolve("owner/name"))


@pytest.mark.parametrize("error", [hub.OfflineModeIsEnabled("x"), httpx.ConnectError("x")])
def test_without_network_an_earlier_copy_is_listed(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> list[str]:
        raise error

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", refuse)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: str(fake.root))
    assert fetch(resolve("owner/name")).file == "net.safetensors"


def test_a_config_that_cannot_be_asked_for_is_said(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_weights(repo: str, file: str, **options: Any) -> str:
        if file == "config.json":
            raise hub.LocalEntryNotFoundError(LOST)
        return fake.download(repo, file, **options)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", only_weights)
    fetched = fetch(resolve("owner/name:net.safetensors"))
    assert fetched.sha256 == SHA256
    assert "could not be asked for a config.json" in fetched.notes[0]


def test_a_callers_own_error_passes_through(fake: FakeHub) -> None:
    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        fetch(resolve("owner/name:net.safetensors"), progress=stop)


def test_an_upload_is_fetched_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "up.pth").write_bytes(WEIGHTS)
    upload = Checkpoint("up", "up", (), "upload", "up.pth", path=tmp_path / "up.pth")
    assert fetch(upload).sha256 == SHA256
