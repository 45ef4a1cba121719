"""What the passes of one step share: the model, the inputs, and what is collected of each series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, cast

from agents.monitor.causes import cause_of
from agents.monitor.counts import Counts
from agents.monitor.outputs import Source
from agents.monitor.pending import Pending
from agents.monitor.plan import Plan, Plans
from agents.monitor.segments import Segments
from agents.monitor.state import Model, Series, Version, window_of
from agents.monitor.times import microseconds, time_in
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

    def time(self, index: int) -> int:
        """The event time of an input's record, in microseconds since the epoch."""
        inputs = self.inputs
        return (
            time_in(inputs, index) if isinstance(inputs, EventRun) else microseconds(cast(Event, inputs[index]).message)
        )

    def source(self, index: int) -> Source:
        """The record of an input, as outputs refer to it."""
        if index not in self._sources:
            event = self.inputs[index]
            assert isinstance(event, Event), "only records have a cause"
            self._sources[index] = Source(event.message, cause_of(event))
        return self._sources[index]

    def finish(self) -> None:
        """Delete what is kept of series and versions that were dropped, and write the segments that have changed."""
        for series in self.dropped_series:
            window_of(series, self.parts).discard()
        for version in self.dropped_versions:
            self.segments.discard(version)
        self.segments.write()
