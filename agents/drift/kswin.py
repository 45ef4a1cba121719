"""KSWIN: the newest values of a window, held against a random sample of the older ones, by Kolmogorov and Smirnov.

Raab, Heusinger, Schleif: "Reactive Soft Prototype Computing for Concept Drift Streams", Neurocomputing 416, 2020. Both
samples have the same size, so the exact p-value depends on nothing but the largest difference of their distributions:
the critical difference is worked out once (Gnedenko and Korolyuk's formula; Hodges: "The Significance Probability of
the Smirnov Two-Sample Test", Arkiv för Matematik 3, 1958), and no value needs a p-value of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import comb
from typing import Any

import numpy as np

from agents.drift.detector import Watched
from agents.drift.kernel import Kernel, clear, note
from agents.drift.parameters import fraction, watched, whole
from agents.drift.stream_detector import StreamDetector

_SIZE, _SAMPLE, _CRITICAL, _SEED, _WATCHED = range(5)
_HELD, _NEXT, _FIRST, _SECOND = range(4)


@Kernel
def _random(s: Any) -> float:
    """A number in (0, 1): L'Ecuyer's combined generator (Communications of the ACM 31, 1988), with 32-bit numbers."""
    first = int(s[_FIRST]) * 40014 % 2147483563
    second = int(s[_SECOND]) * 40692 % 2147483399
    s[_FIRST], s[_SECOND] = first, second
    mixed = (first - second) % 2147483562
    return float((mixed if mixed > 0 else 2147483562) * (1.0 / 2147483563.0))


@Kernel
def _choose(chosen: Any, population: int, s: Any) -> None:
    """Fill `chosen` with positions below `population`, ascending, all subsets alike (Knuth's algorithm S)."""
    taken = 0
    for position in range(population):
        if (population - position) * _random(s) < len(chosen) - taken:
            chosen[taken] = position
            taken += 1
            if taken == len(chosen):
                return


@Kernel
def _difference(older: Any, newer: Any) -> int:
    """The largest |number of older values − number of newer values| up to any point; both are sorted."""
    largest, i, j = 0, 0, 0
    n = len(older)
    while i < n and j < n:
        x = min(older[i], newer[j])
        while i < n and older[i] == x:
            i += 1
        while j < n and newer[j] == x:
            j += 1
        largest = max(largest, abs(i - j))
    return largest


@Kernel
def _compare(chosen: Any, c: Any, s: Any, w: Any) -> tuple[int, int]:
    """(difference, direction) of the newest values against a new sample of the older ones."""
    size, sample = int(c[_SIZE]), int(c[_SAMPLE])
    _choose(chosen, size - sample, s)
    older, newer = np.empty(sample), np.empty(sample)
    start = int(s[_NEXT])  # of the oldest value, where the next will be
    total = 0.0
    for index in range(sample):
        older[index] = w[(start + int(chosen[index])) % size]
        newer[index] = w[(start + size - sample + index) % size]
        total += newer[index] / sample - older[index] / sample
    return _difference(np.sort(older), np.sort(newer)), 1 if total > 0.0 else -1


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    chosen = np.zeros(int(c[_SAMPLE]))
    for index in range(len(values)):
        if s[_FIRST] == 0.0:
            s[_FIRST], s[_SECOND] = 1.0 + c[_SEED], 2147483398.0 - c[_SEED]
        w[int(s[_NEXT])] = values[index]
        s[_NEXT] = (int(s[_NEXT]) + 1) % int(c[_SIZE])
        s[_HELD] = min(s[_HELD] + 1.0, c[_SIZE])
        level, difference, direction = 0, 0, 0
        if s[_HELD] == c[_SIZE]:
            difference, direction = _compare(chosen, c, s, w)
            if difference >= c[_CRITICAL] and direction * c[_WATCHED] >= 0.0:
                level = 2
        share, critical = difference / c[_SAMPLE], c[_CRITICAL] / c[_SAMPLE]
        count = note(found, count, index, every, s, level, direction, share, critical)
        if level == 2:
            first, second = s[_FIRST], s[_SECOND]
            clear(s)
            clear(w)
            s[_FIRST], s[_SECOND] = first, second
    return count


@lru_cache(maxsize=64)
def p_values(sample: int) -> tuple[float, ...]:
    """The exact two-sided p-value of each difference from 0 to `sample`, of two samples of that size."""
    paths = comb(2 * sample, sample)
    values = [1.0]
    for difference in range(1, sample + 1):
        beyond = sum(
            (-1) ** (turn + 1) * comb(2 * sample, sample - turn * difference)
            for turn in range(1, sample // difference + 1)
        )
        values.append(min(1.0, 2 * beyond / paths))
    return tuple(values)


class KSWIN(StreamDetector):
    """Fires where the newest `stat_size` of `window_size` values differ from a sample of the older at `alpha`.

    And by more than 0.1. A test at every value, so `alpha` is to be far below what one test would ask. The samples
    follow from `seed` (0 to 2,147,483,397) and what came before. `statistic` is the largest difference of the two
    distribution functions. Finds changes of spread and shape, too; then `direction` is that of the means. Never warns.

    >>> [index for index, _ in KSWIN().update_many([0.90, 0.91, 0.92, 0.93] * 50 + [0.80] * 50)]
    [213]
    """

    name = "kswin"
    _kernel = _scan

    def __init__(
        self,
        *,
        alpha: float = 0.005,
        window_size: int = 100,
        stat_size: int = 30,
        seed: int = 0,
        direction: Watched = "both",
    ) -> None:
        sample = whole("stat_size", stat_size, 2, 10_000)
        size = whole("window_size", window_size, 2 * sample)
        level = fraction("alpha", alpha)
        table = p_values(sample)
        critical = next((at for at, p in enumerate(table) if p <= level and at / sample > 0.1), sample + 1)
        constants = [size, sample, critical, whole("seed", seed, 0, 2_147_483_397), watched(direction)]
        self._begin(locals(), constants, numbers=4, cells=size)

    def _p_values(self, statistics: list[float]) -> Iterable[float | None]:
        sample = len(p_values(self.parameters["stat_size"])) - 1
        return [p_values(sample)[round(share * sample)] for share in statistics]
