"""Monitor and retrain policy over recorded events: the steps of the live worker, chained without a broker.

First the monitor over everything that was recorded, in batches (`agents.backtest.lane`); then the policy over what the
monitor found, in the order of event time. So neither the size of batches nor how models are spread over processes
changes anything of what comes out.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from agents.backtest.baselines import load_baselines
from agents.backtest.in_drift import TimeInDrift
from agents.backtest.lane import Lane
from agents.backtest.recorded import RecordedStage
from agents.backtest.result import BacktestResult, as_objects, in_source_order, in_time_order
from agents.backtest.share import ALL, Share
from agents.backtest.sources import (
    EventLike,
    Item,
    LineRecords,
    Many,
    RecordedLines,
    RecordingBlock,
    Source,
    SourceError,
    SourceRecord,
    TimePassed,
    records_of,
)
from agents.monitor.stage import MonitorStage
from agents.retrain.budget import RetrainCandidate
from agents.retrain.stage import RetrainStage
from agents.settings import Settings
from schemas.dead_letter import DeadLetter
from schemas.message import Message
from schemas.status import ModelStatus
from streams.origin import INTERNAL
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import Forward, ListedRecords, Output, Record, RecordBatch, StoredRecord
from streams.stage import Input

#: Records, and bytes, applied together; more hardly gain anything.
BATCH_RECORDS: Final = 20_000
BATCH_BYTES: Final = 4 * 2**20

#: Records applied together where they are in columns, and the bytes that one usually has.
_MOST_RECORDS: Final = 10**6
_USUAL_BYTES: Final = BATCH_BYTES // BATCH_RECORDS

#: Bytes to be read for which the column decoder is loaded first, and seconds to wait for it, which may be compiled.
_WORTH_LOADING: Final = 40 * 2**20
_LOADING_SECONDS: Final = 4.0

Observer = Callable[[Sequence[Input]], None]
"""Told the inputs of each of the monitor's steps that succeeded."""


@dataclass
class Findings:
    """What the monitor said. `events_read` counts records."""

    events_read: int = 0
    drift: list[Message] = field(default_factory=list)
    alerts: list[Message] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    in_drift: TimeInDrift = field(default_factory=TimeInDrift)

    def keep(self, outputs: Iterable[Output | Forward]) -> None:
        """Keep what is wanted; of statuses, of which there are very many, how long models are in drift."""
        for output in outputs:
            if isinstance(output, Forward) or output.message is None:
                continue
            if isinstance(output.message, DeadLetter):
                self.dead_letters.append(output.message)
            elif output.topic == "drift":
                self.drift.append(output.message)
            elif output.topic == "alerts":
                self.alerts.append(output.message)
            elif isinstance(output.message, ModelStatus):
                self.in_drift.take(output.message)

    def add(self, other: Findings) -> None:
        """Of another process, which read the same events and had other models."""
        self.events_read = max(self.events_read, other.events_read)
        self.drift += other.drift
        self.alerts += other.alerts
        self.dead_letters += other.dead_letters
        self.in_drift.add(other.in_drift)


def backtest(
    events: Iterable[EventLike | Item],
    settings: Settings | None = None,
    *,
    observer: Observer | None = None,
    processes: int = 1,
) -> BacktestResult:
    """Run `events`, in their order, through monitor and retrain policy.

    The events are read one by one and never all held; the messages that come out are. With several `processes` each
    reads and decodes the events by itself, so that all have the same time, and runs the monitor for the models that are
    its own: `events` must be something that can be iterated again, such as a `Source` or a list, and there is no
    `observer`. Raises what reading raises, and ValueError for `processes` that cannot be.
    """
    settings = settings or Settings()
    begin = time.perf_counter()
    if processes == 1:
        (found,) = monitor(events, [settings], observer)
    else:
        from agents.backtest.spread import monitor_in_processes

        if observer is not None:
            raise ValueError("processes: expected 1 where an observer is told of each step")
        found = monitor_in_processes(events, settings, processes)
    result = _decided(found, settings)
    _note_time([result], begin)
    return result


