"""The log of a run: beside its checkpoint, one line of JSON for each step, from the first to the last.

    {"step": 41, "seconds": 12.7, "progress": 0.041, "losses": {"D": 1.9, "G": 0.4},
     "images_per_second": 103.2, "rates": {"generator": 0.0002, "discriminator": 0.0004},
     "memory_mb": 812, "note": ""}

Lines are written out step by step, so that a kill loses at most the line it interrupts. The steps that a
killed run took after its state was last saved are taken again when it is resumed: their lines are cut off.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import torch

from imgsynth.training import parallel


@dataclass(frozen=True)
class Entry:
    """One step.

    Attributes:
        step: counted from 0.
        seconds: time that the run has spent in steps up to the end of this one.
        progress: the part of the run that was done before it, in [0, 1).
        losses: this step's own, not a running mean.
        images_per_second: of all processes together.
        rates: learning rates, by optimiser.
        memory_mb: the most that this process has held so far, on the GPU or in main memory.
        note: a sentence, where something happened.
    """

    step: int
    seconds: float
    progress: float
    losses: Mapping[str, float]
    images_per_second: float
    rates: Mapping[str, float]
    memory_mb: int
    note: str = ""


def log_path(out: Path) -> Path:
    """Where the log of a run lies: beside its checkpoint."""
    return out.with_name(out.stem + ".log.jsonl")


def sheet_path(out: Path) -> Path:
    """Where the sheet of a run in progress lies: beside its checkpoint."""
    return out.with_name(out.stem + ".progress.png")


class Log:
    """The log of a run that goes on at `step`; a context. Only the first process writes."""

    def __init__(self, path: Path, step: int) -> None:
        self.path, self.step = path, step
        self._file: BinaryIO | None = None

    def __enter__(self) -> Log:
        if parallel.is_first():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()
            self._file = self.path.open("rb+")
            cut_back(self._file, self.step)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, entry: Entry) -> None:
        if self._file is not None:
            self._file.write(json.dumps(asdict(entry)).encode() + b"\n")
            self._file.flush()


def cut_back(file: BinaryIO, step: int) -> None:
    """Truncates a log before the first line that is of `step` or later, or half written; goes to its end."""
    end = 0
    for line in file:
        logged = parse(line)
        if logged is None or logged["step"] >= step:
            break
        end += len(line)
    file.truncate(end)
    file.seek(end)


def parse(line: bytes) -> dict[str, Any] | None:
    """One line of a log; None for one that is half written or not ours."""
    try:
        logged = json.loads(line)
    except ValueError:
        return None
    whole = line.endswith(b"\n") and isinstance(logged, dict) and isinstance(logged.get("step"), int)
    return logged if whole else None


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The steps of a log, up to the first line that is not whole."""
    with path.open("rb") as file:
        for line in file:
            logged = parse(line)
            if logged is None:
                return
            yield logged


def memory_mb(device: torch.device) -> int:
    """The most memory that this process has held so far: on its GPU, else of the machine."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 2**20
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux kilobytes
