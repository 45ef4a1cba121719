"""DDM: the error rate, held against the lowest it has been.

Gama, Medas, Castillo, Rodrigues: "Learning with Drift Detection", SBIA 2004. The arithmetic is river's.
"""

from __future__ import annotations

import math
from typing import Any

from agents.drift.kernel import Kernel, clear, note
from agents.drift.parameters import ordered, positive, whole
from agents.drift.stream_detector import StreamDetector

_WARM, _WARNING, _DRIFT = range(3)
_N, _P, _P_MIN, _S_MIN, _PS_MIN = range(5)


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    for index in range(len(values)):
        s[_N] += 1.0
        s[_P] += (1.0 / s[_N]) * (values[index] - s[_P])
        rate = s[_P]
        deviation = math.sqrt(max(rate * (1.0 - rate), 0.0) / s[_N])
        level, statistic, threshold = 0, rate + deviation, 0.0
        if s[_N] > c[_WARM]:
            if s[_N] == c[_WARM] + 1.0 or statistic <= s[_PS_MIN]:
                s[_P_MIN], s[_S_MIN], s[_PS_MIN] = rate, deviation, statistic
            threshold = s[_P_MIN] + c[_DRIFT] * s[_S_MIN]
            if statistic > threshold:
                level = 2
            elif statistic > s[_P_MIN] + c[_WARNING] * s[_S_MIN]:
                level = 1
        count = note(found, count, index, every, s, level, 1, statistic, threshold)
        if level == 2:
            clear(s)
    return count


class DDM(StreamDetector):
    """For errors (0 or 1, or shares): fires where rate + deviation exceed the lowest by `drift_threshold` deviations.

    Warns from `warning_threshold` deviations on; judges after `warm_start` values. Sees a rising rate alone. A model
    that made no error in the warm-up has a deviation of 0, and its first error fires.

    >>> [index for index, found in DDM().update_many([0, 0, 0, 1] * 50 + [1] * 50) if found.drift]
    [216]
    """

    name = "ddm"
    bounded = True
    errors_only = True
    _kernel = _scan

    def __init__(self, *, warm_start: int = 30, warning_threshold: float = 2.0, drift_threshold: float = 3.0) -> None:
        constants = [
            whole("warm_start", warm_start, 0),
            positive("warning_threshold", warning_threshold),
            positive("drift_threshold", drift_threshold),
        ]
        ordered("warning_threshold", warning_threshold, "drift_threshold", drift_threshold)
        self._begin(locals(), constants, numbers=5)
