"""Downloads from a Hub that refuses or fails: one plain sentence, never a bad model, and no lasting harm."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from safetensors.torch import save as packed

import imgsynth
from app_server import assert_plain
from builders import all_equal, drawn, model_of, tiny_vae
from hub_client import lead_client
from hub_faults import Kind
from hub_server import HubServer
from imgsynth.checkpoints.fetch import Fetched, fetch
from imgsynth.checkpoints.naming import resolve
from imgsynth.errors import CheckpointNotFound, ChecksumMismatch, DownloadFailed, ImgsynthError
from imgsynth.families import Model

FILE = "model.safetensors"
# No shape tells the groups, so that without its config.json the network would draw something else.
GROUPS = {"norm_num_groups": 8}
NETWORK = tiny_vae(groups=8, encoder_widths=[32, 32], decoder_widths=[32, 32])
FILES = {FILE: packed(NETWORK.state_dict()), "config.json": b'{"norm_num_groups": 8}'}
SIZE = len(FILES[FILE])

Prepare = Callable[[HubServer], object]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as hub:
        hub.add("owner/name", FILES, lfs=(FILE,))
        lead_client(hub, tmp_path, monkeypatch)
        yield hub
        huggingface_hub.close_session()


def fetched(what: str) -> Fetched:
    return fetch(resolve(what))


def opened() -> Model:
    return imgsynth.open_checkpoint("owner/name", device="cpu")


def pictures(model: Model) -> list[Any]:
    return drawn(model, [0])


@pytest.fixture(scope="module")
def right() -> list[Any]:
    """What the network draws if nothing was lost."""
    return pictures(model_of(NETWORK, GROUPS))


def assert_sentence(error: BaseException, *names: str) -> None:
    """One plain sentence that names one of these, where any are given, and no address or folder."""
    sentence = str(error)
    assert_plain(sentence)
    assert not re.search(r"://|127\.0\.0\.1|/tmp|snapshots|blobs", sentence)
    assert not names or any(name in sentence for name in names), sentence


# --- every refusal is one sentence ---


def failing(kind: Kind, at: str = "", **how: Any) -> Prepare:
    """A fault in every request, or in all of a kind."""
    return lambda hub: hub.fail(kind, at=at, times=None, **how)


def holding(name: str, files: dict[str, bytes] = FILES, **how: Any) -> Prepare:
    return lambda hub: hub.add(name, files, **how)


NAMED = f"owner/name:{FILE}"
REFUSALS: dict[str, tuple[str, Prepare, type[ImgsynthError], str]] = {
    "no repository": ("owner/none", holding("owner/other"), CheckpointNotFound, "no public repository"),
    "no revision": ("owner/name@v9", holding("owner/name"), CheckpointNotFound, "no revision v9"),
    "no file": ("owner/name:none.pt", holding("owner/name"), CheckpointNotFound, "no file none.pt"),
    "no weights": ("owner/text", holding("owner/text", {"a.md": b"x"}), CheckpointNotFound, "no weights"),
    "private": ("owner/own", holding("owner/own", private_token="hf_x"), CheckpointNotFound, "is private"),
    "gated": ("owner/gated", holding("owner/gated", gated=True), DownloadFailed, "gated is gated"),
    "gated file": (f"owner/gated:{FILE}", holding("owner/gated", gated=True), DownloadFailed, "is gated"),
    "forbidden": (NAMED, failing("status", status=403), DownloadFailed, "may not read"),
    "busy": (NAMED, failing("status", status=429, retry_after=9), DownloadFailed, "slow down"),
    "down": (NAMED, failing("status"), DownloadFailed, "503"),
    "teapot": (NAMED, failing("status", status=418), DownloadFailed, "418"),
    "no answer": (NAMED, failing("drop"), DownloadFailed, "could not be reached"),
    "sign-in page": (NAMED, failing("html"), DownloadFailed, "did not answer as the Hub does"),
    "redirects": (NAMED, failing("loop"), DownloadFailed, ""),
    "list is a page": ("owner/name", failing("html", "/api/"), DownloadFailed, ""),
    "list cut": ("owner/name", failing("cut", "/api/"), DownloadFailed, ""),
    "list down": ("owner/name", failing("status", "/api/"), DownloadFailed, "503"),
    "no bytes": (NAMED, failing("cut", "GET /cdn/"), DownloadFailed, ""),
    "reset": (NAMED, failing("reset", "GET /cdn/", after=9), DownloadFailed, ""),
    "page for bytes": (NAMED, failing("html", "GET /cdn/"), DownloadFailed, ""),
    "too short": (NAMED, failing("wrong_length", "GET /cdn/", by=-1), DownloadFailed, "broke off"),
    "bytes down": (NAMED, failing("status", "GET /cdn/"), DownloadFailed, "503"),
    "bytes gone": (NAMED, failing("status", "GET /cdn/", status=404), DownloadFailed, "404"),
    "altered": (NAMED, failing("altered", "GET /cdn/", after=SIZE - 1), ChecksumMismatch, "checksum"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_one_plain_sentence(hub: HubServer, case: str) -> None:
    what, prepare, kind, words = REFUSALS[case]
    prepare(hub)
    with pytest.raises(kind) as caught:
        fetched(what)
    assert words in str(caught.value)
    assert_sentence(caught.value, *re.split("[:@]", what))


@pytest.mark.parametrize("token", ["hf_other", "expired"])
def test_a_token_that_opens_nothing_is_told_and_not_shown(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    hub.add("owner/gated", FILES, gated=True, private_token="hf_mine")
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(DownloadFailed) as caught:
        fetched(f"owner/gated:{FILE}")
    assert token not in str(caught.value)
    assert_sentence(caught.value, "owner/gated", FILE)


def test_a_hub_that_is_not_there(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with HubServer() as gone:
        lead_client(gone, tmp_path, monkeypatch)
    with pytest.raises(DownloadFailed, match="could not be reached") as caught:
        fetched(NAMED)
    assert_sentence(caught.value, "owner/name")


def test_no_request_may_wait_for_ever(hub: HubServer) -> None:
    limits: dict[str, float | None] = {}

    def note(request: Any) -> None:
        limits[f"{request.method} {request.url.path}"] = request.extensions["timeout"]["read"]

    session = huggingface_hub.get_session()
    session.event_hooks = {**session.event_hooks, "request": [*session.event_hooks["request"], note]}
    opened()
    assert len(limits) > 3
    assert [request for request, seconds in limits.items() if seconds is None] == []


def test_a_download_that_stalls_goes_on(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 1)
    hub.fail("stall", at="GET /cdn/", after=SIZE // 2)
    assert fetched(NAMED).path.read_bytes() == FILES[FILE]
    assert hub.asked("GET /cdn/")[0].fault == "stall"


# --- whatever goes wrong, no model is bad, and what was wrong does not last ---


@pytest.mark.parametrize("lfs", [(FILE,), ()], ids=["LFS", "small"])
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", ["altered", "wrong_length"])
def test_what_differs_from_the_hubs_own_sum_is_neither_opened_nor_kept(
    hub: HubServer, right: list[Any], lfs: tuple[str, ...], file: str, kind: Kind
) -> None:
    """Where HEAD and GET agree on a wrong length, only a sum tells: sha256 for LFS, git's for small files."""
    hub.add("owner/name", FILES, lfs=lfs)
    hub.fail(kind, at=rf"/(cdn|resolve)/.*{file}", times=None, after=len(FILES[file]) // 2, by=-3)
    with pytest.raises(ImgsynthError) as caught:
        opened()
    assert_sentence(caught.value, "owner/name", file)
    hub.heal()
    assert all_equal(pictures(opened()), right)


GETS: tuple[Kind, ...] = ("altered", "cut", "drop", "html", "loop", "reset", "slow", "status", "wrong_length")
HEADS: tuple[Kind, ...] = ("drop", "html", "loop", "status", "wrong_length")
# Requests, among how many bytes of the answer a fault strikes, and which faults make sense there.
PLACES: list[tuple[str, int, tuple[Kind, ...]]] = [
    (f"GET .*{FILE}$", SIZE, GETS),
    ("GET .*config", len(FILES["config.json"]), GETS),
    (f"GET .*{FILE} bytes=0-", 9000, GETS),
    ("GET /api/", 200, GETS),
    (f"HEAD .*{FILE}", 1, HEADS),
    ("HEAD .*config", 1, HEADS),
]
FAULTS = [(at, size, kind) for at, size, kinds in PLACES for kind in kinds]


def some_fault(seed: int) -> dict[str, Any]:
    """Every kind in every place in turn; how it strikes is drawn."""
    rng = random.Random(seed)
    at, size, kind = FAULTS[seed % len(FAULTS)]
    return {
        "kind": kind,
        "at": at,
        # One redirect to itself is harmless.
        "times": None if kind == "loop" else rng.choice([1, 1, 2, None]),
        "after": rng.randrange(size),
        "by": rng.choice([-1, 1]) * rng.randint(1, 200),
        "status": rng.choice([401, 403, 404, 408, 410, 418, 429, 500, 502, 503, 504]),
        "retry_after": rng.choice([None, 0, 30]),
    }


@pytest.mark.parametrize("seed", range(60))
def test_after_any_fault_there_is_a_good_model_or_one_plain_sentence(
    hub: HubServer, right: list[Any], seed: int
) -> None:
    hub.add("owner/name", FILES, lfs=(FILE,) if seed % 4 else ())
    fault = hub.fail(**some_fault(seed))
    try:
        model = opened()
    except ImgsynthError as error:
        assert_sentence(error)
    else:
        assert_good(model, right)
    assert any(request.fault for request in hub.requests), f"nothing met {fault}"
    hub.heal()
    assert all_equal(pictures(opened()), right)


def assert_good(model: Model, right: list[Any]) -> None:
    """The very weights; they may have been opened without their config.json, but not without a word."""
    mine, theirs = model.network.state_dict(), NETWORK.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(mine[key].equal(theirs[key]) for key in theirs)
    unread = any("config.json" in warning for warning in model.opened.warnings)
    assert unread or all_equal(pictures(model), right)
