"""ADWIN: a window that grows while its parts agree, and drops its oldest part once they do not.

Bifet, Gavaldà: "Learning from Time-Changing Data with Adaptive Windowing", SIAM SDM 2007 (ADWIN2, its exponential
histogram). Rows of buckets: those of row r hold the total of 2^r values each; when a row has more than `max_buckets`,
its two oldest become one of the next row. The arithmetic is river's, in its order, so that alarms are the same.

Layout of `cells`: for each row, how many buckets it has, their totals, their variances.
"""

from __future__ import annotations

import math
from typing import Any

from agents.drift.detector import Watched
from agents.drift.kernel import Kernel, clear, note
from agents.drift.parameters import fraction, watched, whole
from agents.drift.stream_detector import StreamDetector

_ROWS = 40
_DELTA, _CLOCK, _MOST, _LEAST, _GRACE, _WATCHED = range(6)
_TICK, _WIDTH, _TOTAL, _VARIANCE, _USED = range(5)


@Kernel
def _insert(x: float, most: int, s: Any, w: Any) -> None:
    """A bucket of one value, and room made for the next."""
    s[_WIDTH] += 1.0
    if s[_WIDTH] > 1.0:
        off = x - s[_TOTAL] / (s[_WIDTH] - 1.0)
        s[_VARIANCE] += (s[_WIDTH] - 1.0) * off * off / s[_WIDTH]
    s[_TOTAL] += x
    stride = 2 * most + 3
    total, variance, size, row = x, 0.0, 1.0, 0
    while True:
        at = row * stride
        count = int(w[at])
        w[at + 1 + count] = total
        w[at + 2 + most + count] = variance
        w[at] = count + 1
        if s[_USED] < row + 1:
            s[_USED] = row + 1
        if count < most or row == _ROWS - 1:
            return
        off = w[at + 1] / size - w[at + 2] / size
        total = w[at + 1] + w[at + 2]
        variance = w[at + 2 + most] + w[at + 3 + most] + size * 0.5 * off * off
        _drop(at, 2, most, w)
        size *= 2.0
        row += 1


@Kernel
def _drop(at: int, number: int, most: int, w: Any) -> None:
    """Remove the oldest buckets of the row that begins at `at`."""
    count = int(w[at])
    for start in (at + 1, at + 2 + most):
        for index in range(count - number):
            w[start + index] = w[start + index + number]
        for index in range(count - number, count):
            w[start + index] = 0.0
    w[at] = count - number


@Kernel
def _forget(most: int, s: Any, w: Any) -> None:
    """Remove the oldest bucket of all."""
    row = int(s[_USED]) - 1
    size = 1.0
    for _ in range(row):
        size *= 2.0
    at = row * (2 * most + 3)
    total, variance = w[at + 1], w[at + 2 + most]
    s[_WIDTH] -= size
    s[_TOTAL] -= total
    off = total / size - s[_TOTAL] / s[_WIDTH]
    s[_VARIANCE] -= variance + size * s[_WIDTH] * off * off / (size + s[_WIDTH])
    _drop(at, 1, most, w)
    if w[at] == 0.0:
        s[_USED] = row


@Kernel
def _cut(c: Any, s: Any, w: Any) -> tuple[float, float]:
    """The first cut, from the oldest on, whose parts disagree: (newer mean − older mean, bound); (0, 0) if none."""
    most, least = int(c[_MOST]), c[_LEAST]
    row = int(s[_USED]) - 1
    size = 1.0
    for _ in range(row):
        size *= 2.0
    wide, spread = s[_WIDTH], s[_VARIANCE] / s[_WIDTH]
    confidence = math.log(2.0 * math.log(wide) / c[_DELTA])
    older, newer, older_total, newer_total = 0.0, wide, 0.0, s[_TOTAL]
    while row >= 0:
        at = row * (2 * most + 3)
        for index in range(int(w[at])):
            older += size
            newer -= size
            older_total += w[at + 1 + index]
            newer_total -= w[at + 1 + index]
            if newer >= least and older >= least:
                share = 1.0 / (older - least + 1.0) + 1.0 / (newer - least + 1.0)
                square = 2.0 * share * spread * confidence
                gap = older_total / older - newer_total / newer
                if square >= 0.0:
                    bound = math.sqrt(square) + 2.0 / 3.0 * confidence * share
                    if abs(gap) > bound:
                        return -gap, bound
        size *= 0.5
        row -= 1
    return 0.0, 0.0


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    most = int(c[_MOST])
    for index in range(len(values)):
        _insert(values[index], most, s, w)
        s[_TICK] += 1.0
        if s[_TICK] == c[_CLOCK]:
            s[_TICK] = 0.0
        level, gap, bound = 0, 0.0, 0.0
        if s[_TICK] == 0.0 and s[_WIDTH] > c[_GRACE]:
            while s[_WIDTH] > 1.0:
                off, limit = _cut(c, s, w)
                if limit == 0.0:
                    break
                if level == 0 and off * c[_WATCHED] >= 0.0:
                    level, gap, bound = 2, off, limit
                _forget(most, s, w)
        count = note(found, count, index, every, s, level, 1 if gap > 0.0 else -1, abs(gap), bound)
        # What overflowed would never fire again.
        if level == 2 or not abs(s[_VARIANCE]) < math.inf:
            clear(s)
            clear(w)
    return count


class Adwin(StreamDetector):
    """Fires where two parts of the window have different means; needs no range and no warm-up beyond `grace_period`.

    `delta` is the confidence (smaller: fewer alarms), `clock` how many values lie between two tests, `max_buckets` how
    many buckets a row may have, `min_window_length` the least length of a part. Never warns. `statistic` is the
    difference of the means at the cut found, `threshold` its bound. A change the other way than `direction` shrinks the
    window and is not reported. If squares overflow (values beyond some 1e150), it begins anew.

    >>> [index for index, _ in Adwin().update_many([0.0] * 500 + [1.0] * 500)]
    [511]
    """

    name = "adwin"
    _kernel = _scan

    def __init__(
        self,
        *,
        delta: float = 0.002,
        clock: int = 32,
        max_buckets: int = 5,
        min_window_length: int = 5,
        grace_period: int = 10,
        direction: Watched = "both",
    ) -> None:
        constants = [
            fraction("delta", delta),
            whole("clock", clock),
            whole("max_buckets", max_buckets, 2, 1000),
            whole("min_window_length", min_window_length),
            whole("grace_period", grace_period),
            watched(direction),
        ]
        self._begin(locals(), constants, numbers=5, cells=_ROWS * (2 * max_buckets + 3))
