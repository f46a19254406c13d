"""Means with their 95 % confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

# Two-sided 95 % quantiles of Student's t for 1 to 10 degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
NORMAL = 1.959964


@dataclass(frozen=True)
class Interval:
    """A mean and where, with 95 % confidence, it would be found with endlessly many values.

    Attributes:
        low, high: None where a single value tells no spread.
        n: number of values.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    def within(self, least: float, most: float) -> Interval:
        """The part of it that such a value can take."""
        if self.low is None or self.high is None:
            return self
        return Interval(self.mean, max(least, self.low), min(most, self.high), self.n)


def student(freedom: int) -> float:
    """The quantile by table, then by two terms of its expansion, which are right to three digits."""
    if freedom <= len(STUDENT):
        return STUDENT[freedom - 1]
    z = NORMAL
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def interval(values: Iterable[float]) -> Interval:
    """Mean of independent values, with Student's interval."""
    values = list(values)
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, None, None, 1)
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    reach = student(n - 1) * math.sqrt(variance / n)
    return Interval(mean, mean - reach, mean + reach, n)


def share_interval(hits: int, n: int) -> Interval:
    """A share of n, with Wilson's interval (1927), which holds up to 0 and 1."""
    share, z = hits / n, NORMAL
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Interval(share, max(0.0, middle - reach), min(1.0, middle + reach), n)
