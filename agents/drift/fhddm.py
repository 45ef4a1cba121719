"""FHDDM: the share of ones in the newest values, held against the highest it has been, by Hoeffding's bound.

Pesaranghader, Viktor: "Fast Hoeffding Drift Detection Method for Evolving Data Streams", ECML PKDD 2016; with a second,
shorter window Pesaranghader, Viktor, Paquet: "Reservoir of Diverse Adaptive Learners and Stacking Fast Hoeffding Drift
Detection Methods for Evolving Data Streams", Machine Learning 107, 2018.
"""

from __future__ import annotations

import math
from typing import Any

from agents.drift.detector import Watched
from agents.drift.kernel import Kernel, clear, note
from agents.drift.parameters import fraction, watched, whole
from agents.drift.stream_detector import StreamDetector

_SIZE, _BOUND, _SHORT, _SHORT_BOUND, _WATCHED = range(5)
_HELD, _NEXT, _TOTAL, _SHORT_TOTAL = range(4)
_HIGHEST, _LOWEST, _SHORT_HIGHEST, _SHORT_LOWEST = range(4, 8)  # the lowest as 1 − it, so that all begin with 0


@Kernel
def _gap(share: float, at: int, s: Any) -> float:
    """How far the share has fallen from its highest."""
    s[at] = max(s[at], share)
    return float(s[at] - share)


@Kernel
def _push(x: float, c: Any, s: Any, w: Any) -> None:
    """Put the value into the window, in place of what leaves."""
    size, short, at = int(c[_SIZE]), int(c[_SHORT]), int(s[_NEXT])
    if short > 0:
        leaving = (at - short) % size
        s[_SHORT_TOTAL] += x - (w[leaving] if s[_HELD] >= short else 0.0)
    if s[_HELD] == size:
        s[_TOTAL] -= w[at]
    else:
        s[_HELD] += 1.0
    s[_TOTAL] += x
    w[at] = x
    s[_NEXT] = (at + 1) % size


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    for index in range(len(values)):
        _push(values[index], c, s, w)
        down, up, bound, level = 0.0, 0.0, c[_BOUND], 0
        if s[_HELD] == c[_SIZE]:
            share = s[_TOTAL] / c[_SIZE]
            down, up = _gap(share, _HIGHEST, s), _gap(1.0 - share, _LOWEST, s)
            if c[_SHORT] > 0.0:
                share = s[_SHORT_TOTAL] / c[_SHORT]
                short_down, short_up = _gap(share, _SHORT_HIGHEST, s), _gap(1.0 - share, _SHORT_LOWEST, s)
                larger = max(down if c[_WATCHED] <= 0.0 else 0.0, up if c[_WATCHED] >= 0.0 else 0.0)
                if not larger > bound:
                    down, up, bound = short_down, short_up, c[_SHORT_BOUND]
        down = down if c[_WATCHED] <= 0.0 else 0.0
        up = up if c[_WATCHED] >= 0.0 else 0.0
        if down > bound or up > bound:
            level = 2
        count = note(found, count, index, every, s, level, -1 if down >= up else 1, max(down, up), bound)
        if level == 2:
            clear(s)
            clear(w)
    return count


class FHDDM(StreamDetector):
    """For values in [0, 1]: fires where the window's mean lies further below its highest than Hoeffding's bound.

    As published, 1 is a correct prediction, so `direction` is "down" by default; on a stream of errors take "up".
    `sliding_window_size` values are kept and none is judged before; `short_window_size` adds a second, shorter window.
    `confidence_level` is the probability of an alarm without a change, of each window by itself. Never warns.

    >>> [index for index, _ in FHDDM(direction="up").update_many([0, 0, 0, 1] * 50 + [1] * 50)]
    [234]
    """

    name = "fhddm"
    bounded = True
    _kernel = _scan

    def __init__(
        self,
        *,
        sliding_window_size: int = 100,
        confidence_level: float = 0.000001,
        short_window_size: int | None = None,
        direction: Watched = "down",
    ) -> None:
        size = whole("sliding_window_size", sliding_window_size)
        short = 0 if short_window_size is None else whole("short_window_size", short_window_size, 1, size)
        doubt = math.log(1 / fraction("confidence_level", confidence_level))
        constants = [
            size,
            math.sqrt(doubt / (2 * size)),
            short,
            math.sqrt(doubt / (2 * short)) if short else 0.0,
            watched(direction),
        ]
        self._begin(locals(), constants, numbers=8, cells=size)
