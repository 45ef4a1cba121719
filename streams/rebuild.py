"""Makes a stage's state anew from the records that are there: no state, and offsets at their beginning."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, for_code
from faust.types import TP

from streams.checks import locked_folder
from streams.clients import new_admin, new_consumer
from streams.grants import Grant
from streams.identity import TOPICS_KEY, remember
from streams.metadata import describe_topics
from streams.origin import INTERNAL
from streams.outbox import CommitOffsets, PlainOutbox, TransactionalOutbox
from streams.permissions import NotPermitted, denied
from streams.settings import EngineSettings
from streams.topics import create_topics, wanted_topics

#: Seconds until a deleted topic is gone.
_GONE_TIMEOUT = 30.0

#: Seconds until a group's coordinator answers, and between two questions.
_COORDINATOR_TIMEOUT, _PAUSE = 20.0, 0.1

#: States of a consumer group without members.
_NOBODY = ("Empty", "Dead", "")


class WorkerActive(RuntimeError):
    """A worker of the stage is in its group."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """From where the next worker reads, by topic: one offset a partition."""

    stage: str
    offsets: Mapping[str, Sequence[int]]


async def rebuild(settings: EngineSettings, stage: str, topics: Sequence[str], replication_factor: int) -> Rebuilt:
    """Delete a stage's state, on Kafka and in this data folder; `topics` are its inputs without prefix.

    The next worker reads each input from its beginning, and the internal topic from its end: what was forwarded is
    forwarded again. Raises `WorkerActive`, `DataFolderUnfit`, `TopicsUnfit`, `NotPermitted`, KafkaError.
    """
    inputs, internal = [settings.topic(name) for name in topics], settings.topic(f"{stage}{INTERNAL}")
    folder = settings.data_dir / stage
    with locked_folder(folder):
        async with _admin(settings) as admin:
            await _check_nobody(admin, settings.group(stage))
            await _delete(admin, settings, settings.changelog(stage))
        wanted = wanted_topics(settings, [stage])
        await create_topics(settings.connection, wanted, replication_factor=replication_factor)
        async with _consumer(settings, stage) as consumer:
            described = await describe_topics(consumer._client, [*inputs, internal, settings.changelog(stage)])
            beginnings = await consumer.beginning_offsets(_places(inputs, settings.partitions))
            ends = await consumer.end_offsets(_places([internal], settings.partitions))
            offsets = {TP(*place): at for place, at in (beginnings | ends).items()}
            state = {TOPICS_KEY: remember(described)}
            for partition in range(settings.partitions):
                own = {tp: at for tp, at in offsets.items() if tp.partition == partition}
                await _begin(settings, stage, partition, state, own, _committer(consumer))
        shutil.rmtree(folder)
    found = {name: [offsets[TP(name, p)] for p in range(settings.partitions)] for name in (*inputs, internal)}
    return Rebuilt(stage, found)


async def _begin(
    settings: EngineSettings,
    stage: str,
    partition: int,
    state: Mapping[bytes, bytes],
    offsets: Mapping[TP, int],
    commit: CommitOffsets,
) -> None:
    """One checkpoint without any model; it fences whoever still has the partition."""
    exactly_once = settings.delivery == "exactly_once"
    outbox = (
        TransactionalOutbox(settings, stage, partition)
        if exactly_once
        else PlainOutbox(settings, stage, partition, commit)
    )
    await outbox.start()
    try:
        await outbox.publish(state, [], offsets)
    finally:
        await outbox.stop()


async def _check_nobody(admin: AIOKafkaAdminClient, group: str) -> None:
    for error, name, state, _, _, members, *_ in await _described(admin, group):
        if error:
            raise for_code(error)(name)
        if state not in _NOBODY:
            raise WorkerActive(
                f"a worker is active: group {name} has {len(members)} members ({state}). Stop it first; one that was"
                " killed leaves the group after session_timeout"
            )


async def _described(admin: AIOKafkaAdminClient, group: str) -> list[tuple[Any, ...]]:
    """What the group's coordinator says; a new cluster makes its coordinators when they are first asked for."""
    async with asyncio.timeout(_COORDINATOR_TIMEOUT):
        while True:
            try:
                (answer,) = await admin.describe_consumer_groups([group])
            except KafkaError as problem:
                if not problem.retriable:
                    raise
            else:
                if not any(for_code(each[0]).retriable for each in answer.groups):
                    return list(answer.groups)
            await asyncio.sleep(_PAUSE)


async def _delete(admin: AIOKafkaAdminClient, settings: EngineSettings, topic: str) -> None:
    if topic not in await admin.list_topics():
        return
    for name, error in (await admin.delete_topics([topic])).topic_error_codes:
        if for_code(error) is TopicAuthorizationFailedError:
            raise NotPermitted(denied(settings.connection, [Grant("topic", "Delete", name)]))
        if error:
            raise for_code(error)(name)
    async with asyncio.timeout(_GONE_TIMEOUT):
        while topic in await admin.list_topics():  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(_PAUSE)


def _places(topics: Sequence[str], partitions: int) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for topic in topics for partition in range(partitions)]


def _committer(consumer: AIOKafkaConsumer) -> CommitOffsets:
    async def commit(offsets: Mapping[TP, int]) -> bool:
        places = {TopicPartition(*tp): at for tp, at in offsets.items()}
        consumer.assign(list(places))
        try:
            await consumer.commit(places)
        except KafkaError:
            return False
        return True

    return commit


@asynccontextmanager
async def _admin(settings: EngineSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = new_admin(settings.connection)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def _consumer(settings: EngineSettings, stage: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Of the stage's group, without being a member: it subscribes to nothing."""
    consumer = new_consumer(settings.connection, group_id=settings.group(stage), enable_auto_commit=False)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
