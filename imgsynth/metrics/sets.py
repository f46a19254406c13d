"""Figures of whole sets of pictures, against a set of real ones: SWD, precision, recall, and Inception's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from imgsynth.metrics.descriptors import descriptors
from imgsynth.metrics.frechet import frechet_distance
from imgsynth.metrics.inception import Inception
from imgsynth.metrics.inception_score import inception_score
from imgsynth.metrics.intervals import Interval, interval
from imgsynth.metrics.kernel_distance import kernel_distance
from imgsynth.metrics.precision_recall import precision_recall
from imgsynth.metrics.report import Better, Figure
from imgsynth.metrics.swd import sliced_wasserstein

Row = dict[str, float]
Sets = Mapping[str, Tensor]
# Names of the two sets that every comparison has.
MADE, REAL = "made", "real"
INCEPTION_FIGURES = ("kid", "fid", "inception_score", "precision_inception", "recall_inception")
SHARES = ("precision", "recall")
UPWARDS = (*SHARES, "inception_score")
UNITS = {"swd": "×10⁻³", "kid": "×10⁻³"}


def compare(reference: Tensor, sets: Sets, seed: int, inception: Inception | None = None) -> dict[str, Row]:
    """Every figure of each set.

    Args:
        reference: real pictures, uint8 N×3×S×S.
        sets: others of the same shape, by name.
        seed: of patches and directions.
        inception: where there is one, its figures are measured too.

    Returns:
        Figures by name, for every name of `sets`.
    """
    others = list(sets.values())
    rows = [swd_row(levels) for levels in sliced_wasserstein(reference, others, seed)]
    own, *features = descriptors(reference, *others)
    for row, found in zip(rows, features, strict=True):
        row["precision"], row["recall"] = precision_recall(own, found)
    if inception is not None:
        pooled, _ = inception(reference)
        for row, pictures in zip(rows, others, strict=True):
            row |= inception_row(pooled, *inception(pictures))
    return dict(zip(sets, rows, strict=True))


def swd_row(levels: Mapping[int, float]) -> Row:
    mean = sum(levels.values()) / len(levels)
    return {"swd": mean, **{f"swd_{side}": distance for side, distance in levels.items()}}


def inception_row(reference: Tensor, features: Tensor, logits: Tensor) -> Row:
    """Figures from pooled features of the real and the measured pictures, and the latter's logits."""
    precision, recall = precision_recall(reference, features)
    return {
        "kid": kernel_distance(reference, features) * 1e3,
        "fid": frechet_distance(reference, features),
        "inception_score": inception_score(logits),
        "precision_inception": precision,
        "recall_inception": recall,
    }


def figures_of(draws: Sequence[Mapping[str, Row]], count: int) -> dict[str, Figure]:
    """Figures with their intervals, from what `compare` found draw by draw in sets of `count`."""

    def over_draws(of: str, name: str) -> Interval:
        found = interval(draw[of][name] for draw in draws)
        return found.within(0, 1) if name.startswith(SHARES) else found

    others = [of for of in draws[0] if of not in (MADE, REAL)]
    return {
        name: Figure(
            value=over_draws(MADE, name),
            over="draws",
            count=count,
            better=direction(name),
            unit=UNITS.get(name.partition("_")[0], ""),
            floor=over_draws(REAL, name),
            against={of: over_draws(of, name) for of in others},
        )
        for name in draws[0][MADE]
    }


def direction(name: str) -> Better:
    return "higher" if name.startswith(UPWARDS) else "lower"
