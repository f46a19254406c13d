"""Devices and precisions by the names that the command line and the environment use."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from imgsynth.errors import BadRequest, DeviceUnavailable, OutOfMemory

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def pick_device(name: str | None = None) -> torch.device:
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps` → a device that is there; None reads IMGSYNTH_DEVICE.

    Raises:
        BadRequest: no such name.
        DeviceUnavailable: this machine has no such device.
    """
    name = name or os.environ.get("IMGSYNTH_DEVICE") or "auto"
    if name == "auto":
        return best_device()
    kind, _, index = name.partition(":")
    if not re.fullmatch(r"cpu|mps|cuda(:[0-9]{1,4})?", name):
        raise BadRequest(f"The device must be auto, cpu, cuda, cuda:N or mps, not {name}.")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise DeviceUnavailable(f"This machine has no device {name}; use --device auto or cpu.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceUnavailable("This machine has no device mps; use --device auto or cpu.")
    return torch.device(name)


def best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def pick_precision(name: str | None, device: torch.device) -> str:
    """`auto` is fp32, which can be redone bit for bit; None reads IMGSYNTH_PRECISION.

    Raises:
        BadRequest: no such name, or the device cannot run it.
    """
    name = name or os.environ.get("IMGSYNTH_PRECISION") or "auto"
    if name not in PRECISIONS:
        raise BadRequest(f"The precision must be one of {', '.join(PRECISIONS)}, not {name}.")
    if name == "fp16" and device.type == "cpu":
        raise BadRequest("A CPU runs fp32 or bf16, not fp16; choose one of these.")
    return "fp32" if name == "auto" else name


def describe(device: torch.device) -> str:
    """What the badge shows, such as `CPU · 2 threads` or `NVIDIA H200`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    threads = torch.get_num_threads()
    return f"CPU · {threads} thread{'s' if threads > 1 else ''}"


@contextmanager
def memory_guard() -> Iterator[None]:
    """Turns a device's out-of-memory error into a plain sentence, and gives its cache back."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise OutOfMemory(
            "The GPU has too little memory left for this; use a smaller picture or the CPU."
        ) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise OutOfMemory("This machine has too little memory for this; use a smaller picture.") from error
