"""The little that commands do on Kafka themselves: read a topic to its end, publish a few records."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any, TypeVar

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from agents.cli.failures import BadInput, CommandFailed
from agents.cli.options import brokers_of
from agents.nearest import did_you_mean
from agents.settings import Settings
from schemas.cloudevents import headers_of
from schemas.message import InvalidMessage, Message
from schemas.topics import TOPICS
from streams import topic_log
from streams.diagnosis import told
from streams.topic_log import TopicMissing, ToSend

__all__ = ["ToSend", "message_record", "messages", "publish", "read_all", "run"]

T = TypeVar("T")


def message_record(settings: Settings, topic: str, message: Message) -> ToSend:
    """A message of our own for a topic of the registry, keyed by its model."""
    return ToSend(
        settings.topic_prefix + topic, message.model_name.encode(), message.to_json(), list(headers_of(message))
    )


def run(work: Coroutine[Any, Any, T], settings: Settings) -> T:
    """Run something on Kafka; its troubles become `CommandFailed`, in one line. A missing topic is `BadInput`."""
    # The client reports each failed attempt; the command says once what they came to.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    brokers = brokers_of(settings)
    try:
        return asyncio.run(work)
    except TopicMissing as problem:
        raise BadInput(f"{problem} at {brokers}{_remedy(problem.topic.removeprefix(settings.topic_prefix))}") from None
    except (KafkaError, TimeoutError) as problem:
        raise CommandFailed(told(problem, brokers)) from None


def _remedy(topic: str) -> str:
    """What to do about a topic that is not there, by its name without prefix."""
    is_ours = topic in TOPICS or topic.endswith(("-internal", "-changelog"))
    return "; visutility topics create makes it" if is_ours else did_you_mean(topic, TOPICS)


async def publish(settings: Settings, records: Iterable[ToSend]) -> None:
    """Publish records, each on the partition of its key as Java's clients place it; return when all are written."""
    await topic_log.publish(brokers_of(settings), records)


async def read_all(settings: Settings, topic: str) -> AsyncIterator[ConsumerRecord]:
    """Every committed record of a topic (its name without prefix), up to the end as it is now."""
    async for record in topic_log.read_to_end(brokers_of(settings), settings.topic_prefix + topic):
        yield record


async def messages(settings: Settings, topic: str) -> AsyncIterator[tuple[ConsumerRecord, Message | None]]:
    """The same with the message in each record, None for a tombstone; what is no message of the topic is left out."""
    parse = TOPICS[topic].parser()
    async for record in read_all(settings, topic):
        if record.value is None:
            yield record, None
            continue
        try:
            message = parse(record.value, record.headers)
        except InvalidMessage:
            continue
        yield record, message
