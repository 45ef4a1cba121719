"""HDDM_W: an exponentially weighted mean, held against the lowest (or highest) it has been, by McDiarmid's bound.

Frías-Blanco and others: "Online and Non-Parametric Drift Detection Methods Based on Hoeffding's Bounds", IEEE TKDE
27(3), 2015, the W-test. The arithmetic is river's; a fall is a rise of the negated values, which is exact.
"""

from __future__ import annotations

import math
from typing import Any

from agents.drift.detector import Watched
from agents.drift.kernel import Kernel, clear, note
from agents.drift.parameters import fraction, ordered, watched
from agents.drift.stream_detector import StreamDetector

_LOG_DRIFT, _LOG_WARNING, _LAMBDA, _LAMBDA_SQUARED, _REST_SQUARED, _WATCHED = range(6)
_N, _MEAN, _BOUND, _UP, _DOWN = 0, 1, 2, 3, 9
#: Of a side, from _UP or _DOWN on: the cut; mean and bound up to it; number (0 or 1), mean and bound since.
_CUT, _BEFORE, _BEFORE_BOUND, _BEGUN, _SINCE, _SINCE_BOUND = range(6)


@Kernel
def _side(x: float, sign: float, at: int, c: Any, s: Any) -> tuple[int, float, float]:
    """Move the cut of one side or take in the value after it, and test: (level, rise of the mean, bound)."""
    mean = sign * s[_MEAN]
    top = mean + math.sqrt(s[_BOUND] * c[_LOG_DRIFT] / 2)
    if s[_N] == 1.0 or top < s[at + _CUT]:
        s[at + _CUT], s[at + _BEFORE], s[at + _BEFORE_BOUND], s[at + _BEGUN] = top, mean, s[_BOUND], 0.0
        return 0, 0.0, 0.0
    if s[at + _BEGUN] == 0.0:
        s[at + _BEGUN], s[at + _SINCE], s[at + _SINCE_BOUND] = 1.0, x, 1.0
    else:
        s[at + _SINCE] = c[_LAMBDA] * x + (1.0 - c[_LAMBDA]) * s[at + _SINCE]
    s[at + _SINCE_BOUND] = c[_LAMBDA_SQUARED] + c[_REST_SQUARED] * s[at + _SINCE_BOUND]
    both = s[at + _BEFORE_BOUND] + s[at + _SINCE_BOUND]
    rise = s[at + _SINCE] - s[at + _BEFORE]
    drift = math.sqrt(both * c[_LOG_DRIFT] / 2)
    if rise > drift:
        return 2, rise, drift
    return 1 if rise > math.sqrt(both * c[_LOG_WARNING] / 2) else 0, rise, drift


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    for index in range(len(values)):
        x = values[index]
        if s[_N] == 0.0:
            s[_N], s[_MEAN], s[_BOUND] = 1.0, x, 1.0
        else:
            s[_N] = 2.0  # more than one, which is all that is asked
            s[_MEAN] = c[_LAMBDA] * x + (1.0 - c[_LAMBDA]) * s[_MEAN]
        s[_BOUND] = c[_LAMBDA_SQUARED] + c[_REST_SQUARED] * s[_BOUND]
        level, direction, rise, bound = 0, 1, 0.0, 0.0
        if c[_WATCHED] >= 0.0:
            level, rise, bound = _side(x, 1.0, _UP, c, s)
        if c[_WATCHED] <= 0.0:
            down, fall, limit = _side(-x, -1.0, _DOWN, c, s)
            if down > level:
                level, direction, rise, bound = down, -1, fall, limit
        count = note(found, count, index, every, s, level, direction, rise, bound)
        if level == 2:
            clear(s)
    return count


class HDDMW(StreamDetector):
    """For values in [0, 1]: fires where the weighted mean has moved by more than the bound at `drift_confidence`.

    Warns at `warning_confidence`; `lambda_val` is the weight of the newest value. `direction` is "up" by default, as of
    errors; river's `two_sided_test` is "both".

    >>> [index for index, found in HDDMW().update_many([0, 0, 0, 1] * 50 + [1] * 50) if found.drift]
    [214]
    """

    name = "hddm_w"
    bounded = True
    _kernel = _scan

    def __init__(
        self,
        *,
        drift_confidence: float = 0.001,
        warning_confidence: float = 0.005,
        lambda_val: float = 0.05,
        direction: Watched = "up",
    ) -> None:
        drift = fraction("drift_confidence", drift_confidence)
        warning = fraction("warning_confidence", warning_confidence)
        ordered("drift_confidence", drift, "warning_confidence", warning)
        weight = fraction("lambda_val", lambda_val)
        constants = [
            math.log(1.0 / drift),
            math.log(1.0 / warning),
            weight,
            weight * weight,
            (1 - weight) ** 2,
            watched(direction),
        ]
        self._begin(locals(), constants, numbers=15)
