"""Following a run by its log: what its page (ui/training_page.py) shows."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from imgsynth.training.log import log_path, parse

POINTS = 240


@dataclass
class Curve:
    """One figure of a log, at the steps that have it."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def thinned(self, points: int = POINTS) -> tuple[list[int], list[float]]:
        """At most `points` steps and values: of neighbours, the last step and the mean."""
        shares = min(points, len(self.steps))
        parts = np.array_split(np.asarray(self.values), shares) if shares else []
        ends = np.cumsum([len(part) for part in parts], dtype=int) - 1
        return [self.steps[int(end)] for end in ends], [float(part.mean()) for part in parts]


class Follower:
    """Reads a log as it grows; may be asked from several threads.

    Attributes:
        curves: the losses and other figures of the log, by name.
        last: the newest step's line; None before the first.
        speed: images a second, over the last twenty steps or so.
        note: the newest sentence of the log.
    """

    def __init__(self, out: Path) -> None:
        self.path = log_path(out)
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self.curves: dict[str, Curve] = {}
        self.last: dict[str, Any] | None = None
        self.speed, self.note = 0.0, ""
        self._offset, self._last_line = 0, b""

    def look(self) -> bool:
        """Reads on; returns whether there was anything new."""
        with self._lock:
            try:
                return self._read_on()
            except FileNotFoundError:
                return False

    def _read_on(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(self._offset - len(self._last_line))
            if file.read(len(self._last_line)) != self._last_line:  # a resumed run has cut the log back
                self._forget()
                file.seek(0)
            before = self._offset
            for line in file:
                entry = parse(line)
                if entry is None:
                    break
                self._take(entry)
                self._offset += len(line)
                self._last_line = line
            return self._offset != before

    def _take(self, entry: dict[str, Any]) -> None:
        for name, value in entry["losses"].items():
            curve = self.curves.setdefault(name, Curve())
            curve.steps.append(entry["step"])
            curve.values.append(value)
        newest = entry["images_per_second"]
        self.speed = newest + 0.95 * (self.speed - newest) if self.last else newest
        self.last = entry
        self.note = entry.get("note") or self.note


def summary(entry: dict[str, Any] | None, speed: float) -> str:
    """A run in one line: how far, how fast, how long still."""
    if entry is None:
        return "Waiting for the first step."
    facts = [f"step {entry['step'] + 1:,}", f"{entry['progress']:.0%} done", time_left(entry)]
    facts += [f"{speed:,.0f} images/s", rates(entry["rates"].values())]
    facts += [f"{entry['memory_mb']:,} MB"] if entry["memory_mb"] else []
    return " · ".join(filter(None, facts))


def time_left(entry: dict[str, Any]) -> str:
    """Roughly, at the pace so far; nothing can be said at the very start."""
    done = entry["progress"]
    if not done:
        return ""
    minutes = entry["seconds"] * (1 - done) / done / 60
    if minutes < 1:
        return "less than a minute left"
    return f"about {minutes / 60:.1f} hours left" if minutes >= 120 else f"about {minutes:.0f} minutes left"


def rates(values: Sequence[float]) -> str:
    """Learning rates, equal ones once."""
    return "rate " + " and ".join(f"{rate:.2g}" for rate in dict.fromkeys(values))
