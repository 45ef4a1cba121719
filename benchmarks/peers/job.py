"""The job of every peer, with nothing but Python's own library, for each peer has its own environment.

For one record: append the accuracy to the model's window of the newest 500, kept in the peer's own state store; a value
more than six sample standard deviations from the mean is an alarm, which goes to a topic.
"""

from __future__ import annotations

import json
import math
import os
import time

WINDOW, MIN_SAMPLES, THRESHOLD = 500, 50, 6.0

BOOTSTRAP, TOPIC, GROUP = os.environ["BOOTSTRAP"], os.environ["TOPIC"], os.environ["GROUP"]
ALARMS = f"{TOPIC}-alarms"
RECORDS = int(os.environ["RECORDS"])

#: Sum and sum of squares; the values of the window follow, oldest first.
EMPTY = (0.0, 0.0)


def z_score(window: list[float], value: float) -> float:
    """Put `value` into `window` (which begins as EMPTY) and return its z-score; 0 while there are too few values."""
    window.append(value)
    window[0] += value
    window[1] += value * value
    if len(window) > WINDOW + 2:
        oldest = window.pop(2)
        window[0] -= oldest
        window[1] -= oldest * oldest
    count = len(window) - 2
    if count < MIN_SAMPLES:
        return 0.0
    variance = (window[1] - window[0] ** 2 / count) / (count - 1)
    return (value - window[0] / count) / math.sqrt(variance) if variance > 1e-18 else 0.0


class Clock:
    """Counts records, from the first on; at RECORDS it prints one JSON line and ends the process."""

    def __init__(self) -> None:
        self._done, self._begin = 0, 0.0

    def count(self, records: int = 1) -> None:
        """Say that so many more records are done."""
        self._begin = self._begin or time.perf_counter()
        self._done += records
        if self._done >= RECORDS:
            finish(self._done, time.perf_counter() - self._begin)


def finish(records: int, seconds: float) -> None:
    """Print the result and end at once, without the library's own goodbye."""
    os.write(1, (json.dumps({"records": records, "seconds": seconds}) + "\n").encode())
    os._exit(0)
