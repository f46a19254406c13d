"""Faults of the local Hub (hub_server.py): what can go wrong between it and a client."""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from typing import Literal

from hub_answers import Answer, Request, in_json, redirect

Kind = Literal["cut", "reset", "drop", "stall", "slow", "wrong_length", "altered", "status", "html", "loop"]

WEB_PAGE = b"<!doctype html><html><body>Please sign in to this network first.</body></html>"
# How long a stalled connection is held for a client that never gives up; no verdict hangs on it.
PATIENCE = 30.0
PIECES, PAUSE = 16, 0.001


@dataclass(frozen=True)
class Fault:
    """One way in which answers go wrong.

    Attributes:
        kind: `cut`, `reset`: the connection ends after `after` bytes of the body, in good order or by a TCP
            reset, upon which a client may lose bytes that were on their way.
            `drop`: it ends before any answer.
            `stall`: after `after` bytes of the body nothing more comes.
            `slow`: the body comes in small pieces with tiny pauses.
            `wrong_length`: Content-Length says `by` bytes more than come; below 0 the body lacks its end and
            Content-Length agrees.
            `altered`: one bit of byte `after` of the body is flipped.
            `status`: an error of this status, with the header Retry-After where `retry_after` is given.
            `html`: a web page and status 200, as a hotel's network or a proxy sends.
            `loop`: a redirect to the very same address.
        at: regular expression, searched in `str` of a request: "GET /path", "GET /path bytes=0-99".
        times: how many requests meet it; None for every one until `HubServer.heal`.
    """

    kind: Kind
    at: str = "^GET "
    times: int | None = 1
    after: int = 0
    by: int = 100
    status: int = 503
    retry_after: int | None = None

    def meets(self, request: Request) -> bool:
        return re.search(self.at, str(request)) is not None


def spoil(answer: Answer, fault: Fault, address: str) -> Answer:
    """The answer with what the fault changes in it; how it is sent is left to `transmit`.

    Args:
        address: the whole URL that was asked for.
    """
    if fault.kind == "status":
        again = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        return in_json({"error": "Not now."}, fault.status, again)
    if fault.kind == "html":
        return Answer(200, WEB_PAGE, {"Content-Type": "text/html; charset=utf-8"})
    if fault.kind == "loop":
        return redirect(302, address)
    if fault.kind == "altered" and answer.body:
        body = bytearray(answer.body)
        body[fault.after % len(body)] ^= 1
        return replace(answer, body=bytes(body))
    if fault.kind == "wrong_length":
        kept = answer.body[: max(0, len(answer.body) + min(fault.by, 0))]
        said = str(len(kept) + max(fault.by, 0))
        return replace(answer, body=kept, headers={**answer.headers, "Content-Length": said})
    return answer


def transmit(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault | None) -> None:
    """Sends an answer, whole or as far as the fault lets it."""
    kind = fault.kind if fault else None
    if kind == "drop":
        handler.close_connection = True
        return
    _send_head(handler, answer)
    if handler.command == "HEAD":
        return
    if fault is None or kind not in ("cut", "reset", "stall", "slow", "wrong_length"):
        handler.wfile.write(answer.body)
    elif kind == "slow":
        _trickle(handler, answer.body)
    else:
        _break_off(handler, answer.body if kind == "wrong_length" else answer.body[: fault.after], fault)


def _send_head(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    handler.send_response(answer.status)
    for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
        handler.send_header(name, value)
    handler.end_headers()


def _break_off(handler: BaseHTTPRequestHandler, body: bytes, fault: Fault) -> None:
    handler.wfile.write(body)
    # Whoever was promised more bytes would wait for them if the connection stayed open.
    handler.close_connection = True
    if fault.kind == "reset":
        _reset(handler.connection)
    if fault.kind == "stall":
        _wait_until_client_leaves(handler.connection)


def _trickle(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    step = max(1, -(-len(body) // PIECES))
    for start in range(0, len(body), step):
        handler.wfile.write(body[start : start + step])
        time.sleep(PAUSE)


def _reset(connection: socket.socket) -> None:
    """Ends a connection with RST; the server's own way would say goodbye in good order first."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


def _wait_until_client_leaves(connection: socket.socket) -> None:
    connection.settimeout(PATIENCE)
    connection.recv(1)
