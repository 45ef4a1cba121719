"""The dashboard's own metrics: what the topics say, counted.

visutility_models{state}                  models by state
visutility_alerts_firing                  alerts that have not been resolved
visutility_messages_total{type,outcome}   messages on drift, retrain, trials, alerts, dead-letter, audit, status and
                                          models since the past that was read at the start; `outcome` is the state
                                          or severity that they tell of
visutility_stage_lag_records{stage}       records of all partitions that wait for a stage
visutility_metrics_records_per_second     what comes in
visutility_dashboard_pages                pages that follow the changes
visutility_dashboard_ready                1 while all topics have been read and Kafka answers
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from agents.dashboard.listing import Listing
from agents.dashboard.source import Source

Family = CounterMetricFamily | GaugeMetricFamily


class DashboardCollector(Collector):
    """Tells of a source's view."""

    def __init__(self, source: Source) -> None:
        self._source, self._listing = source, Listing()

    def collect(self) -> Iterator[Family]:
        view, flow = self._source.view, self._source.flow()
        models = GaugeMetricFamily("visutility_models", "Models by state.", labels=["state"])
        for state, count in self._listing.page(view, datetime.now(UTC), limit=0).states.items():
            models.add_metric([state], count)
        yield models
        firing = sum(len(model.firing) for model in view.models.values())
        yield GaugeMetricFamily("visutility_alerts_firing", "Alerts that have not been resolved.", value=firing)
        messages = CounterMetricFamily(
            "visutility_messages",
            "Messages on the topics that the dashboard reads; outcome is the state or severity that they tell of.",
            labels=["type", "outcome"],
        )
        for labels, count in view.taken.items():
            messages.add_metric(labels, count)
        yield messages
        lag = GaugeMetricFamily(
            "visutility_stage_lag_records", "Records of all partitions that wait for a stage.", labels=["stage"]
        )
        for stage in flow.stages:
            if stage.lag is not None:
                lag.add_metric([stage.stage], stage.lag)
        yield lag
        if (rate := flow.records_per_second) is not None:
            yield GaugeMetricFamily(
                "visutility_metrics_records_per_second", "Records that come in on metrics.", value=rate
            )
        yield GaugeMetricFamily(
            "visutility_dashboard_pages", "Pages that follow the changes.", value=len(self._source.changes)
        )
        ready = float(not self._source.troubles())
        yield GaugeMetricFamily(
            "visutility_dashboard_ready", "1 while all topics have been read and Kafka answers, else 0.", value=ready
        )


def registry_of(source: Source) -> CollectorRegistry:
    """What `/metrics` tells."""
    registry = CollectorRegistry()
    registry.register(DashboardCollector(source))
    return registry
