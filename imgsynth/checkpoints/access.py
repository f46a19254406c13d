"""On whose behalf, and how much, is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# (bytes so far, bytes in all; 0 while unknown)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Access:
    """On whose behalf a download is made.

    Attributes:
        token: False keeps the host's own Hub token out of it; None uses it where there is one.
        most_bytes: the largest file that may be downloaded; None allows any.
    """

    token: bool | None = None
    most_bytes: int | None = None


OWNER = Access()
