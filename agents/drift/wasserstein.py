"""Wasserstein's distance of two samples: the area between their distribution functions, in the unit of the values.

Also called the earth mover's distance. Where nothing has changed, √(n m / (n + m)) times the distance tends to
∫ |B(F(x))| dx, B being a Brownian bridge and F the distribution function (del Barrio, Giné, Matrán: "Central Limit
Theorems for the Wasserstein Distance between the Empirical and the True Distributions", Ann. Probab. 27, 1999). B is
drawn once for all; what F is, two samples tell: the reference alone, which is quick and done once, and, where the
distance exceeds what follows from that, reference and window together, as in a test by permutation. Otherwise the first
outlier after a reference that happens to have none would count as a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import exp, log, pi, sqrt
from struct import pack, unpack
from sys import float_info
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from agents.drift.distribution import DistributionDetector, Floats, Reference

#: Sums are of this part of the values, which is exact, for those of the largest numbers would overflow.
_PART: Final = 1 / 32

#: Brownian bridges, and their points: dense towards both ends, so that single outliers are seen.
_DRAWS: Final = 20_000
_POINTS: Final = 64

#: Beyond the rarer of these shares of the draws, the distribution goes on as the tail of a Gaussian does.
_COMMON, _RARE = 0.05, 0.005


class Null:
    """The distribution of a `_PART` of ∫ |B(F(x))| dx, from a sorted sample of F."""

    def __init__(self, values: Floats) -> None:
        total = np.zeros(_DRAWS)
        for weight, column in zip(_weights(values).tolist(), _bridges(), strict=True):
            if weight > 0:
                total += weight * column
        total.sort()
        self._draws = total
        self._rare, common = float(total[_place(_RARE)]), float(total[_place(_COMMON)])
        #: How fast the square grows with the logarithm of the probability, in parts of the rare one's.
        self._slope = (1 - (common / self._rare) ** 2) / log(_COMMON / _RARE) if self._rare > 0 else 0.0

    def critical(self, level: float) -> float:
        """What it exceeds with this probability."""
        if level >= _RARE:
            return float(self._draws[_place(level)])
        return self._rare * sqrt(1 + self._slope * log(_RARE / level))

    def p_value(self, value: float) -> float:
        """The probability of at least this."""
        if value <= self._rare:
            return 1 - int(np.searchsorted(self._draws, value)) / _DRAWS
        if self._slope == 0:
            return 0.0
        return _RARE * exp(-((value / self._rare) ** 2 - 1) / self._slope)


def _place(level: float) -> int:
    """Where in the sorted draws the value is that this share of them exceeds."""
    return _DRAWS - 1 - int(level * _DRAWS)


@lru_cache(maxsize=1)
def _grid() -> Floats:
    points: Floats = np.sin(np.arange(1, _POINTS + 1) * pi / (2 * (_POINTS + 1))) ** 2
    return points


@lru_cache(maxsize=1)
def _bridges() -> Floats:
    """|B| at each point of the grid, a row for each."""
    grid = _grid()
    steps = np.diff(np.concatenate(([0.0], grid, [1.0])))
    walk = np.random.default_rng(0).standard_normal((len(steps), _DRAWS)) * np.sqrt(steps)[:, None]
    walk = np.cumsum(walk, axis=0)
    bridges: Floats = np.abs(walk[:-1] - grid[:, None] * walk[-1])
    return bridges


def _weights(values: Floats) -> Floats:
    """How much of the distance between sorted values, times `_PART`, lies at each point of the grid."""
    share = np.arange(1, len(values)) / len(values)
    gaps = np.diff(values * _PART)
    nearest = np.rint(np.arcsin(np.sqrt(share)) * 2 * (_POINTS + 1) / pi).astype(np.intp)
    nearest = np.clip(nearest, 1, _POINTS) - 1
    grid = _grid()[nearest]
    scaled = gaps * np.sqrt(share * (1 - share) / (grid * (1 - grid)))
    return np.bincount(nearest, weights=scaled, minlength=_POINTS).astype(np.float64)


def part_of_distance(first: Floats, second: Floats) -> float:
    """`_PART` of the area between the distribution functions of two samples."""
    n, m = len(first), len(second)
    both = np.concatenate((first, second))
    order = both.argsort(kind="stable")  # quick where the first is sorted
    between = np.concatenate((np.full(n, m), np.full(m, -n)))[order].cumsum()[:-1]  # n m times the difference
    return float(np.sum(np.abs(between) / (n * m) * np.diff(both[order] * _PART)))


class WassersteinReference(Reference):
    """All values of the reference, and the scaled threshold that follows from them alone."""

    kept = "<f8"

    def __init__(self, values: Floats, alone: float) -> None:
        self._values, self._alone = values, alone

    def encode(self, values: Floats) -> NDArray[Any]:
        """As they are."""
        return values

    def statistic(self, window: NDArray[Any]) -> float:
        """In the unit of the values."""
        return min(part_of_distance(self._values, window) / _PART, float_info.max)

    def critical(self, window: NDArray[Any], statistic: float, level: float) -> float:
        """By the reference alone where the statistic does not exceed that, else by both samples if that is more."""
        scale = self._scale(window)
        alone = min(scale * self._alone, float_info.max)
        if statistic <= alone:
            return alone
        return max(alone, min(scale * self._pooled(window).critical(level), float_info.max))

    def p_value(self, window: NDArray[Any], statistic: float) -> float:
        """By both samples."""
        return self._pooled(window).p_value(statistic / self._scale(window))

    def packed(self) -> list[bytes]:
        """The values, and the threshold."""
        return [self._values.astype("<f8").tobytes(), pack("<d", self._alone)]

    @classmethod
    def unpacked(cls, parts: Sequence[bytes]) -> Self:
        """From both."""
        values, alone = parts
        return cls(np.frombuffer(values, dtype="<f8"), *unpack("<d", alone))

    def _scale(self, window: NDArray[Any]) -> float:
        """From what `Null` has to the distance."""
        return sqrt(1 / len(self._values) + 1 / len(window)) / _PART

    def _pooled(self, window: NDArray[Any]) -> Null:
        return Null(np.sort(np.concatenate((self._values, window))))


class Wasserstein(DistributionDetector):
    """Fires where Wasserstein's distance of the newest values from the reference exceeds what chance makes of it.

    `statistic` is the distance, in the unit of the values: how far they have moved, on average. `DistributionDetector`
    has the parameters.

    >>> detector = Wasserstein(reference=200, size=100, stride=20)
    >>> [index for index, _ in detector.update_many([0.1, 0.2, 0.3, 0.4] * 100 + [0.4, 0.5] * 100)]
    [439]
    """

    name = "wasserstein"
    _reference_type = WassersteinReference

    def _learn(self, values: Floats) -> Reference:
        return WassersteinReference(values, Null(values).critical(self._level))
