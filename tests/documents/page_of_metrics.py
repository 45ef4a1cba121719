"""docs/metrics.md, from what a worker and the dashboard tell Prometheus."""

from __future__ import annotations

from typing import Any

from tests.documents.markdown import cell
from tests.documents.told import dashboard_metrics, worker_metrics

_HEAD = """# Metrics

For Prometheus. Of a worker at `/metrics` of its `metrics_address` ([settings](settings.md)), beside `/health/live` and
`/health/ready`; of the [dashboard](dashboard.md#metrics) at its own `/metrics`. Labels are names of stages, topics and
states, never models. What each alert rule of `deploy/prometheus/alerts.yml` means is in the [runbook](runbook.md).

Topics of [`[[inputs]]`](formats.md#kserve-and-seldon) are told as those of a stage `inputs`, whose checkpoints are its
transactions.
"""


def metrics_page() -> str:
    """The page."""
    parts = {"Workers": worker_metrics(), "The dashboard": dashboard_metrics()}
    return _HEAD + "".join(f"\n## {name}\n\n{_table(each)}" for name, each in parts.items())


def _table(families: list[Any]) -> str:
    rows = (f"| `{_named(each)}` | {each.type} | {_labels(each)} | {cell(each.documentation)} |\n" for each in families)
    return "| metric | kind | labels | |\n| --- | --- | --- | --- |\n" + "".join(rows)


def _named(family: Any) -> str:
    return f"{family.name}_total" if family.type == "counter" else str(family.name)


def _labels(family: Any) -> str:
    return ", ".join(f"`{name}`" for name in family._labelnames)
