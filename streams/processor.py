"""Runs a stage over one partition: decode, place, group by key, step, dead letter. Pure; live and in the backtest.

The table it writes to holds bytes: a Faust table's partition when live, one in memory in a backtest.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

import numpy as np

from schemas.alerts import Alert
from schemas.columns.columns import ColumnGroups, Integers, MetricColumns, PerKind
from schemas.ids import output_id
from schemas.message import Message
from streams.dead_letters import set_aside
from streams.decoding import Decoded, decode_batch
from streams.origin import INTERNAL, Origin, forwarded_from, origin_of, with_origin
from streams.partitioner import partition_of
from streams.parts import Parts, Table
from streams.records import Forward, ListedRecords, Output, Record, RecordBatch
from streams.run import EventRun, Undecoded
from streams.stage import Compact, Event, Input, Stage, Tick
from streams.state_format import LaterFormat

S = TypeVar("S")

#: Keys of the engine's own begin with NUL, which no model name may hold; those of a key's parts have one in the middle.
CLOCK_KEY = b"\0clock"

#: Names the keys that wait for a tick, with a time at which to look when: not later than it is.
DUE_PREFIX = b"\0due\0"

#: Says that the keys above are kept; a table without it was written before they were.
FORMAT_KEY, FORMAT = b"\0format", b"2"


#: The time of an alert about a tick, where the caller tells none.
UNKNOWN_TIME = datetime(2000, 1, 1, tzinfo=UTC)

#: Fewer keys in columns are stepped one by one.
FEW_KEYS = 16

#: Characters that an alert keeps of what a step raised.
MESSAGE_LENGTH = 1_000


class TooManyFailures(RuntimeError):
    """Step after step raised: a fault of the stage, not of single records. Nothing of the batch is committed."""


class Processor(Generic[S]):
    """One partition of one stage. Not safe to share between threads; every call leaves the table consistent."""

    def __init__(
        self,
        stage: Stage[S],
        partition: int,
        partitions: int,
        table: Table,
        applied: Callable[[Sequence[Input]], None] | None = None,
        max_failures: int | None = None,
    ) -> None:
        """`applied` is told the inputs of each step that succeeded; `max_failures` steps in a row may raise."""
        self._applied = applied
        self._max_failures, self._failures = max_failures, 0
        self._stage, self._partition, self._partitions, self._table = stage, partition, partitions, table
        self._internal = stage.name + INTERNAL
        self._clock = int(table.get(CLOCK_KEY) or 0)
        self._deadlines: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []
        self._given_up: dict[str, int] = {}
        self._touched: list[bytes] = []
        self._is_at_home = PerKind(lambda kind: partition_of(kind.model_name, partitions) == partition, np.bool_)
        self._open()

    def _open(self) -> None:
        for name, due in list(self._table.scan(DUE_PREFIX)):
            self._deadlines[name[len(DUE_PREFIX) :].decode()] = int(due)
        if self._table.get(FORMAT_KEY) is None:
            for key, state in self.states():
                self._wait(key, self._stage.deadline(state))
            self._table[FORMAT_KEY] = FORMAT
        self._queue = [(due, key) for key, due in self._deadlines.items()]
        heapq.heapify(self._queue)

    @property
    def waiting(self) -> bool:
        """Whether a key waits for time to pass; only then are ticks worth writing."""
        return bool(self._deadlines)

    @property
    def next_due(self) -> int | None:
        """The tick clock's time, in milliseconds, before which no key is woken; None where none waits."""
        while self._queue and self._deadlines.get(self._queue[0][1]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def states(self) -> Iterable[tuple[str, S]]:
        """Every key of the partition with its state."""
        for name, data in self._table.scan(b""):
            if b"\0" not in name:
                yield name.decode(), self._stage.decode_state(name.decode(), data, self._parts(name))

    def state(self, key: str) -> S:
        """The state of one key; a new one if the key is unknown."""
        name = key.encode()
        return self._load(key, name, self._parts(name))

    def _parts(self, name: bytes) -> Parts:
        return Parts(self._table, _prefix(name))

    def _load(self, key: str, name: bytes, parts: Parts) -> S:
        data = self._table.get(name)
        return self._stage.new_state(key, parts) if data is None else self._stage.decode_state(key, data, parts)

    def take_touched(self) -> Sequence[bytes]:
        """The names of keys whose state changed since this was last asked; some come more than once."""
        touched, self._touched = self._touched, []
        return touched

    def process(self, records: Sequence[Record]) -> list[Output | Forward]:
        """Apply records in their order within each key; what cannot be applied comes back as a dead letter."""
        batch = records if isinstance(records, RecordBatch) else ListedRecords(records)
        return self.apply(decode_batch(self._stage, batch))

    def apply(self, decoded: Decoded) -> list[Output | Forward]:
        """The same for records that are decoded already."""
        records = decoded.records
        outputs: list[Output | Forward] = [
            self._dead_letter(records[place], reason) for place, reason in decoded.refused.items()
        ]
        for key, run in self._runs(self._without_encoded(decoded)):
            home = partition_of(key, self._partitions)
            outputs += self._apply(key, run) if home == self._partition else self._send_on(key, home, run)
        return outputs

    def _without_encoded(self, decoded: Decoded) -> Decoded:
        """What is left when states were stepped as they are written, where that can be."""
        steps, groups = self._stage.encoded_steps, decoded.columns
        if steps is None or self._applied is not None or not isinstance(groups, ColumnGroups) or len(groups) < FEW_KEYS:
            return decoded
        keys = groups.keys()
        places = self._alone(groups, keys, decoded)
        clocks = self._clocks_at(groups.places[groups.ends[places] - 1], decoded)
        done, get_many = list[int](), self._table.get_many
        for some in steps.step(
            groups,
            places,
            clocks,
            lambda which: get_many([keys[at] for at in which]),
            lambda which: get_many([_prefix(keys[at]) + name for at, name in which]),
        ):
            changed = [keys[place] for place in some.places]
            self._table.update(dict(zip(changed, some.states, strict=True)))
            self._table.update({_prefix(keys[place]) + name: value for place, name, value in some.parts})
            self._touched += changed
            self._failures = 0
            done += some.places
        return replace(decoded, columns=groups.only(np.delete(np.arange(len(groups)), done))) if done else decoded

    def _alone(self, groups: ColumnGroups, keys: Sequence[bytes], decoded: Decoded) -> Integers:
        """The places of groups that are at home here, and all that there is of their keys."""
        at_home = np.flatnonzero(self._is_at_home.of(groups))
        others = {name.encode() for name in self._given_up}
        others.update([message.model_name.encode() for message in decoded.messages])
        if len(set(keys)) < len(keys):
            others.update([key for key, count in Counter(keys).items() if count > 1])
        return np.array([at for at in at_home.tolist() if keys[at] not in others], np.int64) if others else at_home

    def _clocks_at(self, places: Integers, decoded: Decoded) -> Integers:
        """The tick clock at records in their batch."""
        if decoded.clocks is None:
            return np.full(len(places), self._clock)
        return np.array([decoded.clocks[place] for place in places.tolist()], np.int64)

    def _runs(self, decoded: Decoded) -> Iterator[tuple[str, EventRun]]:
        """The events of each key; keys in the order of their first events."""
        columns = list(decoded.columns)
        if not decoded.messages and len({each.kind.model_name for each in columns}) == len(columns):
            yield from ((each.kind.model_name, self._run_of(each, decoded)) for each in columns)
        else:
            yield from self._mixed_runs(decoded).items()

    def _mixed_runs(self, decoded: Decoded) -> dict[str, EventRun]:
        found = dict[str, tuple[list[int], list[Message | Compact]]]()
        for place, message in zip(decoded.places, decoded.messages, strict=True):  # the hot loop
            try:
                places, messages = found[message.model_name]
            except KeyError:
                places, messages = found[message.model_name] = [], []
            places.append(place)
            messages.append(message)
        runs = {key: EventRun(self._clock, decoded.records, *run, decoded.clocks) for key, run in found.items()}
        if not decoded.columns:
            return runs
        for columns in decoded.columns:
            key, run = columns.kind.model_name, self._run_of(columns, decoded)
            runs[key] = runs[key].merged(run) if key in runs else run
        return dict(sorted(runs.items(), key=lambda item: item[1].places[0]))

    def _run_of(self, columns: MetricColumns, decoded: Decoded) -> EventRun:
        messages = Undecoded(self._stage.decode, decoded.records, columns.places)
        return EventRun(self._clock, decoded.records, columns.places, messages, decoded.clocks, columns)

    def feed(self, message: Message) -> Sequence[Output | Forward]:
        """Apply a message that this process made itself (a finished trial), as if it had been read."""
        event = Event(message, Origin("", self._partition, -1), self._clock)
        return self._step(message.model_name, [event])

    def tick(self, elapsed_ms: int, now: datetime = UNKNOWN_TIME) -> list[Output | Forward]:
        """Let time pass: advance the partition's tick clock and wake the keys whose deadline has come.

        A key whose step raises is not woken for that deadline again while this partition is open, and an alert with the
        time `now` tells of it; its state is as before. Raises `TooManyFailures` as `process` does.
        """
        self._clock += elapsed_ms
        self._table[CLOCK_KEY] = str(self._clock).encode()
        outputs: list[Output | Forward] = []
        while self._queue and self._queue[0][0] <= self._clock:
            deadline, key = heapq.heappop(self._queue)
            if self._deadlines.get(key) == deadline:
                outputs += self._wake(key, now)
        return outputs

    def _wake(self, key: str, now: datetime) -> Sequence[Output | Forward]:
        """A tick for a key whose time has come; one that has asked for a later time since then waits on."""
        deadline = self._stage.deadline(self.state(key))
        self._forget(key)
        if deadline is None or deadline > self._clock:
            self._wait(key, deadline)
            return []
        try:
            return self._step(key, [Tick(self._clock)])
        except Exception as problem:  # noqa: BLE001 - a step may raise anything; the others' time goes on
            self._given_up[key] = deadline
            self._note_due(key, deadline)  # for whoever opens the partition next
            reason = f"{self._stage.name} failed when time passed: {type(problem).__name__}: {problem}"
            self._count_failure(reason)
            return [self._failed_tick(key, reason, now)]

    def _failed_tick(self, key: str, reason: str, now: datetime) -> Output:
        """There is no record to put aside: the tick itself is in the cut."""
        alert = Alert(
            event_id=output_id(self._stage.name, key, "", "", "", "", "tick_failed", self._clock),
            model_name=key,
            timestamp=now,
            kind="tick_failed",
            severity="error",
            state="firing",
            message=reason[:MESSAGE_LENGTH],
        )
        return Output("alerts", key, alert)

    def _send_on(self, key: str, home: int, run: EventRun) -> list[Output | Forward]:
        """To the partition where the key's state lives; once, for what is still misplaced then never arrives."""
        return [self._forward(key, home, run.record(index)) for index in range(len(run))]

    def _forward(self, key: str, home: int, record: Record) -> Output | Forward:
        if forwarded_from(record):
            reason = f"forwarded to partition {self._partition}, but {key!r} belongs to {home}"
            return self._dead_letter(record, reason)
        return Forward(self._internal, home, key.encode(), record.value, with_origin(record), record.timestamp)

    def _apply(self, key: str, run: EventRun) -> Sequence[Output | Forward]:
        """Step once for the whole run; if that raises, once for each, so that only the culprit is put aside."""
        try:
            return self._step(key, run)
        except (TooManyFailures, LaterFormat):
            raise
        except Exception as problem:  # noqa: BLE001 - a step may raise anything; the record is not lost
            if len(run) > 1:
                return [output for at in range(len(run)) for output in self._apply(key, run[at : at + 1])]
            reason = f"{self._stage.name} failed on this record: {type(problem).__name__}: {problem}"
            self._count_failure(reason)
            return [self._dead_letter(run.record(0), reason)]

    def _count_failure(self, reason: str) -> None:
        self._failures += 1
        if self._max_failures is not None and self._failures > self._max_failures:
            raise TooManyFailures(f"{self._failures} steps in a row failed; the last: {reason}")

    def _step(self, key: str, inputs: Sequence[Input]) -> Sequence[Output | Forward]:
        name = key.encode()
        parts = self._parts(name)
        state, outputs = self._stage.step(self._load(key, name, parts), inputs)
        # Whatever may raise comes first: a step that did not succeed must leave nothing behind.
        data, deadline = self._stage.encode_state(state), self._stage.deadline(state)
        parts.write()
        if data is None:
            self._delete(name)
        else:
            self._table[name] = data
        self._wait(key, None if data is None else deadline)
        self._touched.append(name)
        self._failures = 0
        if self._applied is not None:
            self._applied(inputs)
        return outputs

    def _delete(self, name: bytes) -> None:
        for part in [part for part, _ in self._table.scan(name + b"\0")]:
            del self._table[part]
        if name in self._table:
            del self._table[name]

    def _wait(self, key: str, deadline: int | None) -> None:
        """Look at the key at its deadline; a time that is noted already and comes first is good enough."""
        noted = self._deadlines.get(key)
        if deadline is None:
            if noted is not None:
                self._forget(key)
        elif self._given_up.get(key) == deadline:
            return
        elif noted is None or deadline < noted:
            self._deadlines[key] = deadline
            self._note_due(key, deadline)
            heapq.heappush(self._queue, (deadline, key))

    def _note_due(self, key: str, deadline: int) -> None:
        self._table[DUE_PREFIX + key.encode()] = str(deadline).encode()

    def _forget(self, key: str) -> None:
        del self._deadlines[key]
        del self._table[DUE_PREFIX + key.encode()]

    def _dead_letter(self, record: Record, reason: str) -> Output:
        try:
            origin = origin_of(record)
        except ValueError:  # of a header that says nothing
            origin = None
        return set_aside(record, reason, self._stage.name, origin)


def _prefix(name: bytes) -> bytes:
    """What the keys of a key's parts begin with."""
    return name + b"\0"
