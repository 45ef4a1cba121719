"""What the passes of one step share: the model, the inputs, and what is collected of each series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, cast

import numpy as np

from agents.monitor.causes import cause_of
from agents.monitor.counts import Counts
from agents.monitor.idle import idle_due
from agents.monitor.outputs import Source
from agents.monitor.pending import Pending
from agents.monitor.plan import Plan, Plans
from agents.monitor.segments import Segments
from agents.monitor.state import Model, Series, Version, window_of
from agents.monitor.times import microseconds, time_in
from schemas.fields import EPOCH
from streams.run import EventRun
from streams.stage import Event, Input

#: Where a series is found in a step: its version (by identity), its metric and its segment (empty: the whole).
Key = tuple[int, str, str]


class Step:
    """One step over one model, or the part of it up to a retirement.

    It refers to none of the passes, so that nothing of a step outlives it: there is no cycle for the collector.
    """

    def __init__(self, model: Model, inputs: Sequence[Input], plans: Plans) -> None:
        self.state, self.parts = model
        self.inputs: Final = inputs
        self.plans: Final = plans
        self.counts: Final = Counts(self.state.counts)
        self.segments: Final = Segments(model, plans.segment_limit)
        self.pending: Final[dict[Key, Pending]] = {}
        #: What is forgotten, once everything is said: what is said may be of their windows.
        self.dropped_series: Final[list[Series]] = []
        self.dropped_versions: Final[list[Version]] = []
        #: The names of segments whose windows by event time were looked at.
        self.timed_segments: Final[set[str]] = set()
        #: Of ticks that completed windows: the model's time at which they were complete, in microseconds.
        self.moments: Final[dict[int, int]] = {}
        self._sources: dict[int, Source] = {}

    def pending_of(self, version: Version, metric: str, segment: str = "") -> Pending | None:
        """What this step has collected of a series; None if nothing came for it."""
        return self.pending.get((id(version), metric, segment))

    def series_of(self, version: Version) -> Iterator[tuple[str, str, Series]]:
        """(segment, metric, series) of all series of a version, those of the whole first."""
        yield from (("", metric, series) for metric, series in version.series.items())
        yield from self.segments.every(version)

    def latest_version(self, otherwise: str) -> Version:
        """The version seen last; one of this name, which is not kept, where there is none."""
        return self.state.versions[-1] if self.state.versions else Version(otherwise)

    def plan_of(self, metric: str) -> Plan:
        """What the settings ask of a metric of this model."""
        return self.plans.of(self.state.model, metric)

    def segment_plan(self, segment: str, metric: str) -> Plan | None:
        """What the settings ask of a series of a segment; None if they do not name it any more."""
        key = segment.partition("\0")[0]
        plans = self.plans.of_segments(self.state.model)
        return next((each.plan for each in plans if (each.key, each.metric) == (key, metric)), None)

    def time(self, index: int) -> int:
        """The event time of an input's record, in microseconds since the epoch."""
        inputs = self.inputs
        return (
            time_in(inputs, index) if isinstance(inputs, EventRun) else microseconds(cast(Event, inputs[index]).message)
        )

    def times(self, indices: Sequence[int]) -> list[int]:
        """The same of several."""
        inputs = self.inputs
        if isinstance(inputs, EventRun) and inputs.columns is not None:
            found: list[int] = inputs.columns.times[np.asarray(indices, np.intp)].tolist()
            return found
        return [self.time(index) for index in indices]

    def source(self, index: int) -> Source:
        """The record of an input, as outputs refer to it."""
        if index not in self._sources:
            event = self.inputs[index]
            assert isinstance(event, Event), "only records have a cause"
            self._sources[index] = Source(event.message.model_version, event.message.timestamp, cause_of(event))
        return self._sources[index]

    def time_of(self, index: int) -> datetime:
        """When an input had its consequences: the time of a record, or that at which a tick completed windows."""
        moment = self.moments.get(index)
        return self.source(index).time if moment is None else EPOCH + timedelta(microseconds=moment)

    def finish(self) -> None:
        """Delete what is kept of series and versions that were dropped, and write the segments that have changed."""
        self._keep_causes()
        for name in sorted(self.timed_segments & self.state.timed.keys()):
            self.state.timed[name].due = self._segment_due(name)
        for series in self.dropped_series:
            window_of(series, self.parts).discard()
        for version in self.dropped_versions:
            self.segments.discard(version)
        self.segments.write()

    def _keep_causes(self) -> None:
        """Of windows that time alone may complete, which record brought the last value."""
        for pending in self.pending.values():
            panes = pending.series.panes
            if panes is not None and pending.plan.idle and pending.newest is not None:
                cause = self.source(pending.newest).cause
                panes.cause = cause.event_id, cause.topic, cause.partition, cause.offset

    def _segment_due(self, name: str) -> int:
        """The segment's time at which a window is complete though no record comes; 0 if none will be."""
        dues = [
            due
            for version in self.state.versions
            if name in version.segments
            for metric, series in (self.segments.of(version, name) or {}).items()
            if (plan := self.segment_plan(name, metric)) and (due := idle_due(series, plan)) is not None
        ]
        return min(dues, default=0)
