"""What a broker tells about topics: how many partitions, and the id that a topic made anew under its old name has not.

aiokafka's own request is of a version from before Kafka had such ids (2.8); this is version 10, as KIP-516 has it.
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from streams.identity import TopicOnBroker

#: Seconds for which an answer is asked for again and again, and the pause in between.
PATIENCE, PAUSE = 20.0, 0.2

_NO_ID = bytes(16)
_UNKNOWN_TOPIC, _DENIED = 3, 29


class _Uuid(AbstractType[bytes]):  # type: ignore[misc] # aiokafka has no types
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


class _Answer(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("in_sync", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_operations", Int32),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", CompactArray(("id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields))),
        ("create", Boolean),
        ("cluster_operations", Boolean),
        ("operations", Boolean),
        ("tags", TaggedFields),
    )


class _DescribeTopics(Request[_Question]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, names: Iterable[str], operations: bool = False) -> None:
        self._names, self._operations = list(names), operations

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class([(_NO_ID, name, {}) for name in self._names], False, False, self._operations, {})


async def describe_topics(client: AIOKafkaClient, names: Iterable[str]) -> dict[str, TopicOnBroker]:
    """The topics of these names that exist. Runs in the client's event loop; creates none. Raises KafkaError."""
    wanted = list(names)
    try:
        answer = await _asked(client, _DescribeTopics(wanted))
    except NotImplementedError:  # a broker from before version 10
        metadata = await client.fetch_all_metadata()
        counts = {name: metadata.partitions_for_topic(name) for name in wanted}
        return {name: TopicOnBroker(None, len(found)) for name, found in counts.items() if found}
    return {
        name: TopicOnBroker(None if uuid == _NO_ID else urlsafe_b64encode(uuid).rstrip(b"=").decode(), len(partitions))
        for error, name, uuid, _, partitions, *_ in answer.topics
        if not _is_unknown(error, name)
    }


async def allowed_on_topics(client: AIOKafkaClient, names: Iterable[str]) -> dict[str, int]:
    """What we may do with each topic, whether it exists or not: a bit for each of Kafka's operations, by its number.

    Raises KafkaError, and NotImplementedError for a broker from before Kafka 2.8.
    """
    answer = await _asked(client, _DescribeTopics(names, operations=True))
    return {name: 0 if error == _DENIED else allowed for error, name, *_, allowed, _ in answer.topics}


def _is_unknown(error: int, name: str) -> bool:
    if error not in (0, _UNKNOWN_TOPIC):
        raise for_code(error)(name)
    return error == _UNKNOWN_TOPIC


async def _asked(client: AIOKafkaClient, request: Request[Any]) -> Any:
    """Any broker's answer; a broker that is away is asked again, or another one."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if (node := client.get_random_node()) is not None:
                    return await client.send(node, request)
            except KafkaError as problem:
                if not problem.retriable:
                    raise
            await asyncio.sleep(PAUSE)
