"""RDDM: DDM that forgets: a long concept is cut down to its newest values, and a long warning is a drift.

Barros, Cabral, Gonçalves, Santos: "RDDM: Reactive Drift Detection Method", Expert Systems with Applications 90, 2017.
After a drift it begins with what came since the warning began, which belongs to the new concept.

`cells` is a ring of the newest values: of the concept, or after a drift of what came since the warning.
"""

from __future__ import annotations

import math
from typing import Any

from agents.drift.kernel import Kernel, note
from agents.drift.parameters import ordered, positive, whole
from agents.drift.stream_detector import StreamDetector

_WARNING, _DRIFT, _LONGEST, _KEPT_SIZE, _WARNINGS, _INSTANCES = range(6)
_N, _P, _KNOWN, _P_MIN, _S_MIN, _NEXT, _HELD, _WARNED = range(8)


@Kernel
def _learn(x: float, s: Any) -> float:
    """Take the value into the rate; its standard deviation."""
    s[_N] += 1.0
    s[_P] += (x - s[_P]) / s[_N]
    return math.sqrt(max(s[_P] * (1.0 - s[_P]), 0.0) / s[_N])


@Kernel
def _lower(deviation: float, s: Any) -> None:
    """Keep the lowest rate and its deviation."""
    if s[_KNOWN] == 0.0 or s[_P] + deviation < s[_P_MIN] + s[_S_MIN]:
        s[_KNOWN], s[_P_MIN], s[_S_MIN] = 1.0, s[_P], deviation


@Kernel
def _relearn(number: int, anew: bool, c: Any, s: Any, w: Any) -> None:
    """Know only the newest `number` values; the lowest rate too, if `anew`."""
    size = int(c[_KEPT_SIZE])
    s[_N], s[_P], s[_WARNED], s[_HELD] = 0.0, 0.0, 0.0, number
    if anew:
        s[_KNOWN], s[_P_MIN], s[_S_MIN] = 0.0, 0.0, 0.0
    for index in range(number):
        deviation = _learn(w[(int(s[_NEXT]) - number + index) % size], s)
        if anew and s[_N] >= c[_INSTANCES]:
            _lower(deviation, s)


@Kernel
def _level(deviation: float, c: Any, s: Any) -> int:
    """What the rate says: 2 drift, 1 warning."""
    if s[_P] + deviation > s[_P_MIN] + c[_DRIFT] * s[_S_MIN]:
        return 2
    if s[_P] + deviation > s[_P_MIN] + c[_WARNING] * s[_S_MIN]:
        return 2 if s[_WARNED] >= c[_WARNINGS] else 1
    return 0


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    size = int(c[_KEPT_SIZE])
    for index in range(len(values)):
        w[int(s[_NEXT])] = values[index]
        s[_NEXT] = (int(s[_NEXT]) + 1) % size
        s[_HELD] = min(s[_HELD] + 1.0, float(size))
        deviation = _learn(values[index], s)
        level, threshold = 0, 0.0
        if s[_N] >= c[_INSTANCES]:
            _lower(deviation, s)
            threshold = s[_P_MIN] + c[_DRIFT] * s[_S_MIN]
            level = _level(deviation, c, s)
        count = note(found, count, index, every, s, level, 1, s[_P] + deviation, threshold)
        if level == 2:
            long = s[_WARNED] >= c[_WARNINGS]
            _relearn(1 if long else int(min(s[_WARNED] + 1.0, s[_HELD])), True, c, s, w)
            s[-1] = 0.0
        elif level == 1:
            s[_WARNED] += 1.0
        elif s[_N] >= c[_INSTANCES]:
            s[_WARNED] = 0.0
            if s[_N] >= c[_LONGEST]:
                _relearn(int(s[_HELD]), False, c, s, w)
    return count


class RDDM(StreamDetector):
    """For errors (0 or 1, or shares): fires where rate + deviation exceeds the lowest by `drift_level` deviations.

    Also after `max_warnings` values at `warning_level`. Judges from `min_instances` values on. A concept of
    `max_concept_size` values is cut down to the newest `min_concept_size`, all of which it remembers: a state takes a
    bit for each. Sees a rising rate alone.

    >>> [index for index, found in RDDM().update_many([0, 0, 0, 1] * 50 + [1] * 50) if found.drift]
    [209]
    """

    name = "rddm"
    bounded = True
    errors_only = True
    _kernel = _scan

    def __init__(
        self,
        *,
        warning_level: float = 1.773,
        drift_level: float = 2.258,
        max_concept_size: int = 40_000,
        min_concept_size: int = 7_000,
        max_warnings: int = 1_400,
        min_instances: int = 129,
    ) -> None:
        constants = [
            positive("warning_level", warning_level),
            positive("drift_level", drift_level),
            whole("max_concept_size", max_concept_size),
            whole("min_concept_size", min_concept_size),
            whole("max_warnings", max_warnings),
            whole("min_instances", min_instances),
        ]
        ordered("warning_level", warning_level, "drift_level", drift_level)
        ordered("min_concept_size", min_concept_size, "max_concept_size", max_concept_size)
        self._begin(locals(), constants, numbers=8, cells=min_concept_size)
