"""Monitor and retrain policy over recorded events: the steps of the live worker, chained without a broker.

Time is the events' own: while a model waits for time to pass, its stage's tick clock advances before each record by how
far the record's event time is ahead of the greatest seen so far. So a heartbeat that stays away is noticed as soon as
another event shows that time went by.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

from agents.backtest.sources import EventLike, records_of
from agents.monitor.stage import MonitorStage
from agents.retrain.stage import RetrainStage
from agents.settings import Settings
from schemas.compact import CompactMetrics
from schemas.message import InvalidMessage, Message
from schemas.metrics import Heartbeat
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import Forward, Output, Record, StoredRecord
from streams.stage import Compact, Stage

#: The topics that the result tells. Statuses are none of them: there is one for every change of every window.
WANTED = frozenset({"drift", "retrain", "alerts", "dead-letter"})

#: Records, and bytes, applied together where no model waits for time to pass.
BATCH_RECORDS, BATCH_BYTES = 5_000, 2**20


@dataclass
class BacktestResult:
    """What the stages said about the events; messages as JSON objects, as they would be on the topics.

    A dead letter's `topic` is the file's name, its `offset` the line.
    """

    events_read: int = 0
    dead_letters: list[dict[str, Any]] = field(default_factory=list)
    drift: list[dict[str, Any]] = field(default_factory=list)
    retrain: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    elapsed_seconds: float = 0.0
    events_per_second: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The document that `visutility backtest --json` prints."""
        return asdict(self)


def backtest(events: Iterable[EventLike], settings: Settings | None = None) -> BacktestResult:
    """Run `events` (see `agents.backtest.source.EventLike`), in their order, through monitor and retrain policy.

    The events are read one by one and never all held; the messages that come out are. Raises what reading raises.
    """
    settings = settings or Settings()
    begin = time.perf_counter()
    replay = _Replay(settings)
    for record in records_of(events):
        replay.add(record)
    result = replay.finish()
    result.elapsed_seconds = time.perf_counter() - begin
    result.events_per_second = result.events_read / result.elapsed_seconds
    return result


class _Lane:
    """One stage over one partition that holds every model, and its event time."""

    def __init__(self, stage: Stage[Any]) -> None:
        self._stage = stage
        self._processor = Processor(stage, partition=0, partitions=1, table=MemoryTable())
        self._now: int | None = None
        self._batch: list[StoredRecord] = []
        self._bytes = 0

    def add(self, record: Record) -> list[Output | Forward]:
        """Take a record in. What comes out belongs to the records before it, as far as they were not done yet."""
        message = self._message(record)
        event_time = None if message is None else _milliseconds(message)
        outputs = self._pass_time(event_time)
        written = event_time if event_time is not None else record.timestamp or self._now or 0
        self._batch.append(_stored(record, written))
        # A heartbeat makes its model wait, and from then on each step in time counts.
        self._bytes += len(record.value or b"")
        full = len(self._batch) >= BATCH_RECORDS or self._bytes >= BATCH_BYTES
        if full or isinstance(message, Heartbeat):
            outputs += self.finish()
        return outputs

    def finish(self) -> list[Output | Forward]:
        """What comes out of the records taken in and not done yet."""
        batch, self._batch, self._bytes = self._batch, [], 0
        return self._processor.process(batch) if batch else []

    def _pass_time(self, event_time: int | None) -> list[Output | Forward]:
        """Let time go by up to this record; as in a worker, ticks are written only where a key waits for them."""
        outputs: list[Output | Forward] = []
        if event_time is not None and (self._now is None or event_time > self._now):
            if self._now is not None and self._processor.waiting:
                outputs = self.finish() + self._processor.tick(event_time - self._now)
            self._now = event_time
        return outputs

    def _message(self, record: Record) -> Message | Compact | None:
        try:
            return self._stage.decode(record.value, record.headers)
        except InvalidMessage:
            return None


def _milliseconds(message: Message | Compact) -> int:
    if isinstance(message, CompactMetrics):
        return round(message.timestamp * 1000)
    full = message if isinstance(message, Message) else message.full()
    return round(full.timestamp.timestamp() * 1000)


def _stored(record: Record, timestamp: int) -> StoredRecord:
    return StoredRecord(
        record.topic, record.partition, record.offset, timestamp, record.key, record.value, record.headers
    )


class _Replay:
    """The two stages in a row, and what came out of them by topic."""

    def __init__(self, settings: Settings) -> None:
        self._monitor = _Lane(MonitorStage(settings))
        self._retrain = _Lane(RetrainStage(settings))
        self._offsets: defaultdict[str, count[int]] = defaultdict(count)
        self._published: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._read = 0

    def add(self, record: Record) -> None:
        self._read += 1
        self._take(self._monitor.add(record))

    def finish(self) -> BacktestResult:
        for lane in (self._monitor, self._retrain):
            while outputs := lane.finish():
                self._take(outputs)
        out = self._published
        return BacktestResult(self._read, out["dead-letter"], out["drift"], out["retrain"], out["alerts"])

    def _take(self, outputs: Sequence[Output | Forward]) -> None:
        """Publish, and hand on what the policy reads: findings, and what it sends to itself (requests for a budget)."""
        for output in outputs:
            if not isinstance(output, Output) or output.message is None:
                continue
            if output.topic in WANTED:
                self._published[output.topic].append(output.message.to_dict())
            if output.topic in ("drift", "retrain-internal"):
                self._take(self._retrain.add(self._on_topic(output.topic, output.key, output.message)))

    def _on_topic(self, topic: str, key: str | None, message: Message) -> StoredRecord:
        timestamp = round(message.timestamp.timestamp() * 1000)
        name = None if key is None else key.encode()
        return StoredRecord(topic, 0, next(self._offsets[topic]), timestamp, name, message.to_json())
