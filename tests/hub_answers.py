"""Requests and answers of the local Hub (hub_server.py)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub_repositories import Blob


@dataclass(frozen=True)
class Request:
    """What a client asked for.

    Attributes:
        target: path and query, still quoted.
        range, authorization: these headers.
        body: of a POST.
        status: what was answered.
        fault: the kind of the fault that it met.
    """

    method: str
    target: str
    range: str | None = None
    authorization: str | None = None
    body: bytes = b""
    status: int = 0
    fault: str | None = None

    @property
    def token(self) -> str | None:
        return self.authorization.removeprefix("Bearer ") if self.authorization else None

    def __str__(self) -> str:
        """`GET /path?query`, with a range `GET /path?query bytes=…`: what patterns are searched in."""
        return " ".join(filter(None, (self.method, self.target, self.range)))


@dataclass(frozen=True)
class Answer:
    """A response; Content-Length is the body's own unless `headers` say otherwise."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """A request is answered with an error, in the way of the Hub: what kind of error is in a header."""

    def __init__(self, status: int, message: str, code: str = "", commit: str = "") -> None:
        super().__init__(message)
        headers = {"X-Error-Code": code, "X-Error-Message": message, "X-Repo-Commit": commit}
        self.answer = in_json({"error": message}, status, {k: v for k, v in headers.items() if v})


def in_json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    body = json.dumps(content).encode()
    return Answer(status, body, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


def redirect(status: int, location: str, headers: Mapping[str, str] | None = None) -> Answer:
    body = f"Redirecting to {location}".encode()
    return Answer(status, body, {"Content-Type": "text/plain", "Location": location, **(headers or {})})


def file_answer(blob: Blob, wanted: str | None, headers: Mapping[str, str] | None = None) -> Answer:
    """A file, or the part that a Range header wants: `bytes=5-`, `bytes=5-9` or, from the end, `bytes=-5`."""
    size = len(blob.content)
    whole = {"ETag": blob.etag, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    whole.update(headers or {})
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted or "")
    if match is None or not any(match.groups()):
        return Answer(200, blob.content, whole)
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        return Answer(416, b"", {**whole, "Content-Range": f"bytes */{size}"})
    return Answer(206, blob.content[start:end], {**whole, "Content-Range": f"bytes {start}-{end - 1}/{size}"})
