"""STEPD: the share of the newest values, held against that of all before them, by the test of equal proportions.

Nishida, Yamauchi: "Detecting Concept Drift Using Statistical Testing", Discovery Science 2007: the chi-square test with
continuity correction, as a z-statistic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import Any

from agents.drift.detector import Watched
from agents.drift.kernel import Kernel, clear, note
from agents.drift.parameters import fraction, ordered, watched, whole
from agents.drift.stream_detector import StreamDetector

_SIZE, _DRIFT, _WARNING, _WATCHED = range(4)
_N, _TOTAL, _WINDOW_TOTAL, _NEXT = range(4)


@Kernel
def _statistic(c: Any, s: Any) -> float:
    """The z of the window against what came before it; its sign says which is larger."""
    m = c[_SIZE]
    n = s[_N] - m
    pooled = s[_TOTAL] / s[_N]
    inverse = 1.0 / n + 1.0 / m
    variance = pooled * (1.0 - pooled) * inverse
    if not variance > 0.0:
        return 0.0
    gap = s[_WINDOW_TOTAL] / m - (s[_TOTAL] - s[_WINDOW_TOTAL]) / n
    z = max(abs(gap) - 0.5 * inverse, 0.0) / math.sqrt(variance)
    return float(z if gap >= 0.0 else -z)


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    size = int(c[_SIZE])
    for index in range(len(values)):
        at = int(s[_NEXT])
        s[_N] += 1.0
        s[_TOTAL] += values[index]
        s[_WINDOW_TOTAL] += values[index] - w[at]
        w[at] = values[index]
        s[_NEXT] = (at + 1) % size
        level, z = 0, 0.0
        if s[_N] >= 2 * size:
            z = _statistic(c, s)
            if z * c[_WATCHED] >= 0.0:
                level = 2 if abs(z) > c[_DRIFT] else 1 if abs(z) > c[_WARNING] else 0
        count = note(found, count, index, every, s, level, 1 if z > 0.0 else -1, z, c[_DRIFT])
        if level == 2:
            clear(s)
            clear(w)
    return count


class STEPD(StreamDetector):
    """For errors (0 or 1, or shares): fires where the newest `window_size` differ from all before at `alpha_drift`.

    Warns at `alpha_warning`; judges from twice `window_size` values on. `statistic` is z, `threshold` the z of
    `alpha_drift`, `p_value` that of |z|, one-sided. A test at every value, so it fires without a change often.

    >>> [index for index, found in STEPD().update_many([0, 0, 0, 1] * 50 + [1] * 50) if found.drift]
    [210]
    """

    name = "stepd"
    bounded = True
    _kernel = _scan

    def __init__(
        self,
        *,
        window_size: int = 30,
        alpha_drift: float = 0.003,
        alpha_warning: float = 0.05,
        direction: Watched = "both",
    ) -> None:
        drift, warning = fraction("alpha_drift", alpha_drift), fraction("alpha_warning", alpha_warning)
        ordered("alpha_drift", drift, "alpha_warning", warning)
        normal = NormalDist()
        constants = [
            whole("window_size", window_size, 2),
            normal.inv_cdf(1 - drift),
            normal.inv_cdf(1 - warning),
            watched(direction),
        ]
        self._begin(locals(), constants, numbers=4, cells=window_size)

    def _p_values(self, statistics: list[float]) -> Iterable[float | None]:
        return [0.5 * math.erfc(abs(z) / math.sqrt(2)) for z in statistics]
