"""Page-Hinkley: the sum of deviations from the mean, and how far it has come from its least (or greatest) value.

Page: "Continuous Inspection Schemes", Biometrika 41, 1954; with a forgetting factor as in Gama: "Knowledge Discovery
from Data Streams", 2010, section 5.3. The arithmetic is river's.
"""

from __future__ import annotations

import math
from typing import Any

from agents.drift.detector import Watched
from agents.drift.kernel import Kernel, clear, note
from agents.drift.parameters import finite, positive, watched, whole
from agents.drift.stream_detector import StreamDetector

_INSTANCES, _DELTA, _THRESHOLD, _ALPHA, _WATCHED = range(5)
_N, _MEAN, _RISE, _FALL, _LEAST, _GREATEST = range(6)


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    for index in range(len(values)):
        x = values[index]
        s[_N] += 1.0
        s[_MEAN] += (1.0 / s[_N]) * (x - s[_MEAN])
        off = x - s[_MEAN]
        s[_RISE] = c[_ALPHA] * s[_RISE] + off - c[_DELTA]
        s[_FALL] = c[_ALPHA] * s[_FALL] + off + c[_DELTA]
        if s[_N] == 1.0:
            s[_LEAST], s[_GREATEST] = s[_RISE], max(-1.0, s[_FALL])
        s[_LEAST] = min(s[_LEAST], s[_RISE])
        s[_GREATEST] = max(s[_GREATEST], s[_FALL])
        up = s[_RISE] - s[_LEAST] if c[_WATCHED] >= 0.0 else 0.0
        down = s[_GREATEST] - s[_FALL] if c[_WATCHED] <= 0.0 else 0.0
        level = 0
        if s[_N] >= c[_INSTANCES] and (up > c[_THRESHOLD] or down > c[_THRESHOLD]):
            level = 2
        count = note(found, count, index, every, s, level, 1 if up >= down else -1, max(up, down), c[_THRESHOLD])
        if level == 2 or not (abs(s[_RISE]) < math.inf and abs(s[_FALL]) < math.inf):
            clear(s)
    return count


class PageHinkley(StreamDetector):
    """Fires where the cumulated deviation has moved more than `threshold`, from `min_instances` values on.

    `delta` is the change that is tolerated, `alpha` (0 to 1) how much of the sum each value leaves. `threshold` is in
    the values' own unit. Never warns.

    >>> [index for index, _ in PageHinkley(threshold=5.0).update_many([0.0] * 100 + [1.0] * 100)]
    [105]
    """

    name = "page_hinkley"
    _kernel = _scan

    def __init__(
        self,
        *,
        min_instances: int = 30,
        delta: float = 0.005,
        threshold: float = 50.0,
        alpha: float = 1 - 0.0001,
        direction: Watched = "both",
    ) -> None:
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha: expected a number from 0 to 1, got {alpha}")
        constants = [
            whole("min_instances", min_instances),
            finite("delta", delta),
            positive("threshold", threshold),
            alpha,
            watched(direction),
        ]
        self._begin(locals(), constants, numbers=6)
