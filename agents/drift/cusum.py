"""CUSUM: sums of what lies above, and of what lies below, the target, which a process in order brings back to 0.

Page: "Continuous Inspection Schemes", Biometrika 41, 1954; the tabular form of Montgomery: "Introduction to Statistical
Quality Control", section 9.1. Where target and deviation are not given they are the running mean and standard
deviation, as in Hawkins: "Self-Starting Cusum Charts for Location and Scale", The Statistician 36, 1987.
"""

from __future__ import annotations

import math
from typing import Any

from agents.drift.detector import Watched
from agents.drift.kernel import Kernel, clear, note
from agents.drift.parameters import finite, not_negative, positive, watched, whole
from agents.drift.stream_detector import StreamDetector

_THRESHOLD, _SLACK, _INSTANCES, _FIXED_TARGET, _TARGET, _DEVIATION, _WATCHED = range(7)
_N, _MEAN, _SQUARES, _HIGH, _LOW = range(5)


@Kernel
def _standardised(x: float, c: Any, s: Any) -> float:
    """Take the value into mean and deviation; how many deviations it lies from the target (0 while unknown)."""
    s[_N] += 1.0
    before = s[_MEAN]
    s[_MEAN] += (x - before) / s[_N]
    s[_SQUARES] += (x - before) * (x - s[_MEAN])
    off = x - (c[_TARGET] if c[_FIXED_TARGET] > 0.0 else s[_MEAN])
    if c[_DEVIATION] > 0.0:
        return float(off / c[_DEVIATION])
    if s[_N] < c[_INSTANCES] or s[_N] < 2.0 or not s[_SQUARES] > 0.0:
        return 0.0
    deviation = math.sqrt(s[_SQUARES] / (s[_N] - 1.0))
    return float(off / deviation) if deviation > 0.0 else 0.0


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    for index in range(len(values)):
        z = _standardised(values[index], c, s)
        s[_HIGH] = max(0.0, s[_HIGH] + z - c[_SLACK])
        s[_LOW] = max(0.0, s[_LOW] - z - c[_SLACK])
        up = s[_HIGH] if c[_WATCHED] >= 0.0 else 0.0
        down = s[_LOW] if c[_WATCHED] <= 0.0 else 0.0
        level = 2 if s[_N] >= c[_INSTANCES] and max(up, down) > c[_THRESHOLD] else 0
        count = note(found, count, index, every, s, level, 1 if up >= down else -1, max(up, down), c[_THRESHOLD])
        if level == 2 or not (s[_SQUARES] < math.inf and s[_HIGH] < math.inf and s[_LOW] < math.inf):
            clear(s)
    return count


class Cusum(StreamDetector):
    """Fires where the sum above or below the target exceeds `threshold`, from `min_instances` values on.

    `threshold` and `slack` (what each value may be off without adding to the sum: half of the change to be found) are
    in standard deviations. `target` and `deviation` are what is normal, where it is known; else both are learnt.
    Never warns.

    >>> [index for index, _ in Cusum().update_many([0.90, 0.92] * 100 + [0.85] * 20)]
    [212]
    """

    name = "cusum"
    _kernel = _scan

    def __init__(
        self,
        *,
        threshold: float = 50.0,
        slack: float = 0.1,
        target: float | None = None,
        deviation: float | None = None,
        min_instances: int = 100,
        direction: Watched = "both",
    ) -> None:
        constants = [
            positive("threshold", threshold),
            not_negative("slack", slack),
            whole("min_instances", min_instances),
            0.0 if target is None else 1.0,
            0.0 if target is None else finite("target", target),
            0.0 if deviation is None else positive("deviation", deviation),
            watched(direction),
        ]
        self._begin(locals(), constants, numbers=5)
