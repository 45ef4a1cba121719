"""The metrics that a worker and the dashboard tell of, asked of their collectors while there is nothing to count."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from agents.dashboard.documents import Flow
from agents.dashboard.telemetry import DashboardCollector
from agents.telemetry import RunnerCollector
from streams.telemetry import EngineCollector
from tests.dashboard.memory import MemorySource


class _Flowing(MemorySource):
    """A dashboard's source that knows how fast records come."""

    def flow(self) -> Flow:
        return Flow(records_per_second=0.0, stages=[], seconds_ago=0.0)


def worker_metrics() -> list[Any]:
    """Metric families of a worker, runners' included."""
    no_stages, no_trials = SimpleNamespace(engines=dict, ready=False), SimpleNamespace(running=0)
    stages = EngineCollector(cast(Any, no_stages), "", lambda: 0.0)
    return [*stages.collect(), *RunnerCollector(cast(Any, no_trials), 0).collect()]


def dashboard_metrics() -> list[Any]:
    """Metric families of the dashboard."""
    return list(DashboardCollector(_Flowing()).collect())
