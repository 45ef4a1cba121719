"""Publishes what people want: an action's records and its audit record in one transaction, or not at all."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from aiokafka import AIOKafkaProducer

from streams.clients import new_producer
from streams.security import Cluster
from streams.topic_log import PATIENCE, ToSend, partition_counts, send, started


class Publisher:
    """One producer, made when it is first needed. `transactional` is False for brokers that have no transactions:
    there the audit record, which comes first, is written first.
    """

    def __init__(self, servers: Cluster, prefix: str, *, transactional: bool) -> None:
        self._servers = servers
        # Of this process alone: two dashboards must not fence each other.
        self._identity = f"{prefix}dashboard-{secrets.token_hex(8)}" if transactional else None
        self._open = AsyncExitStack()
        self._producer: Any = None
        self._alone = asyncio.Lock()
        self._counts: dict[str, int] = {}

    async def publish(self, records: Sequence[ToSend]) -> None:
        """Write the records, in their order. Raises Kafka's errors, `TopicMissing`, `TimeoutError`; then none is there
        (without transactions: perhaps the first).
        """
        async with self._alone:
            try:
                await self._publish(records)
            except BaseException:
                await self._close()  # a producer that failed may be unusable: the next one begins anew
                raise

    async def close(self) -> None:
        """Close the producer."""
        async with self._alone:
            await self._close()

    async def _publish(self, records: Sequence[ToSend]) -> None:
        if unknown := {record.topic for record in records} - {*self._counts}:
            self._counts |= await partition_counts(self._servers, unknown)
        producer: AIOKafkaProducer = self._producer
        if producer is None:
            producer = new_producer(
                self._servers,
                acks="all",
                enable_idempotence=True,
                transactional_id=self._identity,
                transaction_timeout_ms=10_000,
            )
            self._producer = producer = await self._open.enter_async_context(started(producer))
        async with asyncio.timeout(PATIENCE):
            if self._identity is None:
                await self._send(producer, records)
                return
            async with producer.transaction():
                await self._send(producer, records)

    async def _send(self, producer: AIOKafkaProducer, records: Sequence[ToSend]) -> None:
        for record in records:
            await send(producer, record, self._counts[record.topic])

    async def _close(self) -> None:
        self._producer = None
        self._counts.clear()
        await self._open.aclose()
