"""A fixed limit with hysteresis: M of the newest N values beyond it fire, once, until values are back for good.

The "M of N" rule of process control and of alarm management (ISA-18.2: deadband and on-delay against chattering).
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from agents.drift.kernel import Kernel, note
from agents.drift.parameters import finite, whole
from agents.drift.stream_detector import StreamDetector

Side = Literal["up", "down"]

_LIMIT, _RECOVERY, _BREACHES, _OF, _SIGN = range(5)
_NEXT, _HELD, _TRIPPED, _BACK = range(4)


@Kernel
def _scan(values: Any, c: Any, s: Any, w: Any, found: Any, every: int) -> int:
    count = 0
    size = int(c[_OF])
    for index in range(len(values)):
        x, at = c[_SIGN] * values[index], int(s[_NEXT])
        breach = 1.0 if x > c[_LIMIT] else 0.0
        s[_HELD] += breach - w[at]
        w[at] = breach
        s[_NEXT] = (at + 1) % size
        s[_BACK] = s[_BACK] + 1.0 if x <= c[_RECOVERY] else 0.0
        if s[_BACK] >= size:
            s[_TRIPPED], s[_BACK] = 0.0, float(size)
        level = int(breach)
        if s[_TRIPPED] == 0.0 and s[_HELD] >= c[_BREACHES]:
            level, s[_TRIPPED] = 2, 1.0
        count = note(found, count, index, every, s, level, int(c[_SIGN]), values[index], c[_SIGN] * c[_LIMIT])
    return count


class Threshold(StreamDetector):
    """Fires where `breaches` of the newest `of` values lie beyond `limit`: below it, or with direction "up" above it.

    Then not again before `of` values in a row were at `recovery` or better, by default at the limit itself. Warns at
    each value that lies beyond. `statistic` is the value.

    >>> [index for index, v in Threshold(limit=0.8).update_many([0.9, 0.7, 0.9, 0.7, 0.7, 0.7]) if v.drift]
    [4]
    """

    name = "threshold"
    _kernel = _scan

    def __init__(
        self,
        *,
        limit: float = 0.8,
        breaches: int = 3,
        of: int = 5,
        recovery: float | None = None,
        direction: Side = "down",
    ) -> None:
        if direction not in get_args(Side):
            raise ValueError(f"direction: expected one of {', '.join(get_args(Side))}, got {direction!r}")
        sign = 1.0 if direction == "up" else -1.0
        edge, back = sign * finite("limit", limit), sign * (limit if recovery is None else finite("recovery", recovery))
        if back > edge:
            raise ValueError(f"recovery: expected a value that is not beyond limit ({limit}), got {recovery}")
        constants = [edge, back, whole("breaches", breaches, 1, of), whole("of", of), sign]
        self._begin(locals(), constants, numbers=4, cells=of)
