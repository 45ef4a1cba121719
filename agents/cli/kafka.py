"""The little that commands do on Kafka themselves: read a topic to its end, publish a few records."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from agents.cli.failures import BadInput, CommandFailed
from agents.cli.options import brokers_of
from agents.settings import Settings
from schemas.cloudevents import headers_of
from schemas.message import Message
from streams.partitioner import partition_of

T = TypeVar("T")

#: Seconds without an answer after which a command gives up.
PATIENCE = 20.0


@dataclass(frozen=True)
class ToSend:
    """A record to publish. `topic` is the name on Kafka, prefix included."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def message_record(settings: Settings, topic: str, message: Message) -> ToSend:
    """A message of our own for a topic of the registry, keyed by its model."""
    return ToSend(
        settings.topic_prefix + topic, message.model_name.encode(), message.to_json(), list(headers_of(message))
    )


def run(work: Coroutine[Any, Any, T], settings: Settings) -> T:
    """Run something on Kafka; its troubles become `CommandFailed`, in one line."""
    # The client reports each failed attempt; the command says once what they came to.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    brokers = settings.bootstrap_servers
    try:
        return asyncio.run(work)
    except KafkaConnectionError:
        raise CommandFailed(f"no Kafka answers at {brokers}") from None
    except KafkaError as problem:
        raise CommandFailed(f"Kafka at {brokers}: {type(problem).__name__}: {problem}") from None
    except TimeoutError:
        raise CommandFailed(f"Kafka at {brokers} did not answer in {PATIENCE:.0f} s") from None


async def publish(settings: Settings, records: Iterable[ToSend]) -> None:
    """Publish records, each on the partition of its key as Java's clients place it; return when all are written.

    Raises BadInput if one of the topics does not exist: asking a broker to write there might create it.
    """
    to_send = list(records)
    partitions = await _partitions(settings, {record.topic for record in to_send})
    async with _started(AIOKafkaProducer(bootstrap_servers=brokers_of(settings), acks="all")) as producer:
        async with asyncio.timeout(PATIENCE):
            for record in to_send:
                await producer.send_and_wait(
                    record.topic,
                    record.value,
                    key=record.key,
                    partition=_place(record.key, partitions[record.topic]),
                    headers=list(record.headers),
                )


def _place(key: bytes | None, partitions: int) -> int | None:
    """A key that is text is placed as text; None leaves the choice to the client, which hashes bytes the same way."""
    try:
        return None if key is None else partition_of(key.decode(), partitions)
    except UnicodeDecodeError:
        return None


async def read_all(settings: Settings, topic: str) -> AsyncIterator[ConsumerRecord]:
    """Every committed record of a topic (its name without prefix), up to the end as it is now."""
    name = settings.topic_prefix + topic
    count = (await _partitions(settings, {name}))[name]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=brokers_of(settings),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    async with _started(consumer):
        places = [TopicPartition(name, number) for number in range(count)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        # By position: commit markers use up offsets, so the last record is not at the end minus one.
        while unread := [place for place in places if await consumer.position(place) < ends[place]]:
            async with asyncio.timeout(PATIENCE):
                batches = await consumer.getmany(*unread, timeout_ms=500)
            for place, batch in batches.items():
                for record in batch:
                    if record.offset < ends[place]:
                        yield record


async def _partitions(settings: Settings, topics: set[str]) -> dict[str, int]:
    """How many partitions each topic has. Raises BadInput for one that does not exist."""
    async with _started(AIOKafkaAdminClient(bootstrap_servers=brokers_of(settings))) as admin:
        existing = set(await admin.list_topics())
        if missing := sorted(topics - existing):
            raise BadInput(f"no topic {missing[0]} at {settings.bootstrap_servers}; visutility topics create makes it")
        described = await admin.describe_topics(sorted(topics)) if topics else []
    return {each["topic"]: len(each["partitions"]) for each in described}


C = TypeVar("C", AIOKafkaProducer, AIOKafkaConsumer, AIOKafkaAdminClient)


@asynccontextmanager
async def _started(client: C) -> AsyncIterator[C]:
    try:
        async with asyncio.timeout(PATIENCE):
            await client.start()
        yield client
    finally:
        await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())
