"""How a measurement tells how far it is, without knowing to whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Track(Protocol):
    """Gives the items of a sequence one by one, and may show where it is."""

    def __call__(self, items: Sequence[Any], what: str) -> Iterable[Any]: ...


def untracked(items: Sequence[Any], what: str) -> Iterable[Any]:
    """Shows nothing."""
    return items
