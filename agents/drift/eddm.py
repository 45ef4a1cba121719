"""EDDM: the distance between errors, held against the longest it has been.

Baena-García, del Campo-Ávila, Fidalgo, Bifet, Gavaldà, Morales-Bueno: "Early Drift Detection Method", 2006. The
arithmetic is river's.
"""

from __future__ import annotations

import math
from typing import Any

from agents.drift.kernel import Kernel, clear, note
from agents.drift.parameters import ordered, positive, whole
from agents.drift.stream_detector import StreamDetector

_WARM, _ALPHA, _BETA = range(3)
_N, _LAST, _ERRORS, _MEAN, _SQUARES, _GREATEST, _WARNS, _LEVEL = range(8)


@Kernel
def _error(c: Any, s: Any) -> bool:
    """Take in an error; whether it fires."""
    s[_ERRORS] += 1.0
    distance = s[_N] - s[_LAST]
    s[_LAST] = s[_N]
    before = s[_MEAN]
    s[_MEAN] += (1.0 / s[_ERRORS]) * (distance - before)
    s[_SQUARES] += (distance - before) * (distance - s[_MEAN])
    if s[_N] <= c[_WARM]:
        return False
    variance = s[_SQUARES] / (s[_ERRORS] - 1.0) if s[_ERRORS] > 1.0 else 0.0
    reach = s[_MEAN] + 2 * math.sqrt(variance)
    if reach > s[_GREATEST]:
        s[_GREATEST] = reach
        return False
    if s[_ERRORS] <= c[_WARM]:
        return False
    s[_LEVEL] = reach / s[_GREATEST]
    s[_WARNS] = 1.0 if c[_BETA] <= s[_LEVEL] < c[_ALPHA] else 0.0
    return bool(s[_LEVEL] < c[_BETA])


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    for index in range(len(values)):
        s[_N] += 1.0
        fires = values[index] == 1.0 and _error(c, s)
        level = 2 if fires else int(s[_WARNS])
        count = note(found, count, index, every, s, level, 1, s[_LEVEL], c[_BETA] if s[_LEVEL] > 0.0 else 0.0)
        if level == 2:
            clear(s)
    return count


class EDDM(StreamDetector):
    """For errors (1): fires where mean + 2 deviations of the distances between them fall below `beta` of the longest.

    Warns below `alpha`, and goes on warning until an error says otherwise; judges after `warm_start` errors. Sees a
    rising rate alone, and gradual changes best; but many false alarms (docs/detectors.md).

    >>> [index for index, found in EDDM().update_many([0, 0, 0, 0, 1] * 50 + [1] * 300) if found.drift]
    [313]
    """

    name = "eddm"
    bounded = True
    errors_only = True
    _kernel = _scan

    def __init__(self, *, warm_start: int = 30, alpha: float = 0.95, beta: float = 0.9) -> None:
        constants = [whole("warm_start", warm_start, 0), positive("alpha", alpha), positive("beta", beta)]
        ordered("beta", beta, "alpha", alpha)
        self._begin(locals(), constants, numbers=8)
