"""What a stage has done in this process, counted once a checkpoint, so that it costs a record nothing. Pure.

Numbers only grow, until the process ends: whoever reads them takes differences.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from streams.records import Forward, Output

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of a duration, in seconds; a transaction usually takes 7 to 25 ms."""


@dataclass(slots=True)
class Durations:
    """How often something took how long: `buckets` has one count for each of `BOUNDS`, and one for what took longer."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def note(self, seconds: float) -> None:
        """It took so long once more."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class Tally:
    """One stage. `records` and `outputs` (by topic) are those of checkpoints that succeeded.

    `newest` is the time of the newest record that was processed, in milliseconds since the epoch; 0 before the first.
    """

    records: int = 0
    outputs: Counter[str] = field(default_factory=Counter)
    transactions: Durations = field(default_factory=Durations)
    checkpoints: Durations = field(default_factory=Durations)
    failures: int = 0
    newest: int = 0

    def committed(
        self, records: int, outputs: Iterable[Output | Forward], transaction: float, checkpoint: float
    ) -> None:
        """A checkpoint succeeded; both durations are in seconds, that of the transaction is part of the other."""
        self.records += records
        self.outputs.update(output.topic for output in outputs)
        self.transactions.note(transaction)
        self.checkpoints.note(checkpoint)
