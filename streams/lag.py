"""When to warn that a partition falls behind. Pure: the clock is the caller's."""

from __future__ import annotations

from collections.abc import Iterable

#: Seconds between two warnings about one partition.
WARNING_PERIOD = 60.0


#: A topic and a partition of it.
Place = tuple[str, int]


class LagWarnings:
    """Warns of what is more than `limit` offsets behind: when it gets there, once a minute, and when it is over."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._warned: dict[Place, float] = {}

    def due(self, now: float, lags: Iterable[tuple[str, int, int]]) -> list[str]:
        """The lines to log at `now`, in seconds of a steady clock; `lags` are (topic, partition, offsets behind)."""
        lines, seen = [], set()
        for topic, partition, lag in lags:
            place = (topic, partition)
            seen.add(place)
            warned = self._warned.get(place)
            if lag > self._limit and (warned is None or now - warned >= WARNING_PERIOD):
                self._warned[place] = now
                lines.append(f"{place[0]} [{place[1]}]: consumer lagged by {lag} records")
            elif lag <= self._limit and self._warned.pop(place, None) is not None:
                lines.append(f"{place[0]} [{place[1]}]: consumer caught up, {lag} records behind")
        self._warned = {place: at for place, at in self._warned.items() if place in seen}
        return lines