def compare_settings(
    events: Iterable[EventLike | Item], settings: Sequence[Settings], *, observer: Observer | None = None
) -> list[BacktestResult]:
    """What `backtest` gives for each of these settings, in one pass: events are read once.

    They are decoded once, too, but for a recording in the order of its cuts. The times are those of all together.
    `observer` is told the steps under the first settings. Raises what reading raises.
    """
    begin = time.perf_counter()
    findings = monitor(events, settings, observer)
    results = [_decided(found, each) for found, each in zip(findings, settings, strict=True)]
    _note_time(results, begin)
    return results


def _note_time(results: Sequence[BacktestResult], begin: float) -> None:
    elapsed = time.perf_counter() - begin
    for result in results:
        result.elapsed_seconds, result.events_per_second = elapsed, result.events_read / elapsed


def monitor(
    events: Iterable[EventLike | Item],
    settings: Sequence[Settings],
    observer: Observer | None = None,
    share: Share = ALL,
) -> list[Findings]:
    """Run the monitor over the events, under each of the settings, for the models of a `share`: all of them."""
    recorded = events.recorded if isinstance(events, Source) else None
    stages = [MonitorStage(each, load_baselines(each)) for each in settings]
    observers = [observer, *[None] * (len(stages) - 1)]
    if isinstance(events, Source) and events.size >= _WORTH_LOADING:
        for stage in stages if recorded is not None else stages[:1]:  # else one decodes for all
            stage.hasten(_LOADING_SECONDS)
    many: Iterable[EventLike | Item | Many] = events
    if isinstance(events, Source) and _is_worth_blocks(events):
        many = events.batches()
    try:
        if recorded is not None and MonitorStage.name in recorded.ordered_by:
            return _as_recorded(
                [RecordedStage(stage, recorded, each, share) for stage, each in zip(stages, observers, strict=True)],
                many,
            )
        lanes = [_lane(*each, share) for each in zip(stages, settings, observers, strict=True)]
        return _in_lanes(lanes, _batches(many))
    except SourceError:
        if recorded is not None and many is not events:
            for _ in events:  # raises for the first line that is none of a recording, and names it
                pass
        raise


def _is_worth_blocks(source: Source) -> bool:
    """Whether to read a source many lines at a time: of a recording, what does so is to be loaded first."""
    return source.recorded is None or source.size >= _WORTH_LOADING


