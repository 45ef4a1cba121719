"""What travels from the consumer to the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import ConsumerRecord


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one partition between two positions: [begin, end).

    Positions, not the offsets of the records, say what a batch covers: transaction markers and compacted or aborted
    records take up offsets too, and a batch of nothing but those has no record at all.
    """

    topic: str
    partition: int
    begin: int
    end: int
    records: Sequence[ConsumerRecord]
