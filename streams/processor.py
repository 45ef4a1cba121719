"""Runs a stage over one partition: decode, place, group by key, step, dead letter. Pure; live and in the backtest.

The table it writes to is any mapping of bytes: a Faust table's partition when live, a dict in a backtest.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from typing import Generic, TypeVar

from schemas.dead_letter import DeadLetter, dead_letter_of
from schemas.message import Message
from streams.partitioner import partition_of
from streams.records import Forward, Headers, Output, Record
from streams.stage import Event, Input, Origin, Stage, Tick

S = TypeVar("S")

#: Keys of the engine's own begin with NUL, which no model name may hold.
CLOCK_KEY = b"\0clock"

ORIGIN_TOPIC, ORIGIN_PARTITION, ORIGIN_OFFSET = "origin_topic", "origin_partition", "origin_offset"


def origin_of(record: Record) -> Origin | None:
    """Where a forwarded record was first written; None if its headers do not say. Raises ValueError for broken ones."""
    headers = dict(record.headers)
    if ORIGIN_TOPIC not in headers:
        return None
    try:
        topic, partition, offset = (headers[name].decode() for name in (ORIGIN_TOPIC, ORIGIN_PARTITION, ORIGIN_OFFSET))
        return Origin(topic, int(partition), int(offset))
    except (KeyError, ValueError) as problem:
        raise ValueError(
            f"headers {ORIGIN_TOPIC}, {ORIGIN_PARTITION}, {ORIGIN_OFFSET}: not as written here"
        ) from problem


def origin_headers(record: Record) -> Headers:
    """The record's headers with its origin added, for the forwarded copy."""
    origin = (
        (ORIGIN_TOPIC, record.topic.encode()),
        (ORIGIN_PARTITION, str(record.partition).encode()),
        (ORIGIN_OFFSET, str(record.offset).encode()),
    )
    return (*record.headers, *origin)


class Processor(Generic[S]):
    """One partition of one stage. Not safe to share between threads; every call leaves the table consistent."""

    def __init__(
        self,
        stage: Stage[S],
        partition: int,
        partitions: int,
        table: MutableMapping[bytes, bytes],
        applied: Callable[[Sequence[Input]], None] | None = None,
    ) -> None:
        """`applied` is told the inputs of each step that succeeded."""
        self._applied = applied
        self._stage, self._partition, self._partitions, self._table = stage, partition, partitions, table
        self._internal = f"{stage.name}-internal"
        self._clock = int(table.get(CLOCK_KEY, b"0"))
        self._deadlines: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []
        self._touched: set[str] = set()
        for key, state in self.states():
            self._wait(key, state)

    @property
    def waiting(self) -> bool:
        """Whether a key waits for time to pass; only then are ticks worth writing."""
        return bool(self._deadlines)

    def states(self) -> Iterable[tuple[str, S]]:
        """Every key of the partition with its state."""
        for key, data in list(self._table.items()):
            if not key.startswith(b"\0"):
                name = key.decode()
                yield name, self._stage.decode_state(name, data)

    def state(self, key: str) -> S:
        """The state of one key; a new one if the key is unknown."""
        data = self._table.get(key.encode())
        return self._stage.new_state(key) if data is None else self._stage.decode_state(key, data)

    def take_touched(self) -> set[str]:
        """The keys whose state changed since this was last asked."""
        touched, self._touched = self._touched, set()
        return touched

    def process(self, records: Iterable[Record]) -> list[Output | Forward]:
        """Apply records in their order within each key; what cannot be applied comes back as a dead letter."""
        outputs: list[Output | Forward] = []
        groups: dict[str, list[tuple[Record, Event]]] = {}
        for record in records:
            placed = self._place(record)
            if isinstance(placed, Event):
                groups.setdefault(placed.message.model_name, []).append((record, placed))
            elif placed is not None:
                outputs.append(placed)
        for key, group in groups.items():
            outputs += self._apply(key, group)
        return outputs

    def feed(self, message: Message) -> list[Output | Forward]:
        """Apply a message that this process made itself (a finished trial), as if it had been read."""
        event = Event(message, Origin("", self._partition, -1), self._clock)
        return self._step(message.model_name, [event])

    def tick(self, elapsed_ms: int) -> list[Output | Forward]:
        """Let time pass: advance the partition's tick clock and wake the keys whose deadline has come."""
        self._clock += elapsed_ms
        self._table[CLOCK_KEY] = str(self._clock).encode()
        outputs: list[Output | Forward] = []
        while self._queue and self._queue[0][0] <= self._clock:
            deadline, key = heapq.heappop(self._queue)
            if self._deadlines.get(key) == deadline:
                del self._deadlines[key]
                outputs += self._step(key, [Tick(self._clock)])
        return outputs

    def _place(self, record: Record) -> Event | Output | Forward | None:
        origin, forwarded = Origin(record.topic, record.partition, record.offset), None
        try:
            # Only the internal topic's headers are our own; those of a fleet say nothing about where a record was.
            if record.topic.endswith(self._internal) and (forwarded := origin_of(record)):
                origin = forwarded
            message = self._stage.decode(record.value, record.headers)
        except ValueError as problem:
            return self._dead_letter(record, origin, str(problem))
        if message is None:
            return None
        home = partition_of(message.model_name, self._partitions)
        if home == self._partition:
            return Event(message, origin, self._clock)
        if forwarded:
            reason = f"forwarded to partition {self._partition}, but {message.model_name!r} belongs to {home}"
            return self._dead_letter(record, origin, reason)
        key = message.model_name.encode()
        return Forward(self._internal, home, key, record.value, origin_headers(record), record.timestamp)

    def _apply(self, key: str, group: Sequence[tuple[Record, Event]]) -> list[Output | Forward]:
        """Step once for the whole group; if that raises, once for each, so that only the culprit is put aside."""
        try:
            return self._step(key, [event for _, event in group])
        except Exception as problem:  # noqa: BLE001 - a step may raise anything; the record is not lost
            if len(group) > 1:
                return [output for single in group for output in self._apply(key, [single])]
            record, event = group[0]
            reason = f"{self._stage.name} failed on this record: {type(problem).__name__}: {problem}"
            return [self._dead_letter(record, event.origin, reason)]

    def _step(self, key: str, inputs: Sequence[Input]) -> list[Output | Forward]:
        state, outputs = self._stage.step(self.state(key), inputs)
        data = self._stage.encode_state(state)
        if data is None:
            self._table.pop(key.encode(), None)
            self._deadlines.pop(key, None)
        else:
            self._table[key.encode()] = data
            self._wait(key, state)
        self._touched.add(key)
        if self._applied is not None:
            self._applied(inputs)
        return list(outputs)

    def _wait(self, key: str, state: S) -> None:
        deadline = self._stage.deadline(state)
        if deadline is None:
            self._deadlines.pop(key, None)
        elif self._deadlines.get(key) != deadline:
            self._deadlines[key] = deadline
            heapq.heappush(self._queue, (deadline, key))

    def _dead_letter(self, record: Record, origin: Origin, reason: str) -> Output:
        letter: DeadLetter = dead_letter_of(
            reason=reason,
            stage=self._stage.name,
            topic=origin.topic,
            partition=origin.partition,
            offset=origin.offset,
            timestamp=record.timestamp,
            key=record.key,
            value=record.value,
            headers=record.headers,
        )
        return Output("dead-letter", letter.model_name or None, letter)
