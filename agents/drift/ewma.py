"""EWMA, also known as ECDD: an exponentially weighted error rate, held against the mean of all, by a control limit.

Ross, Adams, Tasoulis, Hand: "Exponentially Weighted Moving Average Charts for Detecting Concept Drift", Pattern
Recognition Letters 33, 2012. Its table 1 gives the control limit as a polynomial of the mean, for λ = 0.2, so that a
false alarm comes every 100, 400 or 1,000 values.
"""

from __future__ import annotations

import math
from typing import Any, Final

from agents.drift.kernel import Kernel, clear, note
from agents.drift.parameters import fraction, whole
from agents.drift.stream_detector import StreamDetector

#: By average run length: the coefficients of 1, p, p³, p⁵ and p⁷.
_LIMITS: Final = {
    100: (2.76, -6.23, 18.12, -312.45, 1002.18),
    400: (3.97, -6.56, 48.73, -330.13, 848.18),
    1000: (1.17, 7.56, -21.24, 112.12, -987.23),
}

_LAMBDA, _SPREAD, _WARNING, _INSTANCES, _LIMIT = range(5)
_N, _MEAN, _Z, _DECAY = range(4)


@Kernel
def _limit(mean: float, c: Any) -> float:
    """The control limit, in deviations."""
    square = mean * mean
    cube = square * mean
    limit = c[_LIMIT] + c[_LIMIT + 1] * mean + c[_LIMIT + 2] * cube
    return float(limit + c[_LIMIT + 3] * cube * square + c[_LIMIT + 4] * cube * square * square)


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    rest = 1.0 - c[_LAMBDA]
    for index in range(len(values)):
        s[_N] += 1.0
        s[_MEAN] += (values[index] - s[_MEAN]) / s[_N]
        s[_Z] = c[_LAMBDA] * values[index] + rest * s[_Z]
        s[_DECAY] = rest * rest * (1.0 if s[_N] == 1.0 else s[_DECAY])
        level, threshold = 0, 0.0
        if s[_N] >= c[_INSTANCES]:
            variance = max(s[_MEAN] * (1.0 - s[_MEAN]), 0.0)
            width = _limit(s[_MEAN], c) * math.sqrt(c[_SPREAD] * (1.0 - s[_DECAY]) * variance)
            threshold = s[_MEAN] + width
            if s[_Z] > threshold:
                level = 2
            elif s[_Z] > s[_MEAN] + c[_WARNING] * width:
                level = 1
        count = note(found, count, index, every, s, level, 1, s[_Z], threshold)
        if level == 2:
            clear(s)
    return count


class EWMA(StreamDetector):
    """For errors (0 or 1): fires where the weighted rate exceeds the mean by the limit for `average_run_length`.

    That is 100, 400 or 1000: the mean number of values between two false alarms. Warns at `warning_level` of the limit;
    judges from `min_instances` values on. `lambda_val` is the weight of the newest value; the limits were made for 0.2
    and for means well below one half: towards it and beyond they are too small. Sees a rising rate alone.

    >>> [index for index, found in EWMA().update_many([0, 0, 0, 1] * 50 + [1] * 50) if found.drift]
    [203]
    """

    name = "ewma"
    bounded = True
    errors_only = True
    _kernel = _scan

    def __init__(
        self,
        *,
        lambda_val: float = 0.2,
        average_run_length: int = 400,
        warning_level: float = 0.5,
        min_instances: int = 30,
    ) -> None:
        if average_run_length not in _LIMITS:
            known = ", ".join(str(length) for length in _LIMITS)
            raise ValueError(f"average_run_length: expected one of {known}, got {average_run_length}")
        weight = fraction("lambda_val", lambda_val)
        constants = [
            weight,
            weight / (2 - weight),
            fraction("warning_level", warning_level),
            whole("min_instances", min_instances),
            *_LIMITS[average_run_length],
        ]
        self._begin(locals(), constants, numbers=4)
