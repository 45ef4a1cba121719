"""Stock Faust, one event at a time into a RocksDB table, as its documentation writes an agent."""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import faust

from benchmarks.peers.job import ALARMS, BOOTSTRAP, EMPTY, GROUP, THRESHOLD, TOPIC, Clock, z_score

app = faust.App(
    GROUP,
    broker=f"kafka://{BOOTSTRAP}",
    store="rocksdb://",
    datadir=tempfile.mkdtemp(),
    topic_partitions=2,
    topic_disable_leader=True,
    web_enabled=False,
)
source = app.topic(TOPIC, value_serializer="json", partitions=2)
alarms = app.topic(ALARMS, value_serializer="json", partitions=2)
windows = app.Table("windows", default=lambda: list(EMPTY), partitions=2)
clock = Clock()


async def watch(stream: Any) -> None:
    """The job."""
    async for message in stream:
        name = message["model_name"]
        window = windows[name]
        z = z_score(window, message["accuracy"])
        windows[name] = window
        if abs(z) > THRESHOLD:
            await alarms.send(key=name, value={"model_name": name, "z": z})
        clock.count()


app.agent(source)(watch)

if __name__ == "__main__":
    sys.argv = ["faust", "worker", "-l", "error"]
    app.main()
