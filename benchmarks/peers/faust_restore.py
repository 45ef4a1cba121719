"""Stock Faust restores a table from its changelog: seconds from the worker's start until its tasks may run."""

from __future__ import annotations

import sys
import tempfile
import time
from typing import Any

import faust

from benchmarks.peers.job import BOOTSTRAP, GROUP, RECORDS, TOPIC, finish

app = faust.App(
    GROUP,
    broker=f"kafka://{BOOTSTRAP}",
    store="rocksdb://",
    datadir=tempfile.mkdtemp(),
    topic_partitions=2,
    topic_disable_leader=True,
    web_enabled=False,
)
source = app.topic(f"{TOPIC}-inputs", value_serializer="raw", partitions=2)
raw: Any = faust.Schema(key_serializer="raw", value_serializer="raw")
changelog = app.topic(TOPIC, key_serializer="raw", value_serializer="raw", partitions=2)
table = app.Table("states", partitions=2, schema=raw, key_type=bytes, value_type=bytes, changelog_topic=changelog)


async def nothing(stream: Any) -> None:
    """An agent, for without one nothing is assigned."""
    async for _ in stream:
        pass


async def restored() -> None:
    """Faust runs tasks once the tables are recovered."""
    finish(RECORDS, time.perf_counter() - begin)


app.agent(source)(nothing)
app.task(restored)

if __name__ == "__main__":
    begin = time.perf_counter()
    sys.argv = ["faust", "worker", "-l", "error"]
    app.main()
