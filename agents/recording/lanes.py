"""The order of a recording. Pure: records come in as they are read from Kafka, and go out in order.

A lane is one partition of one stage's inputs, ordered by the stage's cuts, or one partition of a topic that no stage's
cuts tell of. Within a lane the order is exact; between lanes, which share no state, it is that of the timestamps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace

from agents.recording.items import Item, SourceRecord, TimePassed
from schemas.internal import Run
from streams.cuts import is_cut, runs_of
from streams.origin import forwarded_from

Limits = Mapping[tuple[str, int], tuple[int, int]]
"""By topic and partition, the offsets [begin, end) that are wanted."""

#: What a record takes in memory beside its value.
_OVERHEAD = 300


@dataclass
class _Input:
    """One topic of a lane: what has been read and not passed on; all offsets below `position` have been looked at."""

    position: int
    ended: bool = False
    size: int = 0
    records: deque[SourceRecord] = field(default_factory=deque)

    def append(self, record: SourceRecord) -> None:
        self.records.append(record)
        self.size += _OVERHEAD + len(record.value or b"")

    def pop(self) -> SourceRecord:
        record = self.records.popleft()
        self.size -= _OVERHEAD + len(record.value or b"")
        return record


class Lane:
    """One partition of some topics, in order.

    `positions`: by topic, the offset to begin with. `stage`: whose cuts, on `internal`, which is one of the topics,
    tell the order; empty if no cuts do. `next_cut`: as in `Positions.cuts`. `limits`: forwarded copies of records that
    lie outside of them are left out, and so are ticks before the first record and after the last.
    """

    def __init__(
        self,
        partition: int,
        positions: Mapping[str, int],
        stage: str = "",
        internal: str = "",
        next_cut: tuple[int, int] = (0, 0),
        limits: Limits | None = None,
    ) -> None:
        self.partition, self.stage, self._internal, self._limits = partition, stage, internal, limits
        self._inputs = {topic: _Input(position) for topic, position in positions.items()}
        self._cut, self._runs_done = next_cut
        self._cuts: deque[tuple[int, deque[Run]]] = deque()
        self._begun, self._ticks = limits is None, list[Item]()
        self._timestamp = 0

    @property
    def topics(self) -> list[str]:
        return list(self._inputs)

    @property
    def next_cut(self) -> tuple[int, int]:
        """The offset of the cut that comes next, and how many of its runs are done."""
        return self._cut, self._runs_done

    def positions(self) -> dict[str, int]:
        """By topic: what is below these offsets has been passed on, and need not be read again."""
        at = {topic: each.records[0].offset if each.records else each.position for topic, each in self._inputs.items()}
        if self._cuts:
            at[self._internal] = min(at[self._internal], self._cuts[0][0])
        return at

    def add(self, topic: str, records: Iterable[SourceRecord], position: int, ended: bool = False) -> None:
        """Take in records of one topic, in order. There are no others below `position`; `ended`: nor any beyond."""
        into = self._inputs[topic]
        for record in records:
            if topic != self._internal:
                into.append(record)
            elif is_cut(record):
                self._add_cut(record)
            elif self._is_wanted(record):
                into.append(record)
        into.position, into.ended = max(into.position, position), into.ended or ended

    def wants(self, topic: str, limit: int) -> bool:
        """Whether more of a topic is to be read: less than `limit` bytes of it wait, or nothing goes on without it."""
        into = self._inputs[topic]
        if into.ended:
            return False
        run = self._run()
        if run is None:
            return into.size < limit or topic == self._internal  # a cut comes next
        return into.size < limit or (topic == run.topic and not into.records)

    def peek(self) -> int | None:
        """The timestamp of what `take` would give; None if it is not known yet what comes next."""
        ready = self._ready()
        if isinstance(ready, _Input):
            return ready.records[0].timestamp
        return None if ready is None else self._timestamp

    def take(self) -> list[Item]:
        """What comes next: a record, with the ticks held back before it, or a tick; nothing if it is not known yet."""
        ready = self._ready()
        if ready is None:
            return []
        if isinstance(ready, _Input):
            record = ready.pop()
            items, self._ticks, self._begun = [*self._ticks, record], [], True
            self._timestamp = record.timestamp
            return items
        self._finish_run()
        tick = TimePassed(self.stage, self.partition, ready.ticks)
        if self._limits is None:
            return [tick]
        if self._begun:
            self._ticks.append(tick)
        return []

    def _ready(self) -> _Input | Run | None:
        """Where the next record is, or the run whose ticks come next."""
        while (run := self._run()) is not None:
            source = self._inputs.get(run.topic)
            if source is not None:
                if source.records and source.records[0].offset < run.end:
                    return source
                if not source.records and not source.ended and source.position < run.end:
                    return None
            if run.ticks:
                return run
            self._finish_run()
        if self._internal and not self._inputs[self._internal].ended:
            return None
        # No cut tells of these: no worker has processed them yet.
        return min((each for each in self._inputs.values() if each.records), key=_first_time, default=None)

    def _run(self) -> Run | None:
        """The run that comes next. Cuts that are done with are forgotten."""
        while self._cuts and not self._cuts[0][1]:
            self._cut, self._runs_done = self._cuts.popleft()[0] + 1, 0
        if not self._cuts:
            return None
        if self._cut != self._cuts[0][0]:
            self._cut, self._runs_done = self._cuts[0][0], 0
        return self._cuts[0][1][0]

    def _finish_run(self) -> None:
        self._cuts[0][1].popleft()
        self._runs_done += 1

    def _add_cut(self, record: SourceRecord) -> None:
        if record.offset < self._cut:
            return
        try:
            runs = deque(runs_of(record))
        except ValueError:  # no cut of ours; the stage skips it too
            return
        if record.offset == self._cut:
            for _ in range(min(self._runs_done, len(runs))):
                runs.popleft()
        self._cuts.append((record.offset, runs))

    def _is_wanted(self, record: SourceRecord) -> bool:
        if self._limits is None:
            return True
        try:
            origin = forwarded_from(record)
        except ValueError:
            return True
        if origin is None:
            return True
        begin, end = self._limits.get((origin.topic, origin.partition), (0, 0))
        return begin <= origin.offset < end


def _first_time(source: _Input) -> int:
    return source.records[0].timestamp


def merged(lanes: Sequence[Lane], may_come: Callable[[Lane], bool]) -> Iterator[Item]:
    """All that is known to come next, between lanes by timestamp, as far as no lane is waited for.

    `may_come`: whether more is on the way for a lane; one that has nothing ready holds up the others until it is not.
    """
    heap = []
    for number, lane in enumerate(lanes):
        if (at := lane.peek()) is not None:
            heap.append((at, number))
        elif may_come(lane):
            return
    heapify(heap)
    while heap:
        _, number = heap[0]
        lane = lanes[number]
        yield from lane.take()
        if (at := lane.peek()) is not None:
            heapreplace(heap, (at, number))
        elif may_come(lane):
            return
        else:
            heappop(heap)
