"""Locks in a forked process, which inherits what other threads held, and where nobody would release it."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class HoldsLocks(Protocol):
    """What is called in every forked process."""

    def renew_locks(self) -> None: ...


_HOLDERS: weakref.WeakSet[HoldsLocks] = weakref.WeakSet()


def renew_in_children(holder: HoldsLocks) -> None:
    """Has forked processes renew the locks of an object, for as long as anybody else keeps it."""
    _HOLDERS.add(holder)


def _renew_all() -> None:
    for holder in list(_HOLDERS):
        holder.renew_locks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
