"""A stage over a recording that is ordered by its cuts: a processor for each partition, its order and its ticks.

What a worker forwarded is in the recording twice: where the fleet wrote it, and, as a copy, where it was processed.
What has no copy, for no worker had come so far, is forwarded here: at the end, or when very much waits for its copy.
Where models are spread over processes, each forwards what is misplaced of all models, so that as much waits in each,
and applies what is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from agents.backtest.gathered import BlockQueue, Gathered
from agents.backtest.share import ALL, Share
from agents.backtest.sources import RecordingBlock
from agents.recording.items import Item, Recorded, SourceRecord, TimePassed
from streams.decoding import decode_batch
from streams.origin import INTERNAL, ORIGIN_HEADERS, Origin, forwarded_from, without_origin
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import Forward, Headers, Output, Record
from streams.stage import Input, Stage

#: Records that wait to be applied together, of all partitions.
BATCH_RECORDS = 128_000

#: Records that may wait for their copy; the older half is then forwarded.
MOST_WAITING = 500_000


class RecordedStage:
    """Takes in a recording's items, in their order, and gives what the stage publishes."""

    def __init__(
        self,
        stage: Stage[Any],
        recorded: Recorded,
        applied: Callable[[Sequence[Input]], None] | None = None,
        share: Share = ALL,
    ) -> None:
        """`share`: whose records are applied; all are taken in."""
        self._stage, self._share = stage, share
        count = recorded.partitions_of(stage.name)
        self._name, self._internal = stage.name, recorded.topic_prefix + stage.name + INTERNAL
        self._topics = {recorded.topic_prefix + topic for topic in stage.topics}
        self._processors = [Processor(stage, number, count, MemoryTable(), applied) for number in range(count)]
        self._batches = [Gathered() for _ in range(count)]
        self._together = max(BATCH_RECORDS // count, 1)
        self._block: BlockQueue | None = None
        #: Misplaced records by where they were written, each as its copy would be.
        self._waiting: dict[Origin | Headers, SourceRecord] = {}
        #: Misplaced records whose copies were passed before they were done.
        self._early: set[Origin | Headers] = set()
        #: By partition of origin: below this offset no copy is waited for.
        self._forwarded = [0] * count
        #: Records that a fleet wrote.
        self.read = 0

    def add(self, item: Record | TimePassed) -> list[Output]:
        """Take an item in. What comes out belongs to the records so far, as far as they were not done yet."""
        if isinstance(item, TimePassed):
            return self._tick(item) if item.stage == self._name else []
        if item.topic == self._internal:
            if not self._is_due(item):
                return []
        elif item.topic in self._topics:
            self.read += 1
        else:
            return []
        batch = self._batches[item.partition]
        batch.append(item)
        return self._apply(item.partition) if len(batch) >= self._together else []

    def add_block(self, block: RecordingBlock) -> list[Output]:
        """Take a block in; the same as `add` of each of its items."""
        topics, count, outputs = frozenset(self._topics), len(self._batches), list[Output]()
        self._block = queue = BlockQueue(block, block.usual_on(topics, count), self._batches, self._together)
        self.read += queue.count
        for line, item in block.items_beside(topics, count):
            outputs += self._up_to(queue, line)
            if (partition := self._concerned(item)) is not None:
                queue.hand_over(partition, line)
                outputs += self.add(item)
                queue.expect(partition)
        outputs += self._up_to(queue, len(block))
        queue.hand_over_all(len(block))
        self._block = None
        return outputs

    def _up_to(self, queue: BlockQueue, line: int) -> list[Output]:
        """Apply the batches that are full before a line of the block."""
        outputs = list[Output]()
        while (partition := queue.full_before(line)) is not None:
            outputs += self._apply(partition)
            queue.expect(partition)
        return outputs

    def _concerned(self, item: Item) -> int | None:
        """The partition for which an item means something."""
        if isinstance(item, TimePassed):
            concerns = item.stage == self._name
        else:
            concerns = item.topic == self._internal or item.topic in self._topics
        # One below zero, which no recorder writes, counts from the end, as in a list.
        return item.partition % len(self._batches) if concerns else None

    def finish(self) -> list[Output]:
        """What comes out of the records not done yet, and of those whose copies never came."""
        outputs = [output for partition in range(len(self._batches)) for output in self._apply(partition)]
        return outputs + self._forward(len(self._waiting))

    def _tick(self, passed: TimePassed) -> list[Output]:
        outputs = self._apply(passed.partition)
        return outputs + self._published(self._processors[passed.partition].tick(passed.milliseconds))

    def _apply(self, partition: int) -> list[Output]:
        batch, self._batches[partition] = self._batches[partition], Gathered()
        if not batch:
            return []
        # Others' copies are left out here, so that batches end where those of one process do.
        records = batch.records(self._is_others if self._share.processes > 1 else None)
        decoded = decode_batch(self._stage, records)
        mine = self._share.of(decoded, misplaced_in=(partition, len(self._batches)))
        # Even of none: whether too much waits is asked as often as in one process.
        return self._published(self._processors[partition].apply(mine))

    def _published(self, outputs: Iterable[Output | Forward]) -> list[Output]:
        published = []
        for output in outputs:
            if isinstance(output, Output):
                published.append(output)
            elif output.key is not None:
                self._wait(output)
        if len(self._waiting) > MOST_WAITING:
            published += self._forward(MOST_WAITING // 2)
        return published

    def _wait(self, output: Forward) -> None:
        copy = SourceRecord(
            self._internal, output.partition, 0, output.timestamp, output.key, output.value, output.headers
        )
        origin = _written_at(copy)
        if origin in self._early:
            self._early.remove(origin)
        elif origin is not None:
            self._waiting[origin] = copy

    def _is_due(self, copy: Record) -> bool:
        """Whether a record of the internal topic is to be processed where it stands in the recording."""
        origin = _written_at(copy)
        if origin is None:
            return True
        if isinstance(origin, Origin) and self._is_forwarded(origin):
            return False
        if self._waiting.pop(origin, None) is None:
            self._early.add(origin)
        return True

    def _is_forwarded(self, origin: Origin) -> bool:
        """Whether what was written there is no longer waited for."""
        if origin.topic not in self._topics or origin.partition >= len(self._forwarded):
            return False
        return origin.offset < self._forwarded[origin.partition]

    def _is_others(self, record: Record) -> bool:
        """Whether this is a copy for another process: were it misplaced, each would make a dead letter of it."""
        try:
            if forwarded_from(record) is None:
                return False
            message = self._stage.decode(record.value, without_origin(record))
        except ValueError:
            return False  # as what cannot be decoded
        return message is not None and not self._share.has(message.model_name)

    def _forward(self, count: int) -> list[Output]:
        """Forward the records that wait longest to where they belong."""
        outputs = []
        if self._block is not None:
            self._block.hand_over_all(self._block.reached)
        for origin in list(self._waiting)[:count]:
            copy = self._waiting.pop(origin)
            if isinstance(origin, Origin):
                self._forwarded[origin.partition] = max(self._forwarded[origin.partition], origin.offset + 1)
            self._batches[copy.partition].append(copy)
        for partition in range(len(self._batches)):
            outputs += self._apply(partition)
            if self._block is not None:
                self._block.expect(partition)
        return outputs


def _written_at(copy: Record) -> Origin | Headers | None:
    """Where a copy's record was first written; None if it was not forwarded.

    Headers that no place on Kafka could have (an offset of 19 digits) stand for themselves: such a copy is matched with
    its record as any other, and where it is to be processed the stage says what is wrong with it.
    """
    try:
        return forwarded_from(copy)
    except ValueError:
        return tuple(header for header in copy.headers if header[0] in ORIGIN_HEADERS)
