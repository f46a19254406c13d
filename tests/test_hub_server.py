"""The local Hub of the tests itself: what it answers, to anybody and to the real client, and how it fails."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import huggingface_hub
import pytest
from huggingface_hub import errors

from hub_client import CHUNK, lead_client
from hub_server import HubServer

HELLO = b"hello\n"
HELLO_OID = "ce013625030ba8dba906f756967f9e9ca394464a"  # as `git hash-object` says
WEIGHTS = bytes(range(256)) * 40
FILES = {"hello.txt": HELLO, "model.safetensors": WEIGHTS, "a/b/deep.txt": b"deep", "a/near.txt": b"near"}
LFS = ("model.safetensors",)
TRANSPORT_ERROR: Any = errors.HfHubHTTPError.__bases__[0]  # httpx's in huggingface_hub 1, httpx2's in 2


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as hub:
        hub.add("owner/name", FILES, lfs=LFS)
        lead_client(hub, tmp_path, monkeypatch)
        yield hub
        huggingface_hub.close_session()


def ask(url: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    """Status, headers and body, without any of a client's own wits: no redirects, no second attempts."""
    connection, rest = opened(url)
    try:
        connection.request(method, rest, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def opened(url: str) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.netloc), parts.path + (f"?{parts.query}" if parts.query else "")


def file_url(hub: HubServer, path: str = "hello.txt", revision: str = "main") -> str:
    return f"{hub.url}/owner/name/resolve/{revision}/{path}"


def api() -> huggingface_hub.HfApi:
    return huggingface_hub.HfApi()


# --- files ---


def test_a_small_file_comes_at_once_and_is_named_by_its_git_id(hub: HubServer) -> None:
    status, headers, body = ask(file_url(hub))
    assert (status, body) == (200, HELLO)
    assert headers["ETag"] == f'"{HELLO_OID}"'
    assert headers["Accept-Ranges"] == "bytes"
    assert re.fullmatch(r"[0-9a-f]{40}", headers["X-Repo-Commit"])
    status, of_head, body = ask(file_url(hub), "HEAD")
    assert (status, body) == (200, b"")
    assert [of_head[n] for n in ("ETag", "Content-Length")] == [headers["ETag"], str(len(HELLO))]


def test_a_large_file_is_on_another_server_and_named_by_its_sha256(hub: HubServer) -> None:
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    status, headers, _ = ask(file_url(hub, "model.safetensors"), "HEAD")
    assert (status, headers["X-Linked-Etag"], headers["X-Linked-Size"]) == (302, f'"{sha256}"', "10240")
    assert headers["Content-Length"] != "10240"
    assert urlsplit(headers["Location"]).netloc != urlsplit(hub.url).netloc
    assert ask(headers["Location"])[2] == WEIGHTS
    assert ask(headers["Location"].replace(sha256, "0" * 64))[0] == 403


@pytest.mark.parametrize(
    ("wanted", "status", "body", "said"),
    [
        ("bytes=1-3", 206, b"ell", "bytes 1-3/6"),
        ("bytes=4-", 206, b"o\n", "bytes 4-5/6"),
        ("bytes=0-100000", 206, HELLO, "bytes 0-5/6"),
        ("bytes=-2", 206, b"o\n", "bytes 4-5/6"),
        ("bytes=6-", 416, b"", "bytes */6"),
        ("bytes=-", 200, HELLO, None),
        ("lines=1-2", 200, HELLO, None),
    ],
)
def test_a_part_of_a_file(hub: HubServer, wanted: str, status: int, body: bytes, said: str | None) -> None:
    answer = ask(file_url(hub), Range=wanted)
    assert (answer[0], answer[2], answer[1]["Content-Range"]) == (status, body, said)
    assert hub.requests[-1].range == wanted


@pytest.mark.parametrize("path", FILES)
def test_the_client_downloads(hub: HubServer, path: str) -> None:
    got = Path(huggingface_hub.hf_hub_download("owner/name", path))
    assert got.read_bytes() == FILES[path]
    assert got.parts[-len(Path(path).parts) - 1] == api().model_info("owner/name").sha


def test_the_client_resumes_a_download(hub: HubServer) -> None:
    hub.fail("cut", at="GET /cdn/", after=2500)
    for _ in range(2):  # huggingface_hub 2 resumes by itself, 1 in the next call
        try:
            got = huggingface_hub.hf_hub_download("owner/name", "model.safetensors")
        except TRANSPORT_ERROR:
            continue
    assert Path(got).read_bytes() == WEIGHTS
    assert [(r.range, r.fault) for r in hub.asked("GET /cdn/")] == [
        (None, "cut"),
        (f"bytes={2 * CHUNK}-", None),
    ]


# --- revisions ---


