"""State from the changelog: read committed, from the position RocksDB holds to the end, by position."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.identity import REBUILD, StateMismatch
from streams.settings import EngineSettings
from streams.store import OverlayStore

log = logging.getLogger(__name__)


async def restore(
    settings: EngineSettings, stage: str, partition: int, store: OverlayStore, wanted: Callable[[], bool]
) -> int:
    """Bring one partition's RocksDB up to the end of its changelog; returns the number of records applied.

    Commit markers take up offsets, so that the end is reached by position, not by the last record's offset. `wanted`
    is asked between fetches: a partition lost meanwhile stops the restore. Raises `StateMismatch`.
    """
    tp = TopicPartition(settings.changelog(stage), partition)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_poll_records=10_000,
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
    restored = 0
    while wanted() and (position := await consumer.position(tp)) < end:
        for records in (await consumer.getmany(tp, timeout_ms=100)).values():
            changes = ((record.key, record.value) for record in records)
            store.write_committed(tp.partition, changes, records[-1].offset + 1)
            restored += len(records)
    if wanted() and position > store.position(tp.partition):
        store.write_committed(tp.partition, (), position)  # past the last commit marker
    return restored
