"""The values of each series of a recording, decoded once, and any rule's alarms over them as the monitor has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agents.backtest.labels import Label
from agents.backtest.timeline import Timeline, Timelines
from agents.monitor.plan import Plans
from agents.monitor.readings import readings
from agents.monitor.state import Series
from agents.monitor.watching import found_in
from agents.settings import MonitorRule, Settings
from schemas.message import Message
from schemas.metrics import Label as LateLabel
from streams.run import EventRun
from streams.stage import Compact, Event, Input
from streams.windows import CountWindow, Floats, WindowHead


@dataclass(frozen=True, slots=True)
class Stretch:
    """One version's values of a metric, and the event (of the model) at which each was known."""

    values: Floats
    events: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Labelled:
    """One metric of one model: its values by version, where its events lie, and its labels."""

    model: str
    metric: str
    stretches: Sequence[Stretch]
    timeline: Timeline
    labels: Sequence[Label]

    def alarms(self, rule: MonitorRule, until: int | None = None) -> list[int]:
        """The events at which the rule's detector finds drift, as in a backtest; only those before `until`.

        What comes after `until` is not looked at.
        """
        alarms: list[int] = []
        for stretch in self.stretches:
            count = len(stretch.values) if until is None else int(np.searchsorted(stretch.events, until))
            alarms += stretch.events[_fired(rule, self, stretch.values[:count])].tolist()
        return sorted(alarms)


def _fired(rule: MonitorRule, series: Labelled, values: Floats) -> list[int]:
    """Where the monitor finds drift in the values of a series that it sees for the first time."""
    plan = Plans(Settings(monitor=[rule])).of(series.model, series.metric)
    # Only a detector that judges by the window looks at its statistics.
    window = CountWindow(plan.size).push_many(values if plan.window_detector is not None else values[:0])
    found, _ = found_in(Series(WindowHead(plan.size)), plan, values, window)
    return [index for index, verdict in found if verdict.drift]


@dataclass(slots=True)
class Collected:
    """An observer of a backtest that keeps the values of one metric, by model and version, and the timelines.

    `late` counts labels that came by themselves: what the monitor joins is not kept.
    """

    metric: str
    plans: Plans
    late: int = 0
    timelines: Timelines = field(default_factory=Timelines)
    _values: dict[tuple[str, str], tuple[list[float], list[int]]] = field(default_factory=dict)

    def __call__(self, inputs: Sequence[Input]) -> None:
        """Take in the inputs of a step of the monitor."""
        if isinstance(inputs, EventRun):
            for index in range(len(inputs)):
                self._take(inputs[index : index + 1], inputs.messages[index])
        else:
            for each in inputs:
                if isinstance(each, Event):
                    self._take([each], each.message)

    def _take(self, one: Sequence[Input], message: Message | Compact) -> None:
        self.timelines(one)
        full = message if isinstance(message, Message) else message.full()
        self.late += isinstance(full, LateLabel)
        name = full.model_name
        for metric, values in readings(full, False, self.plans.of_outcomes(name), self.plans.of_scores(name)):
            if metric == self.metric:
                kept, events = self._values.setdefault((full.model_name, full.model_version), ([], []))
                kept.extend(values)
                events += [len(self.timelines[full.model_name]) - 1] * len(values)

    def stretches(self) -> dict[str, list[Stretch]]:
        """What was collected, by model."""
        by_model: dict[str, list[Stretch]] = {}
        for (model, _), (values, events) in sorted(self._values.items()):
            stretch = Stretch(np.array(values, dtype=np.float64), np.array(events, dtype=np.int64))
            by_model.setdefault(model, []).append(stretch)
        return by_model
