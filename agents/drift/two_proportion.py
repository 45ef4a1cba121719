"""Two proportions: the error rate of the newest values, held against that of earlier ones, with the variance of both.

The pooled two-sample z-test of proportions (Fleiss, Levin, Paik: "Statistical Methods for Rates and Proportions", 3rd
edition, 2003, chapter 3). A control chart that takes its mean and deviation from a window of its own forgets that these
are estimates, and fires too often.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from agents.drift.detector import Watched
from agents.drift.kernel import Kernel, clear, note
from agents.drift.parameters import not_negative, positive, watched, whole
from agents.drift.stream_detector import StreamDetector

_REFERENCE, _LEAST, _SIZE, _SAMPLES, _THRESHOLD, _CHANGE, _WATCHED = range(7)
_N, _TOTAL, _HELD, _WINDOW_TOTAL, _NEXT = range(5)


@Kernel
def _push(x: float, c: Any, s: Any, w: Any) -> None:
    """Put the value into the window, in place of the oldest, which joins the reference if that is not complete."""
    at = int(s[_NEXT])
    if s[_HELD] == c[_SIZE]:
        s[_WINDOW_TOTAL] -= w[at]
        if s[_N] < c[_REFERENCE]:
            s[_N] += 1.0
            s[_TOTAL] += w[at]
    else:
        s[_HELD] += 1.0
    s[_WINDOW_TOTAL] += x
    w[at] = x
    s[_NEXT] = (at + 1) % int(c[_SIZE])


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    for index in range(len(values)):
        level, z = 0, 0.0
        if s[_N] < c[_LEAST]:
            s[_N] += 1.0
            s[_TOTAL] += values[index]
        else:
            _push(values[index], c, s, w)
            n, m = s[_N], s[_HELD]
            pooled = (s[_TOTAL] + s[_WINDOW_TOTAL]) / (n + m)
            variance = pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)
            if m >= c[_SAMPLES] and variance > 0.0:
                change = s[_WINDOW_TOTAL] / m - s[_TOTAL] / n
                z = change / math.sqrt(variance)
                if abs(z) > c[_THRESHOLD] and abs(change) >= c[_CHANGE] and z * c[_WATCHED] >= 0.0:
                    level = 2
        count = note(found, count, index, every, s, level, 1 if z > 0.0 else -1, z, c[_THRESHOLD])
        if level == 2:
            clear(s)
            clear(w)
    return count


class TwoProportion(StreamDetector):
    """For errors (0 or 1, or shares): fires where |z| > `threshold` between the newest values and the reference.

    The window slides over the newest `window_size` values and is judged from `min_samples` on. The reference begins
    with the first `min_reference` values; those that leave the window join it up to `reference_size`, then it stays: a
    slow decline adds up. A change of the rate by less than `min_change` does not count, however significant.

    `p_value` is that of one test, two-sided unless `direction` is; the window is tested at every value, so the
    threshold is far beyond a single test's. Never warns.

    >>> [index for index, _ in TwoProportion().update_many([0, 0, 0, 1] * 500 + [1] * 200)]
    [2065]
    """

    name = "two_proportion"
    bounded = True
    _kernel = _scan

    def __init__(
        self,
        *,
        threshold: float = 4.3,
        reference_size: int = 2000,
        min_reference: int = 500,
        window_size: int = 500,
        min_samples: int = 50,
        min_change: float = 0.0,
        direction: Watched = "both",
    ) -> None:
        constants = [
            whole("reference_size", reference_size, 2),
            whole("min_reference", min_reference, 2, reference_size),
            whole("window_size", window_size, 2),
            whole("min_samples", min_samples, 1, window_size),
            positive("threshold", threshold),
            not_negative("min_change", min_change),
            watched(direction),
        ]
        self._both = direction == "both"
        self._begin(locals(), constants, numbers=5, cells=window_size)

    def _p_values(self, statistics: list[float]) -> Iterable[float | None]:
        sides = 1.0 if self._both else 0.5
        return [sides * math.erfc(abs(z) / math.sqrt(2)) for z in statistics]
