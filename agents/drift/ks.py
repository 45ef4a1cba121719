"""Kolmogorov and Smirnov's test of two samples: the largest difference of their distribution functions.

The exact distribution where nothing has changed comes from counting lattice paths (Hodges: "The Significance
Probability of the Smirnov Two-Sample Test", Arkiv för Matematik 3, 1958), for large samples from Kolmogorov's limit.
Ties make the test more careful, never less.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from math import exp, fsum, sqrt
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from agents.drift.distribution import DistributionDetector, Floats, Reference

#: Up to this product of the sizes the distribution is exact; a p-value then takes some 10 ms, a critical value ten.
_EXACT: Final = 1_000_000


class SortedReference(Reference):
    """All values of the reference. Of a window's value it matters alone which of them it equals or lies between."""

    kept = "<u2"

    def __init__(self, values: Floats) -> None:
        self._values = values

    def encode(self, values: Floats) -> NDArray[Any]:
        """2 i + 1 for the i-th distinct value of the reference, 2 i for what is just below it."""
        distinct = self._distinct
        places = np.searchsorted(distinct, values, "left") + np.searchsorted(distinct, values, "right")
        return places.astype(self.kept)

    def statistic(self, window: NDArray[Any]) -> float:
        """The largest difference of the distribution functions, from 0 to 1."""
        counts = np.bincount(window, minlength=len(self._cumulative)).cumsum()
        n, m = len(self._values), len(window)
        return int(np.abs(counts * n - self._cumulative * m).max()) / (n * m)

    def critical(self, window: NDArray[Any], statistic: float, level: float) -> float:
        """By the sizes alone."""
        del statistic
        return critical_difference(len(self._values), len(window), level)

    def p_value(self, window: NDArray[Any], statistic: float) -> float:
        """Two-sided; exact where no values are alike, else an upper bound."""
        n, m = len(self._values), len(window)
        return p_value(n, m, round(statistic * n * m))

    def packed(self) -> list[bytes]:
        """The values."""
        return [self._values.astype("<f8").tobytes()]

    @classmethod
    def unpacked(cls, parts: Sequence[bytes]) -> Self:
        """From its values."""
        (values,) = parts
        return cls(np.frombuffer(values, dtype="<f8"))

    @cached_property
    def _distinct(self) -> Floats:
        return np.unique(self._values)

    @cached_property
    def _cumulative(self) -> NDArray[np.int64]:
        """How many values of the reference lie at or below each place, in the numbering of `encode`."""
        up_to = np.searchsorted(self._values, self._distinct, "right")
        return np.concatenate(([0], np.repeat(up_to, 2)))


@lru_cache(maxsize=1_024)
def p_value(n: int, m: int, difference: int) -> float:
    """Of a largest difference of `difference` / (n m) between samples of n and m values, two-sided."""
    if difference <= 0:
        return 1.0
    if n * m > _EXACT:
        return _limit(difference / (n * m) * sqrt(n * m / (n + m)))
    rows = min(n, m)
    at = np.arange(rows + 1, dtype=np.float64)
    beyond = np.zeros(rows + 1)  # by i: of the paths to (i, step − i), the share that has been too far off
    for step in range(1, n + m + 1):
        last = min(step, rows) + 1  # no path has come further
        beyond[1:last] = (at[1:last] * beyond[: last - 1] + (step - at[1:last]) * beyond[1:last]) / step
        low = (step * rows - difference) // (n + m)
        beyond[: max(0, low + 1)] = 1.0
        beyond[-(-(step * rows + difference) // (n + m)) :] = 1.0
    return min(1.0, float(beyond[rows]))


def _limit(scaled: float) -> float:
    """Kolmogorov's distribution, of D √(n m / (n + m)) for large samples: the probability of more."""
    if scaled < 0.2:
        return 1.0
    terms = [exp(-2 * (k * scaled) ** 2) for k in range(1, 40)]
    return max(0.0, min(1.0, 2 * (fsum(terms[::2]) - fsum(terms[1::2]))))


@lru_cache(maxsize=1_024)
def critical_difference(n: int, m: int, level: float) -> float:
    """The largest difference whose p-value is above `level`; 1 if even that of samples with nothing in common is."""
    low, high = 0, n * m  # the p-value of the first is above the level, that of the second may be
    if p_value(n, m, high) > level:
        return 1.0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if p_value(n, m, middle) > level else (low, middle)
    return low / (n * m)


class KS(DistributionDetector):
    """Fires where the distribution of the newest values differs from the reference by more than chance explains.

    By the test of Kolmogorov and Smirnov: any change of level, spread or shape; it needs no bins and no unit.
    `statistic` is the largest difference of the distribution functions, from 0 to 1. `DistributionDetector` has the
    parameters.

    >>> detector = KS(reference=200, size=100, stride=20)
    >>> [index for index, _ in detector.update_many([0.1, 0.2, 0.3, 0.4] * 100 + [0.4, 0.5] * 100)]
    [439]
    """

    name = "ks"
    _reference_type = SortedReference

    def _learn(self, values: Floats) -> Reference:
        return SortedReference(values)

    def _check_sizes(self) -> None:
        if critical_difference(self._to_learn, self._size, self._level) == 1.0:
            raise ValueError(
                f"size: {self._to_learn} and {self._size} values never differ at a level of {self._level:.2g}: "
                "expected more values or a larger alpha"
            )
