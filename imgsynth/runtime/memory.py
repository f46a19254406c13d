"""How much memory a device has left."""

from __future__ import annotations

import os
from pathlib import Path

import torch

# Where neither the system nor a container tells: a small laptop with a browser open.
UNKNOWN = 4 * 2**30
_MEMINFO = Path("/proc/meminfo")
# Limit and usage of the container that a process may be in: control groups of version 2 and 1.
_GROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on a device, those that torch keeps in its own cache included."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free) + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    told = [_available() or _half_of_all(), *(_left_in_group(*group) for group in _GROUPS)]
    return max(0, min((room for room in told if room is not None), default=UNKNOWN))


def _available() -> int | None:
    """What Linux says can be had without swapping."""
    return _field(_MEMINFO, "MemAvailable:", 1024)


def _half_of_all() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):  # Windows has no such call
        return None


def _left_in_group(limit: Path, usage: Path) -> int | None:
    try:
        used = int(usage.read_text()) - (_field(usage.with_name("memory.stat"), "inactive_file") or 0)
        return int(limit.read_text()) - used
    except (OSError, ValueError):  # no such group, or "max", which is no limit
        return None


def _field(path: Path, name: str, unit: int = 1) -> int | None:
    """The number behind a name in a file of lines `name number …`."""
    try:
        lines = (line.split() for line in path.read_text().splitlines())
        return next((int(words[1]) * unit for words in lines if words[0] == name), None)
    except (OSError, ValueError, IndexError):
        return None
