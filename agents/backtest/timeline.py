"""Where a model's events lie: their numbers and times, so that labels and alarms can be put beside each other.

An event is a record with figures (`metrics`, `validation_score`), each single outcome of an `outcomes` record, or a
late `label`; other records have no number. Numbers count the events of one model, from 0. Time does not run backwards:
an event that is older than the one before it has that one's time.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from agents.monitor.times import microseconds
from schemas.compact import CompactMetrics, CompactOutcomes
from schemas.fields import EPOCH
from schemas.message import Message
from schemas.metrics import Label, Metrics, Outcomes, ValidationScore
from streams.origin import Origin, origin_of
from streams.run import EventRun
from streams.stage import Compact, Event, Input

_MICROSECOND: Final = timedelta(microseconds=1)


class Timeline:
    """The events of one model. Keeps 24 bytes a record, and 8 for each outcome that has a time of its own."""

    def __init__(self) -> None:
        self._ends, self._times = array("q"), array("q")
        self._items: dict[int, array[int]] = {}
        self._places: dict[tuple[str, int], tuple[array[int], array[int]]] = {}

    def add(self, origin: Origin, time_us: int, count: int, item_times: Sequence[int] | None = None) -> None:
        """A record of `count` events, with its time in microseconds since the epoch, and those of its events."""
        latest = self._times[-1] if self._times else min(time_us, *(item_times or (time_us,)))
        if item_times:
            self._items[len(self._times)] = times = array("q", item_times)
            for index, item in enumerate(times):
                times[index] = latest = max(latest, item)
        offsets, numbers = self._places.setdefault((origin.topic, origin.partition), (array("q"), array("q")))
        if not offsets or origin.offset > offsets[-1]:
            offsets.append(origin.offset)
            numbers.append(len(self._times))
        self._times.append(max(latest, time_us))
        self._ends.append(len(self) + count)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def event_of(self, alarm: Mapping[str, Any]) -> int | None:
        """The event at which a `drift_detected` was told: the last of its record, for before it nobody could know.

        None if the record has no events, or was not seen.
        """
        cause = alarm["cause"]
        offsets, numbers = self._places.get((cause["topic"], cause["partition"]), (array("q"), array("q")))
        at = bisect_left(offsets, cause["offset"])
        if at == len(offsets) or offsets[at] != cause["offset"]:
            return None
        return self._ends[numbers[at]] - 1

    def first_since(self, time: datetime) -> int:
        """The number of the first event that is not before `time`; how many events there are if there is none."""
        return self._bisected(time, bisect_left)

    def first_after(self, time: datetime) -> int:
        """The number of the first event after `time`; how many events there are if there is none."""
        return self._bisected(time, bisect_right)

    def _bisected(self, time: datetime, bisect: Callable[[Sequence[int], int], int]) -> int:
        sought = (time - EPOCH) // _MICROSECOND
        record = bisect(self._times, sought)
        if record == len(self._times):
            return len(self)
        items = self._items.get(record)
        return (self._ends[record - 1] if record else 0) + (bisect(items, sought) if items is not None else 0)

    def time_of(self, event: int) -> datetime:
        """The time of an event; of numbers beyond the last (before the first) event, the last's (the first's)."""
        event = min(max(event, 0), len(self) - 1)
        record = bisect_right(self._ends, event)
        items = self._items.get(record)
        at = self._times[record] if items is None else items[event - (self._ends[record - 1] if record else 0)]
        return EPOCH + at * _MICROSECOND


class Timelines(dict[str, Timeline]):
    """The timeline of each model, by name; an observer of a backtest's steps."""

    def __call__(self, inputs: Sequence[Input]) -> None:
        """Take in the inputs of a step of the monitor."""
        if isinstance(inputs, EventRun) and inputs.columns is not None:
            timeline = self._of(inputs.columns.kind.model_name)
            for index, time in enumerate(inputs.columns.times.tolist()):
                timeline.add(origin_of(inputs.record(index)), time, 1)
        elif isinstance(inputs, EventRun):
            for index, message in enumerate(inputs.messages):
                self._add(message, origin_of(inputs.record(index)))
        else:
            for each in inputs:
                if isinstance(each, Event):
                    self._add(each.message, each.origin)

    def _add(self, message: Message | Compact, origin: Origin) -> None:
        if isinstance(message, CompactMetrics):
            self._of(message.model_name).add(origin, microseconds(message), 1)
        elif isinstance(message, CompactOutcomes):
            self._of(message.model_name).add(origin, microseconds(message), len(message.y_true))
        elif isinstance(message, Metrics | ValidationScore | Label):
            self._of(message.model_name).add(origin, _microseconds(message.timestamp), 1)
        elif isinstance(message, Outcomes):
            times = None if message.timestamps is None else [_microseconds(time) for time in message.timestamps]
            self._of(message.model_name).add(origin, _microseconds(message.timestamp), len(message.y_true), times)

    def _of(self, model_name: str) -> Timeline:
        return self[model_name] if model_name in self else self.setdefault(model_name, Timeline())


def _microseconds(time: datetime) -> int:
    return (time - EPOCH) // _MICROSECOND
