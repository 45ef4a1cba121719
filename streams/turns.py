"""Batches in turns of the event loop, of about a second, so that no transaction expires meanwhile.

A backlog's batch holds whatever a fetch brings. Where a record costs some microseconds all of it is one turn. Where it
costs a hundred (detectors over large windows, messages that are decoded one by one), a turn of all would be longer than
a transaction lives, and its commit would fail each time it is tried again.
"""

from __future__ import annotations

from collections.abc import Iterator

from streams.batch import Batch

#: Seconds that a turn takes, about; the records of the shortest, for few records cost more each; and those of the
#: first, when nothing is known of them.
TURN_SECONDS, LEAST_RECORDS, FIRST_RECORDS = 1.0, 100, 10_000


class Turns:
    """Parts batches by what records of the same topic and partition cost the last time.

    Any parts give the same results. By partition, for one may have the model whose detector costs much.
    """

    def __init__(self) -> None:
        self._most: dict[tuple[str, int], int] = {}

    def of(self, batch: Batch) -> Iterator[Batch]:
        """The parts of a batch, each as long as what is known by then allows; at least one."""
        first, count = 0, len(batch.records)
        while not first or first < count:
            last = first + self._most.get((batch.topic, batch.partition), FIRST_RECORDS)
            yield batch.part(first, last)
            first = last

    def took(self, turn: Batch, seconds: float) -> None:
        """Note what a turn has taken."""
        records = max(len(turn.records), LEAST_RECORDS)
        most = int(records * TURN_SECONDS / max(seconds, 1e-6))
        self._most[turn.topic, turn.partition] = max(most, LEAST_RECORDS)
