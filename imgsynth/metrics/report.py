"""What `score` finds, as one document: figures by name, and for what is missing a reason.

    {"checkpoint": {"id", "source", "file", "revision", "sha256"}, "family", "architecture",
     "data": [{"name", "pictures", "of"}], "data_b": [...], "settings": {...},
     "figures": {NAME: {"mean", "low", "high", "n", "over", "count", "better", "unit",
                        "floor": {"mean", "low", "high", "n"} or null, "ratio",
                        "against": {OTHER: {"mean", "low", "high", "n"}}}},
     "not_measured": {NAME: SENTENCE}, "notes": [SENTENCE], "seconds"}

`low` and `high` bound the mean with 95 % confidence; they are null for a single value. Draws share pictures
where there are few, and then tell less than their interval promises. `over` says what the n values are of,
"draws" or "pictures"; `count` is the number of pictures of a draw, or of all. `floor` is what real pictures
get in the checkpoint's place, `ratio` the mean as a multiple of the floor's, where less is better and
neither is below 0. `against` holds what others get on the same pictures. Names of figures stay as they are;
new ones may come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from imgsynth.metrics.intervals import Interval

Over = Literal["draws", "pictures"]
Better = Literal["lower", "higher"]


class NotMeasured(Exception):
    """A figure cannot be had here; the message is a plain sentence that says why."""


@dataclass(frozen=True)
class Figure:
    """One figure of a checkpoint.

    Attributes:
        value: the checkpoint's own.
        over: what the values of its interval are of.
        count: pictures of a draw, or all together.
        floor: what real pictures get in its place.
        against: what others get on the same pictures, by name.
    """

    value: Interval
    over: Over
    count: int
    better: Better
    unit: str = ""
    floor: Interval | None = None
    against: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """How many times the floor; None where that says nothing."""
        if self.better == "higher" or self.floor is None or self.floor.mean <= 0 or self.value.mean < 0:
            return None
        return self.value.mean / self.floor.mean

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self.value),
            "over": self.over,
            "count": self.count,
            "better": self.better,
            "unit": self.unit,
            "floor": asdict(self.floor) if self.floor else None,
            "ratio": self.ratio,
            "against": {name: asdict(other) for name, other in self.against.items()},
        }


@dataclass
class Findings:
    """What was measured of a checkpoint.

    Attributes:
        figures: by name.
        not_measured: for each figure that could not be had, why, in a sentence.
        notes: what a person must know to read the figures.
    """

    figures: dict[str, Figure] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        self.figures |= other.figures
        self.not_measured |= other.not_measured
        self.notes += [note for note in other.notes if note not in self.notes]

    def miss(self, names: Iterable[str], why: object) -> None:
        """Notes that these figures could not be had."""
        self.not_measured |= dict.fromkeys(names, str(why))

    def as_json(self) -> dict[str, Any]:
        return {
            "figures": {name: figure.as_json() for name, figure in self.figures.items()},
            "not_measured": dict(self.not_measured),
            "notes": list(self.notes),
        }