def test_branches_tags_and_commits(hub: HubServer) -> None:
    first = api().model_info("owner/name").sha
    hub.tag("owner/name", "v1.0")
    second = hub.add("owner/name", {"hello.txt": b"second"})
    branch = hub.add("owner/name", {"hello.txt": b"branch"}, revision="refs/pr/1")
    assert len({first, second, branch}) == 3
    told = {
        "main": b"second",
        str(first): HELLO,
        "v1.0": HELLO,
        second: b"second",
        "refs%2Fpr%2F1": b"branch",
    }
    for revision, content in told.items():
        assert ask(file_url(hub, revision=revision))[2] == content
    assert api().model_info("owner/name", revision="refs/pr/1").sha == branch
    refs = api().list_repo_refs("owner/name")
    assert {b.name: b.target_commit for b in refs.branches} == {"main": second, "refs/pr/1": branch}
    assert {t.name: t.target_commit for t in refs.tags} == {"v1.0": first}


def test_a_renamed_repository_leads_to_its_new_name(hub: HubServer) -> None:
    hub.rename("owner/name", "owner/new")
    status, headers, _ = ask(file_url(hub), "HEAD")
    assert (status, headers["Location"]) == (307, "/owner/new/resolve/main/hello.txt")
    assert api().model_info("owner/name").id == "owner/new"
    assert Path(huggingface_hub.hf_hub_download("owner/name", "hello.txt")).read_bytes() == HELLO


# --- descriptions ---


def test_model_info(hub: HubServer) -> None:
    info = api().model_info("owner/name", files_metadata=True)
    assert (info.id, info.author, info.private, info.gated) == ("owner/name", "owner", False, False)
    siblings = {s.rfilename: s for s in info.siblings or []}
    assert set(siblings) == set(FILES)
    assert (siblings["hello.txt"].blob_id, siblings["hello.txt"].size) == (HELLO_OID, 6)
    lfs = siblings["model.safetensors"].lfs
    assert lfs and (lfs.sha256, lfs.size) == (hashlib.sha256(WEIGHTS).hexdigest(), 10240)
    assert [s.lfs for s in api().model_info("owner/name").siblings or []] == [None] * 4


def test_trees(hub: HubServer) -> None:
    whole: dict[str, Any] = {e.path: e for e in api().list_repo_tree("owner/name", recursive=True)}
    assert set(whole) == {*FILES, "a", "a/b"}
    assert whole["model.safetensors"].lfs.size == 10240
    assert {e.path for e in api().list_repo_tree("owner/name")} == {"a", "hello.txt", "model.safetensors"}
    assert {e.path for e in api().list_repo_tree("owner/name", "a")} == {"a/b", "a/near.txt"}
    with pytest.raises(errors.EntryNotFoundError):
        list(api().list_repo_tree("owner/name", "none"))


def test_a_long_tree_comes_in_pages(hub: HubServer) -> None:
    hub.entries_per_page = 2
    assert sorted(api().list_repo_files("owner/name")) == sorted(FILES)
    assert len(hub.asked("/tree/main")) == 3


def test_paths_info(hub: HubServer) -> None:
    found = api().get_paths_info("owner/name", ["hello.txt", "a", "none"])
    assert {entry.path for entry in found} == {"hello.txt", "a"}
    assert hub.requests[-1].method == "POST"


