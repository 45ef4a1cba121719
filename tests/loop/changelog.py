"""What a monitor's changelog holds in the end."""

from __future__ import annotations

from agents.monitor.stage import MonitorStage
from agents.monitor.state import Model
from agents.settings import load_settings
from streams.parts import MemoryTable
from streams.processor import Processor
from tests.loop.driving import Cluster


def models_in(cluster: Cluster) -> dict[str, Model]:
    """The last state of each model, of all partitions: each model is in one of them."""
    last = dict(cluster.records("monitor-changelog"))
    table = MemoryTable({key: value for key, value in last.items() if key is not None and value is not None})
    return dict(Processor(MonitorStage(load_settings(cluster.config)), 0, 1, table).states())