def _lane(stage: MonitorStage, settings: Settings, observer: Observer | None, share: Share) -> Lane:
    idle = [rule.window.idle for rule in settings.monitor if rule.window.idle is not None]
    patience = min([settings.heartbeat_timeout, *idle])
    return Lane(stage, patience // timedelta(milliseconds=1), observer, bool(idle), share)


def _as_recorded(stages: Sequence[RecordedStage], events: Iterable[EventLike | Item | Many]) -> list[Findings]:
    """What the stages find in a recording that is ordered by their cuts."""
    findings, latest_ms = [Findings() for _ in stages], 0
    for item in records_of(events):
        # The many are told at a glance.
        if type(item) is not SourceRecord and isinstance(item, LineRecords):
            raise TypeError("expected the records of a recording, got lines")
        if isinstance(item, RecordingBlock):
            for found, stage in zip(findings, stages, strict=True):
                found.keep(stage.add_block(item))
            latest_ms = max(latest_ms, item.latest())
            item.release()
            continue
        for found, stage in zip(findings, stages, strict=True):
            if said := stage.add(item):
                found.keep(said)
        if not isinstance(item, TimePassed):
            latest_ms = max(latest_ms, item.timestamp)
    for found, stage in zip(findings, stages, strict=True):
        found.keep(stage.finish())
        found.events_read, found.in_drift.latest_ms = stage.read, latest_ms
    return findings


def _in_lanes(lanes: Sequence[Lane], batches: Iterable[RecordBatch]) -> list[Findings]:
    """What the lanes find in events whose order is their own. One decodes for all: no record depends on settings."""
    findings, most = [Findings() for _ in lanes], BATCH_RECORDS
    for records in batches:
        begin = 0
        while begin < len(records):
            batch = records[begin : begin + _together(records, most)]
            decoded = lanes[0].decode(batch)
            # Columns take little memory, and less time the more of a model come together. Messages as objects do not.
            most = _MOST_RECORDS if 2 * sum(map(len, decoded.columns)) > len(batch) else BATCH_RECORDS
            for found, lane in zip(findings, lanes, strict=True):
                found.keep(lane.take(decoded))
                found.events_read += len(batch)
            begin += len(batch)
            del batch, decoded
        if isinstance(records, LineRecords):
            records.release()
    for found, lane in zip(findings, lanes, strict=True):
        found.in_drift.latest_ms = lane.latest_ms
    return findings


def _together(records: RecordBatch, most: int) -> int:
    """How many of the records to apply together: `most`, but of long ones no more bytes than that usually is."""
    if not isinstance(records, LineRecords | RecordedLines):
        return most
    return max(min(most, len(records) * most * _USUAL_BYTES // max(records.size, 1)), 1)


def _batches(events: Iterable[EventLike | Item | Many]) -> Iterator[RecordBatch]:
    """The records, many at a time. Ticks count only where a recording is in the order of its cuts."""
    batch, size = list[Record](), 0
    for item in records_of(events):
        if isinstance(item, LineRecords | RecordingBlock):
            if batch:
                yield ListedRecords(batch)
                batch, size = [], 0
            if lines := item.records() if isinstance(item, RecordingBlock) else item:
                yield lines
        elif not isinstance(item, TimePassed):
            batch.append(item)
            size += len(item.value or b"")
            if len(batch) == BATCH_RECORDS or size >= BATCH_BYTES:
                yield ListedRecords(batch)
                batch, size = [], 0
    if batch:
        yield ListedRecords(batch)


def _decided(found: Findings, settings: Settings) -> BacktestResult:
    """What the retrain policy makes of the monitor's findings, and everything as one result."""
    drift = in_time_order(found.drift)
    said = _policy(drift, settings)
    letters = [letter for letter in said["dead-letter"] if isinstance(letter, DeadLetter)]
    return BacktestResult(
        events_read=found.events_read,
        dead_letters=as_objects(in_source_order(found.dead_letters + letters)),
        drift=as_objects(drift),
        retrain=as_objects(in_time_order(said["retrain"])),
        alerts=as_objects(in_time_order(found.alerts, said["alerts"])),
        seconds_in_drift=found.in_drift.seconds(),
    )


def _policy(drift: Sequence[Message], settings: Settings) -> dict[str, list[Message]]:
    """What the retrain policy says, by topic."""
    stage = RetrainStage(settings)
    processor = Processor(stage, partition=0, partitions=1, table=MemoryTable())
    said: dict[str, list[Message]] = defaultdict(list)
    internal = stage.name + INTERNAL

    def process(topic: str, messages: Sequence[Message]) -> None:
        for output in processor.process(list(_on_topic(topic, messages))):
            if isinstance(output, Output) and output.message is not None:
                said[output.topic].append(output.message)

    process("drift", drift)
    # With a budget, requests come as candidates first, on which one state decides in their order.
    candidates = [each for each in said[internal] if isinstance(each, RetrainCandidate)]
    candidates.sort(key=lambda each: (each.timestamp, each.request.model_name))
    process(internal, candidates)
    return said


def _on_topic(topic: str, messages: Iterable[Message]) -> Iterator[StoredRecord]:
    """The messages as the records that they are there."""
    for offset, message in enumerate(messages):
        timestamp = round(message.timestamp.timestamp() * 1000)
        yield StoredRecord(topic, 0, offset, timestamp, message.model_name.encode(), message.to_json())
