"""A small Hugging Face Hub on this machine, for tests with the real huggingface_hub client.

It speaks what a download needs: files (HEAD, GET, ranges; large ones by a redirect to a second server, as
the Hub's are), model info, trees, paths-info and refs; private, gated and renamed repositories. It fails on
demand (hub_faults.py). It offers no Xet, so that the client takes the plain HTTP way.

    with HubServer() as hub:
        hub.add("owner/name", {"model.safetensors": content}, lfs=("model.safetensors",))
        hub.fail("cut", at="GET /cdn/", after=1000)
        ...  # a client with HF_ENDPOINT=hub.url
        assert hub.requests[-1].range == "bytes=1000-"
"""

from __future__ import annotations

import math
import re
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from hub_answers import Answer, RefusedError, Request, file_answer, in_json, redirect
from hub_faults import Fault, Kind, spoil, transmit
from hub_repositories import Repository

RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree|paths-info|refs)(?:/([^/]+)(?:/(.+))?)?)?")
CDN = re.compile(r"/cdn/([0-9a-f]{64})/[^/]+")
ENTRIES_PER_PAGE = 1000  # of a tree, as on the Hub

Route = Callable[[Request], Answer]


class HubServer:
    """A Hub at `url`, while its context lasts.

    Attributes:
        requests: all that was asked, in the order of the answers.
        entries_per_page: how much of a tree one answer lists.
        ranges: whether a part of a file can be asked for, as on the Hub; some mirrors send the whole.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.entries_per_page = ENTRIES_PER_PAGE
        self.ranges = True
        self._repositories: dict[str, Repository] = {}
        self._renamed: dict[str, str] = {}
        self._faults: dict[Fault, float] = {}
        self._lock = threading.Lock()
        self._endpoint = _Server(self, self._answer_as_endpoint)
        # By another name: huggingface_hub keeps the token from other hosts, but not from other ports.
        self._cdn = _Server(self, self._answer_as_cdn, "localhost")

    def __enter__(self) -> HubServer:
        for server in (self._endpoint, self._cdn):
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._endpoint, self._cdn):
            server.shutdown()
            server.server_close()
        mistakes = self._endpoint.mistakes + self._cdn.mistakes
        if mistakes:  # no test shall take one for a fault of the Hub
            raise mistakes[0]

    @property
    def url(self) -> str:
        return self._endpoint.url

    def add(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        lfs: Collection[str] = (),
        revision: str = "main",
        gated: bool = False,
        private_token: str | None = None,
        vouched: bool = True,
    ) -> str:
        """Makes a commit of exactly these files the newest of a branch, and the repository if need be.

        Args:
            lfs: paths of the files that git holds as pointers only.
            gated: whether the files, but not their list, need permission; `private_token` then has it.
            private_token: the token without which nobody sees the repository; it begins with `hf_`.
            vouched: whether the ETags are checksums.

        Returns:
            The commit, 40 hex digits.
        """
        repository = self._repositories.setdefault(name, Repository(name))
        repository.gated, repository.private_token = gated, private_token
        return repository.commit(files, lfs, revision, vouched)

    def tag(self, name: str, tag: str, revision: str = "main") -> None:
        self._repositories[name].tag(tag, revision)

    def rename(self, old: str, new: str) -> None:
        """From now on the old name leads to the new one, by redirects."""
        repository = self._repositories.pop(old)
        repository.name = new
        self._repositories[new] = repository
        self._renamed[old] = new

    def fail(self, kind: Kind, **how: Any) -> Fault:
        """Adds a `Fault` of these attributes; where a request meets several, the oldest strikes."""
        fault = Fault(kind, **how)
        with self._lock:
            self._faults[fault] = math.inf if fault.times is None else fault.times
        return fault

    def heal(self) -> None:
        """Lifts all faults."""
        with self._lock:
            self._faults.clear()

    def asked(self, pattern: str) -> list[Request]:
        """The requests in whose `str` this regular expression is found."""
        with self._lock:
            return [request for request in self.requests if re.search(pattern, str(request))]

    def forget(self) -> None:
        """Empties `requests`."""
        with self._lock:
            self.requests.clear()

    def answer(self, request: Request, route: Route, address: str) -> tuple[Answer, Fault | None]:
        """What to send for a request, and the fault that it met, which may also bear on how it is sent."""
        try:
            answer = route(request)
        except RefusedError as refused:
            answer = refused.answer
        with self._lock:
            fault = self._next_fault(request)
            answer = spoil(answer, fault, address) if fault else answer
            kind = fault.kind if fault else None
            self.requests.append(replace(request, status=answer.status, fault=kind))
        return answer, fault

    def _next_fault(self, request: Request) -> Fault | None:
        fault = next((fault for fault in self._faults if fault.meets(request)), None)
        if fault:
            self._faults[fault] -= 1
            if self._faults[fault] <= 0:
                del self._faults[fault]
        return fault

    def _answer_as_endpoint(self, request: Request) -> Answer:
        path = urlsplit(request.target).path
        match = RESOLVE.fullmatch(path) or API.fullmatch(path)
        if match is None:
            raise RefusedError(404, "Sorry, we can't find the page you are looking for.")
        name, *rest = (unquote(part or "") for part in match.groups())
        if name in self._renamed:
            return redirect(307, request.target.replace(name, self._renamed[name], 1))
        repository = self._visible(name, request)
        if match.re is RESOLVE:
            return self._resolve(repository, request, *rest)
        return self._describe(repository, request, *rest)

    def _answer_as_cdn(self, request: Request) -> Answer:
        """Large files by their hash: whoever knows it may have them, as by the Hub's signed addresses."""
        match = CDN.fullmatch(request.target)
        blobs = [blob for repository in self._repositories.values() for blob in repository.blobs()]
        found = next((b for b in blobs if match and b.lfs and b.sha256 == match[1]), None)
        if found is None:
            raise RefusedError(403, "Access denied")
        return file_answer(found, request.range if self.ranges else None)

    def _visible(self, name: str, request: Request) -> Repository:
        """The repository, if it is there for this client; any token with hf_ is somebody's."""
        if request.token and not request.token.startswith("hf_"):
            raise RefusedError(401, "Invalid credentials in Authorization header")
        found = self._repositories.get(name)
        if found is None or (found.private and request.token != found.private_token):
            raise RefusedError(404 if request.token else 401, "Repository not found", "RepoNotFound")
        return found

    def _resolve(self, repository: Repository, request: Request, revision: str, path: str) -> Answer:
        if repository.gated and (not request.token or request.token != repository.private_token):
            status = 403 if request.token else 401
            raise RefusedError(status, f"Access to model {repository.name} is restricted.", "GatedRepo")
        commit = _commit(repository, revision)
        blob = repository.commits[commit].get(path)
        if blob is None:
            raise RefusedError(404, "Entry not found", "EntryNotFound", commit)
        headers = {"X-Repo-Commit": commit}
        if not blob.lfs:
            return file_answer(blob, request.range if self.ranges else None, headers)
        headers |= {"X-Linked-Etag": blob.etag, "X-Linked-Size": str(len(blob.content))}
        file = quote(path.rpartition("/")[2])
        return redirect(302, f"{self._cdn.url}/cdn/{blob.sha256}/{file}", headers)

    def _describe(
        self, repository: Repository, request: Request, what: str, revision: str, path: str
    ) -> Answer:
        """The answer of the API; `what` is empty for the model info of the main branch."""
        if what == "refs":
            return in_json(repository.references())
        commit = _commit(repository, revision or "main")
        query = parse_qs(urlsplit(request.target).query)
        if what == "paths-info":
            return in_json(repository.paths_info(commit, parse_qs(request.body.decode()).get("paths", [])))
        if what != "tree":
            return in_json(repository.info(commit, in_full="blobs" in query))
        recursive = query.get("recursive", [""])[0].lower() in ("true", "1")
        entries = repository.tree(commit, path, recursive)
        if path and not entries:
            raise RefusedError(404, "Entry not found", "EntryNotFound", commit)
        return self._page(entries, request.target, int(query.get("cursor", ["0"])[0]))

    def _page(self, entries: list[dict[str, Any]], target: str, start: int) -> Answer:
        """A part of the entries, and in the header Link the way to the next."""
        end = start + self.entries_per_page
        base = re.sub(r"[?&]cursor=\d+", "", target)
        following = f"{self.url}{base}{'&' if '?' in base else '?'}cursor={end}"
        more = {"Link": f'<{following}>; rel="next"'} if end < len(entries) else {}
        return in_json(entries[start:end], headers=more)


def _commit(repository: Repository, revision: str) -> str:
    commit = repository.find(revision)
    if commit is None:
        raise RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return commit


class _Server(ThreadingHTTPServer):
    """One address of the Hub; keeps the mistakes of its own code."""

    daemon_threads = True

    def __init__(self, hub: HubServer, route: Route, name: str = "127.0.0.1") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub, self.route = hub, route
        self.url = f"http://{name}:{self.server_port}"
        self.mistakes: list[BaseException] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if error and not isinstance(error, ConnectionError):  # clients may leave at any moment
            self.mistakes.append(error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        part, authorization = self.headers.get("Range"), self.headers.get("Authorization")
        request = Request(self.command, self.path, part, authorization, body)
        hub, route = self.server.hub, self.server.route
        transmit(self, *hub.answer(request, route, self.server.url + self.path))

    do_HEAD = do_POST = do_GET  # noqa: N815, names of the base class

    def log_message(self, *_: object) -> None:
        """`HubServer.requests` is the log."""
