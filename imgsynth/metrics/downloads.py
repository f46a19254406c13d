"""Weights of other people's networks, which their packages fetch by themselves: bounded in time."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

SECONDS = 20.0


@contextmanager
def patient_for_seconds() -> Iterator[None]:
    """torch.hub waits forever for a server that does not answer, and prints where results go."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(before)
