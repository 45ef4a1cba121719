"""Creates and checks the topics on a broker: the registry's, each stage's internal one and its changelog."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError

from schemas.topics import TOPICS, TopicSpec, internal_topic
from streams.settings import LARGEST_RECORD, EngineSettings

_TOPIC_ALREADY_EXISTS = 36

_ROOMY = {"max.message.bytes": str(LARGEST_RECORD)}

#: Seconds until a created topic has leaders everywhere.
_VISIBLE_TIMEOUT = 20.0


class TopicsUnfit(RuntimeError):
    """The broker's topics are not as the settings want them, or could not be made so; one line a topic."""


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """A topic by its name on Kafka. Where `exact` is False, any number of partitions will do."""

    name: str
    partitions: int
    exact: bool = True
    config: Mapping[str, str] = field(default_factory=dict)


def wanted_topics(settings: EngineSettings, stages: Iterable[str]) -> list[WantedTopic]:
    """Every topic that the named stages and their users need, with the settings' prefix."""
    wanted = [_from_registry(spec, settings) for spec in TOPICS.values()]
    for stage in stages:
        wanted.append(_from_registry(internal_topic(stage), settings))
        config = {"cleanup.policy": "compact"} | _ROOMY
        wanted.append(WantedTopic(settings.changelog(stage), settings.partitions, config=config))
    return wanted


def _from_registry(spec: TopicSpec, settings: EngineSettings) -> WantedTopic:
    config = spec.config() | _ROOMY
    return WantedTopic(settings.topic(spec.name), settings.partitions, spec.partitions_like_metrics, config)


async def create_topics(
    bootstrap_servers: str, wanted: Sequence[WantedTopic], *, replication_factor: int = 1
) -> list[str]:
    """Create what is missing, and return its names once every partition has a leader. Existing topics stay as they are.

    A broker without a controller (the embedded one) cannot create topics: there they appear when asked for, with
    the broker's own number of partitions. Raises `TopicsUnfit` if one cannot be created or `check_topics` finds fault.
    """
    async with _admin(bootstrap_servers) as admin:
        existing = await _partitions(admin)
        missing = [topic for topic in wanted if topic.name not in existing]
        if missing and await _has_controller(admin):
            await _create(admin, missing, replication_factor)
        elif missing:
            await admin.describe_topics([topic.name for topic in missing])
        problems = await _await_visible(admin, wanted)
    if problems:
        raise TopicsUnfit("\n".join(problems))
    return [topic.name for topic in missing]


async def check_topics(bootstrap_servers: str, wanted: Sequence[WantedTopic]) -> list[str]:
    """What is wrong with the broker's topics, one line each; empty if nothing is. Creates none."""
    async with _admin(bootstrap_servers) as admin:
        return faults(wanted, await _partitions(admin))


def faults(wanted: Sequence[WantedTopic], existing: Mapping[str, int]) -> list[str]:
    """Compare topics with the number of partitions that each existing one has."""
    problems = []
    for topic in wanted:
        found = existing.get(topic.name)
        if found is None:
            problems.append(f"topic {topic.name} does not exist; `visutility topics create` makes it")
        elif topic.exact and found != topic.partitions:
            problems.append(
                f"topic {topic.name} has {found} partitions, the settings say {topic.partitions}; state and inputs are "
                f"partitioned together: set partitions = {found}, or use another topic_prefix"
            )
    return problems


async def _create(admin: AIOKafkaAdminClient, missing: Sequence[WantedTopic], replication_factor: int) -> None:
    new = [NewTopic(t.name, t.partitions, replication_factor, topic_configs=dict(t.config)) for t in missing]
    response = await admin.create_topics(new)
    refused = [
        f"topic {name} could not be created: {message or f'error {code}'}"
        for name, code, message in response.topic_errors
        if code not in (0, _TOPIC_ALREADY_EXISTS)
    ]
    if refused:
        raise TopicsUnfit("\n".join(refused))


async def _await_visible(admin: AIOKafkaAdminClient, wanted: Sequence[WantedTopic]) -> list[str]:
    """Wait until nothing is missing any more, and return what is wrong then."""
    problems = ["the broker lists no topics"]
    try:
        async with asyncio.timeout(_VISIBLE_TIMEOUT):
            while True:
                existing = await _partitions(admin)
                problems = faults(wanted, existing)
                if all(topic.name in existing for topic in wanted):
                    return problems
                await asyncio.sleep(0.05)
    except TimeoutError:
        return problems


async def _has_controller(admin: AIOKafkaAdminClient) -> bool:
    cluster = await admin.describe_cluster()
    return cluster["controller_id"] in {broker["node_id"] for broker in cluster["brokers"]}


async def _partitions(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Number of partitions of every topic whose partitions all have a leader.

    Asks for all topics, for a broker may create a topic that is asked for by name.
    """
    return {
        topic["topic"]: len(topic["partitions"])
        for topic in await admin.describe_topics()
        if topic["error_code"] == 0 and all(each["leader"] >= 0 for each in topic["partitions"])
    }


@asynccontextmanager
async def _admin(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        yield admin
    except KafkaConnectionError as problem:
        raise TopicsUnfit(f"no Kafka broker answers at {bootstrap_servers}; check the address") from problem
    except KafkaError as problem:
        raise TopicsUnfit(f"the broker at {bootstrap_servers} refused: {problem}") from problem
    finally:
        await admin.close()
