"""Down-sampling of a series while it streams by, so that no extreme is lost and memory stays bounded.

Values are numbered, and buckets of `width` values begin at multiples of it. Of each bucket the first and the last row
are kept, and those where the value, or the window's mean, is least and greatest: M4 (Jugel, Jerzak, Hackenbroich,
Markl: "M4: A Visualization-Oriented Time Series Data Aggregation", 2014) for two lines at once. Rows are kept as they
are, nothing is averaged. A series of which a few rows for each bucket are all rows is kept whole. When there are too
many buckets their width doubles; as the extremes of two buckets are those of the rows kept of both, what is kept
follows from all values and the final width alone, not from how they arrived.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.windows import Floats

#: A row: number of the value in its series (from 0), event time in milliseconds since the epoch, the value, mean and
#: standard deviation of the window that it is the newest of.
NUMBER, TIME, VALUE, MEAN, STD = range(5)

#: See `longest_step`.
GAP: Final = 12

Rows = NDArray[np.float64]

#: As long as there are at most so many rows for each bucket, all are kept.
WHOLE: Final = 4


def rows_of(first: int, times: Floats, values: Floats, means: Floats, stds: Floats) -> Rows:
    """Rows, shape (n, 5), of columns of n; `first` numbers the first one."""
    return np.column_stack((np.arange(first, first + len(values), dtype=np.float64), times, values, means, stds))


def extremes(rows: Rows, width: int) -> Rows:
    """Those of the rows (at least one, in order of their number) that stand for their bucket of `width` numbers."""
    buckets = rows[:, NUMBER] // width
    starts = np.flatnonzero(np.diff(buckets, prepend=-1.0))
    kept = [starts, np.append(starts[1:], len(rows)) - 1]
    lengths = np.diff(np.append(starts, len(rows)))
    for column in (VALUE, MEAN):
        for extreme in (np.minimum, np.maximum):
            reached = rows[:, column] == np.repeat(extreme.reduceat(rows[:, column], starts), lengths)
            places = np.flatnonzero(reached)
            kept.append(places[np.unique(buckets[places], return_index=True)[1]])
    standing: Rows = rows[np.unique(np.concatenate(kept))]
    return standing


def in_time(rows: Rows) -> Rows:
    """The rows in order of event time; of equal times in the order in which they came."""
    ordered: Rows = rows[np.argsort(rows[:, TIME], kind="stable")]
    return ordered


def longest_step(rows: Rows) -> float:
    """Milliseconds between rows (in order of time) beyond which nothing came in between, so that no line joins them.

    That is `GAP` times the mean step between different times: of random (Poisson) arrivals none in 100,000 is longer.
    """
    times = np.unique(rows[:, TIME])
    return GAP * float(times[-1] - times[0]) / max(1, len(times) - 1)


class Sample:
    """What is kept of one series: all rows, or of at most `capacity` buckets (at least 1) at most six each.

    `width` is that of the buckets, a power of two; 1 while all rows are kept.
    """

    def __init__(self) -> None:
        self.width = 1
        self.count = 0
        self._rows: Rows = np.empty((0, 5))

    def add(self, rows: Rows, capacity: int) -> None:
        """Take in the rows that come next, numbered on from `count`."""
        if len(rows):
            self.count += len(rows)
            self._rows = np.concatenate((self._rows, rows))
            self.shrink(capacity)

    def shrink(self, capacity: int) -> None:
        """Widen the buckets until there are at most `capacity`."""
        if self.count > WHOLE * capacity:
            while -(-self.count // self.width) > capacity:
                self.width *= 2
            self._rows = extremes(self._rows, self.width)

    @property
    def rows(self) -> Rows:
        """The rows kept, in order of their number."""
        return self._rows
