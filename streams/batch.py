"""What travels from the consumer to the engine."""

from __future__ import annotations

from dataclasses import dataclass

from streams.records import FetchedRecords


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
    records: FetchedRecords

    def since(self, position: int) -> FetchedRecords:
        """The records from a position on."""
        if position <= self.begin:
            return self.records
        kept = [record for record in self.records.parsed if record.offset >= position]
        return FetchedRecords(self.topic, self.partition, kept)

    def part(self, first: int, last: int) -> Batch:
        """Its records [first, last), with what lies before the first of all, and after the last."""
        records = self.records.parsed
        if first == 0 and last >= len(records):
            return self
        begin = records[first].offset if first else self.begin
        end = records[last].offset if last < len(records) else self.end
        return Batch(self.topic, self.partition, begin, end, self.records[first:last])