@pytest.mark.parametrize("padding", [0, 200_000])
def test_the_header_of_safetensors_is_read_by_ranges(hub: HubServer, padding: int) -> None:
    header = json.dumps({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    header += b" " * padding
    content = struct.pack("<Q", len(header)) + header + bytes(8)
    hub.add("owner/name", {"model.safetensors": content}, lfs=LFS)
    metadata = api().get_safetensors_metadata("owner/name")
    assert metadata.files_metadata["model.safetensors"].tensors["x"].shape == [2]
    assert {r.range for r in hub.asked("GET /cdn/")} >= {"bytes=0-100000"}
    assert len(hub.asked("GET /cdn/")) == (2 if padding else 1)


# --- who may read ---


@pytest.mark.parametrize(
    ("where", "token", "status", "kind"),
    [
        ("nobody/none/resolve/main/x", None, 401, errors.RepositoryNotFoundError),
        ("nobody/none/resolve/main/x", "hf_me", 404, errors.RepositoryNotFoundError),
        ("owner/private/resolve/main/x", None, 401, errors.RepositoryNotFoundError),
        ("owner/private/resolve/main/x", "hf_other", 404, errors.RepositoryNotFoundError),
        ("owner/gated/resolve/main/x", None, 401, errors.GatedRepoError),
        ("owner/gated/resolve/main/x", "hf_other", 403, errors.GatedRepoError),
        ("owner/name/resolve/main/none", None, 404, errors.EntryNotFoundError),
        ("owner/name/resolve/none/hello.txt", None, 404, errors.RevisionNotFoundError),
        ("owner/name/resolve/main/hello.txt", "wrong", 401, errors.HfHubHTTPError),
        ("no/such/page", None, 404, errors.HfHubHTTPError),
    ],
)
def test_refusals(hub: HubServer, where: str, token: str | None, status: int, kind: type[Exception]) -> None:
    hub.add("owner/private", {"x": b"x"}, private_token="hf_mine")
    hub.add("owner/gated", {"x": b"x"}, gated=True, private_token="hf_mine")
    with pytest.raises(kind) as caught:
        huggingface_hub.get_hf_file_metadata(f"{hub.url}/{where}", token=token or False)
    assert type(caught.value) in (kind, errors.RemoteEntryNotFoundError)
    assert caught.value.response.status_code == status  # type: ignore[attr-defined]
    assert hub.requests[-1].token == token


def test_the_right_token_opens(hub: HubServer) -> None:
    for name, gated in (("owner/private", False), ("owner/gated", True)):
        hub.add(name, {"x": b"x"}, lfs=("x",), gated=gated, private_token="hf_mine")
        got = huggingface_hub.hf_hub_download(name, "x", token="hf_mine")
        assert Path(got).read_bytes() == b"x"
        info = api().model_info(name, token="hf_mine")
        assert (info.private, info.gated) == (not gated, "manual" if gated else False)
    assert api().model_info("owner/gated").id == "owner/gated"
    assert {request.authorization for request in hub.asked("/cdn/")} == {None}


# --- faults ---


def body_of(hub: HubServer) -> bytes:
    return ask(file_url(hub))[2]


def test_cut(hub: HubServer) -> None:
    hub.fail("cut", after=2)
    with pytest.raises(http.client.IncompleteRead) as caught:
        body_of(hub)
    assert (caught.value.partial, caught.value.expected) == (b"he", 4)


def test_reset(hub: HubServer) -> None:
    hub.fail("reset", after=2)
    with pytest.raises(ConnectionResetError):
        body_of(hub)


def test_drop(hub: HubServer) -> None:
    hub.fail("drop")
    with pytest.raises(http.client.RemoteDisconnected):
        body_of(hub)


def test_stall(hub: HubServer) -> None:
    hub.fail("stall", after=2)
    connection, rest = opened(file_url(hub))
    connection.request("GET", rest)
    response = connection.getresponse()
    assert response.read(2) == b"he"
    connection.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        response.read(1)
    connection.close()


def test_slow(hub: HubServer) -> None:
    hub.fail("slow", at="/cdn/")
    _, headers, _ = ask(file_url(hub, "model.safetensors"))
    assert ask(headers["Location"])[2] == WEIGHTS
    assert hub.requests[-1].fault == "slow"


def test_wrong_length(hub: HubServer) -> None:
    hub.fail("wrong_length", by=3)
    with pytest.raises(http.client.IncompleteRead) as caught:
        body_of(hub)
    assert (caught.value.partial, caught.value.expected) == (HELLO, 3)
    hub.fail("wrong_length", by=-4)
    status, headers, body = ask(file_url(hub))
    assert (status, headers["Content-Length"], body) == (200, "2", b"he")


def test_altered(hub: HubServer) -> None:
    hub.fail("altered", after=1)
    assert body_of(hub) == b"hdllo\n"


def test_error_status(hub: HubServer) -> None:
    hub.fail("status", status=429, retry_after=7)
    status, headers, body = ask(file_url(hub))
    assert (status, headers["Retry-After"], json.loads(body)) == (429, "7", {"error": "Not now."})


def test_web_page(hub: HubServer) -> None:
    hub.fail("html")
    status, headers, body = ask(f"{hub.url}/api/models/owner/name")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert body.startswith(b"<!doctype html>")


def test_redirect_loop(hub: HubServer) -> None:
    hub.fail("loop", times=None)
    status, headers, _ = ask(file_url(hub))
    assert (status, headers["Location"]) == (302, file_url(hub))


def test_faults_strike_where_and_as_often_as_they_should(hub: HubServer) -> None:
    hub.fail("status", at="^HEAD .*hello", times=2)
    assert ask(file_url(hub))[0] == 200
    assert [ask(file_url(hub), "HEAD")[0] for _ in range(3)] == [503, 503, 200]
    assert [request.fault for request in hub.requests] == [None, "status", "status", None]
    hub.fail("status", times=None)
    assert [ask(file_url(hub))[0] for _ in range(3)] == [503, 503, 503]
    hub.heal()
    assert ask(file_url(hub))[0] == 200


def test_requests_are_recorded(hub: HubServer) -> None:
    ask(file_url(hub), Range="bytes=0-1", Authorization="Bearer hf_me")
    request = hub.requests[-1]
    assert str(request) == "GET /owner/name/resolve/main/hello.txt bytes=0-1"
    assert (request.range, request.token, request.status) == ("bytes=0-1", "hf_me", 206)
    hub.forget()
    assert hub.requests == []


def test_a_mistake_of_the_server_itself_is_not_hidden() -> None:
    def misused() -> None:
        with HubServer() as hub:
            hub.fail("cut", at="(")
            with pytest.raises(http.client.RemoteDisconnected):
                ask(hub.url)

    with pytest.raises(re.error):
        misused()
