"""State from the changelog: read committed, from the position RocksDB holds to the end, by position."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.clients import new_consumer
from streams.fetch import drain_parsed
from streams.identity import REBUILD, StateMismatch
from streams.records import Parsed
from streams.settings import EngineSettings
from streams.store import OverlayStore

log = logging.getLogger(__name__)

#: Bytes of one fetch, and records that are about enough for one write: the more at once, the less each costs.
FETCH_BYTES, BATCH_RECORDS = 8 * 2**20, 20_000

#: Seconds between two lines on how far a restore is.
PROGRESS_INTERVAL = 5.0


@dataclass
class Progress:
    """Says when it is time to tell; all times are of one steady clock, in seconds."""

    begun: float
    told: float = 0.0

    def is_due(self, now: float) -> bool:
        """Whether the last line, or the beginning, is long enough ago; if so, it counts as told."""
        if now - max(self.told, self.begun) < PROGRESS_INTERVAL:
            return False
        self.told = now
        return True


async def restore(
    settings: EngineSettings, stage: str, partition: int, store: OverlayStore, wanted: Callable[[], bool]
) -> int:
    """Bring one partition's RocksDB up to the end of its changelog; returns the number of records applied.

    Commit markers take up offsets, so that the end is reached by position, not by the last record's offset. `wanted`
    is asked between fetches: a partition lost meanwhile stops the restore. Raises `StateMismatch`.
    """
    tp = TopicPartition(settings.changelog(stage), partition)
    consumer = new_consumer(
        settings.connection,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    try:
        consumer.assign([tp])
        position, end = store.position(partition), (await consumer.end_offsets([tp]))[tp]
        begin = (await consumer.beginning_offsets([tp]))[tp]
        if position == 0 < begin:
            raise StateMismatch(
                f"{tp.topic} [{partition}] begins at {begin}: what lay before is gone, and state with it. {REBUILD}"
            )
        if position < begin:
            raise StateMismatch(
                f"{tp.topic} [{partition}] begins at {begin}, but the data folder has state up to {position}: what lies"
                f" between is gone. Remove {store.partition_path(partition)} to restore from the topic as it is now"
            )
        if position > end:
            raise StateMismatch(
                f"{tp.topic} [{partition}] ends at {end}, but the data folder has state up to {position}: the topic was"
                f" recreated or cut. Remove {store.partition_path(partition)} to restore from the topic as it is now"
            )
        consumer.seek(tp, max(position, begin))
        return await _read(consumer, tp, position, end, store, wanted)
    finally:
        await consumer.stop()


async def _read(
    consumer: AIOKafkaConsumer,
    tp: TopicPartition,
    position: int,
    end: int,
    store: OverlayStore,
    wanted: Callable[[], bool],
) -> int:
    restored, begin, progress = 0, position, Progress(asyncio.get_running_loop().time())
    while wanted() and (position := await consumer.position(tp)) < end:
        if progress.is_due(now := asyncio.get_running_loop().time()):
            share, rate = (position - begin) / (end - begin), restored / (now - progress.begun)
            log.info("%s [%d]: %.0f %% restored, %.0f records/s", tp.topic, tp.partition, 100 * share, rate)
        drain_parsed(consumer, BATCH_RECORDS)
        fetched: dict[TopicPartition, list[Parsed]] = await consumer.getmany(tp, timeout_ms=100)
        for records in fetched.values():
            changes = {record.key: record.value for record in records if record.key is not None}
            store.write_committed(tp.partition, changes.items(), records[-1].offset + 1)
            restored += len(records)
    if wanted() and position > store.position(tp.partition):
        store.write_committed(tp.partition, (), position)  # past the last commit marker
    return restored
