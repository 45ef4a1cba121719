"""HDDM_A: the mean of all values, held against the lowest (or highest) it has been, by Hoeffding's bound.

Frías-Blanco, del Campo-Ávila, Ramos-Jiménez, Morales-Bueno, Ortiz-Díaz, Caballero-Mota: "Online and Non-Parametric
Drift Detection Methods Based on Hoeffding's Bounds", IEEE TKDE 27(3), 2015, the A-test. The arithmetic is river's; a
fall is a rise of the negated mean, which in floating point is exact.
"""

from __future__ import annotations

import math
from typing import Any

from agents.drift.detector import Watched
from agents.drift.kernel import Kernel, clear, note
from agents.drift.parameters import fraction, ordered, watched
from agents.drift.stream_detector import StreamDetector

_LOG_CUT, _LOG_DRIFT, _LOG_WARNING, _WATCHED = range(4)
_N, _MEAN, _UP, _DOWN = 0, 1, 2, 4  # _UP and _DOWN: number and mean of the values up to the cut


@Kernel
def _side(sign: float, at: int, c: Any, s: Any) -> tuple[int, float, float]:
    """Move the cut of one side, and test what came after it: (level, rise of the mean, bound)."""
    n, mean = s[_N], sign * s[_MEAN]
    if s[at] == 0.0:
        s[at], s[at + 1] = n, mean
    bound = math.sqrt(1.0 / (2 * n) * c[_LOG_CUT])
    bound_then = math.sqrt(1.0 / (2 * s[at]) * c[_LOG_CUT])
    if s[at + 1] + bound_then >= mean + bound:
        s[at], s[at + 1] = n, mean
    if s[at] == n:
        return 0, 0.0, 0.0
    share = (n - s[at]) / s[at] * (1.0 / n)
    rise = mean - s[at + 1]
    drift = math.sqrt(share / 2 * c[_LOG_DRIFT])
    if rise >= drift:
        return 2, rise, drift
    return 1 if rise >= math.sqrt(share / 2 * c[_LOG_WARNING]) else 0, rise, drift


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    for index in range(len(values)):
        s[_N] += 1.0
        s[_MEAN] += (1.0 / s[_N]) * (values[index] - s[_MEAN])
        level, direction, rise, bound = 0, 1, 0.0, 0.0
        if c[_WATCHED] >= 0.0:
            level, rise, bound = _side(1.0, _UP, c, s)
        if c[_WATCHED] <= 0.0:
            down, fall, limit = _side(-1.0, _DOWN, c, s)
            if down > level:
                level, direction, rise, bound = down, -1, fall, limit
        count = note(found, count, index, every, s, level, direction, rise, bound)
        if level == 2:
            clear(s)
    return count


class HDDMA(StreamDetector):
    """For values in [0, 1]: fires where the mean has moved by more than Hoeffding's bound at `drift_confidence`.

    Warns at `warning_confidence`. `direction` is "up" by default, as of errors; river's `two_sided_test` is "both".

    >>> [index for index, found in HDDMA().update_many([0, 0, 0, 1] * 50 + [1] * 50) if found.drift]
    [205]
    """

    name = "hddm_a"
    bounded = True
    _kernel = _scan

    def __init__(
        self,
        *,
        drift_confidence: float = 0.001,
        warning_confidence: float = 0.005,
        direction: Watched = "up",
    ) -> None:
        drift = fraction("drift_confidence", drift_confidence)
        warning = fraction("warning_confidence", warning_confidence)
        ordered("drift_confidence", drift, "warning_confidence", warning)
        constants = [math.log(1.0 / drift), math.log(2.0 / drift), math.log(2.0 / warning), watched(direction)]
        self._begin(locals(), constants, numbers=6)
