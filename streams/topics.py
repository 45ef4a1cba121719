"""Creates and checks the topics on a broker: the registry's, each stage's internal one and its changelog."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from schemas.topics import TOPICS, TopicSpec, internal_topic
from streams.clients import new_admin
from streams.diagnosis import silence, told
from streams.security import Cluster
from streams.settings import CHANGELOG, LARGEST_RECORD, EngineSettings

_TOPIC_ALREADY_EXISTS = 36

#: What a broker answers to whom the right to create a topic is missing, and what helps.
_DENIED = (29, 31)
_MAKE_THEM = " Let somebody who may run visutility topics create, or grant Create on it"

#: Of a state that is read whole at each start: segments of a minute, so that compaction leaves little more to read than
#: what counts. Markers of transactions go a minute after it, too.
_SHORT = {"segment.ms": "60000", "delete.retention.ms": "60000"}

#: A deletion stays for at least a day, Kafka's default, whatever that of the cluster is (see `streams.start.MAX_AGE`).
_TOMBSTONES = {"delete.retention.ms": "86400000"}

_ROOMY = {"max.message.bytes": str(LARGEST_RECORD)}

#: Seconds until a created topic has leaders everywhere.
_VISIBLE_TIMEOUT = 20.0


#: Seconds within which a broker must answer at all.
ANSWER_TIMEOUT = 10.0


class TopicsUnfit(RuntimeError):
    """The broker's topics are not as the settings want them, or could not be made so; one line a topic."""


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """A topic by its name on Kafka. Where `exact` is False, any number of partitions will do."""

    name: str
    partitions: int
    exact: bool = True
    config: Mapping[str, str] = field(default_factory=dict)


def wanted_topics(settings: EngineSettings, stages: Iterable[str], states: Iterable[str] = ()) -> list[WantedTopic]:
    """Every topic that the named stages and their users need, with the settings' prefix.

    `states` name what keeps a state that is read whole at each start, and has no internal topic.
    """
    wanted = [_from_registry(spec, settings) for spec in TOPICS.values()]
    for stage in stages:
        wanted.append(_from_registry(internal_topic(stage), settings))
        wanted.append(_changelog(settings, stage))
    return wanted + [_changelog(settings, state, _SHORT) for state in states]


def _changelog(settings: EngineSettings, stage: str, more: Mapping[str, str] = MappingProxyType({})) -> WantedTopic:
    config = {"cleanup.policy": "compact", **_ROOMY, **_TOMBSTONES, **more}
    return WantedTopic(settings.changelog(stage), settings.partitions, config=config)


def _from_registry(spec: TopicSpec, settings: EngineSettings) -> WantedTopic:
    config = spec.config() | _ROOMY
    partitions = max(settings.partitions, spec.least_partitions)
    return WantedTopic(settings.topic(spec.name), partitions, spec.partitions_like_metrics, config)


async def create_topics(
    bootstrap_servers: Cluster, wanted: Sequence[WantedTopic], *, replication_factor: int = 1
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
        if not problems:
            states = [topic for topic in wanted if topic.name.endswith(CHANGELOG)]
            problems = policy_faults(states, await _configs(admin, states, {topic.name: 0 for topic in states}))
    if problems:
        raise TopicsUnfit("\n".join(problems))
    return [topic.name for topic in missing]


async def keeps_transactions(bootstrap_servers: Cluster) -> bool:
    """Whether the broker does what transactions promise: one without a controller (the embedded one) only says so."""
    async with _admin(bootstrap_servers) as admin:
        return await _has_controller(admin)


async def check_topics(bootstrap_servers: Cluster, wanted: Sequence[WantedTopic]) -> list[str]:
    """What is wrong with the broker's topics, one line each; empty if nothing is. Creates none."""
    async with _admin(bootstrap_servers) as admin:
        existing = await _partitions(admin)
        configs = await _configs(admin, wanted, existing)
        return faults(wanted, existing) + policy_faults(wanted, configs) + size_faults(wanted, configs)


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


def policy_faults(wanted: Sequence[WantedTopic], found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """State that would go, and history of which one record of each key would stay."""
    problems = []
    for topic in wanted:
        config = found.get(topic.name, {})
        policy, wanted_policy = config.get("cleanup.policy"), topic.config.get("cleanup.policy")
        if policy is not None and wanted_policy is not None and policy != wanted_policy:
            what = "its records must stay for ever" if wanted_policy == "compact" else "records of one key would go"
            problems.append(
                f"topic {topic.name} has cleanup.policy={policy}, wanted is {wanted_policy}: {what}; change it with"
                f" kafka-configs --alter --topic {topic.name} --add-config cleanup.policy={wanted_policy}"
            )
    return problems


def size_faults(wanted: Sequence[WantedTopic], found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Topics that take smaller records than could come: dead letters, states of models with very many metrics."""
    problems = []
    for topic in wanted:
        size, wanted_size = found.get(topic.name, {}).get("max.message.bytes"), topic.config.get("max.message.bytes")
        if size is not None and wanted_size is not None and int(size) < int(wanted_size):
            problems.append(
                f"topic {topic.name} has max.message.bytes={size}, wanted is {wanted_size}: one large record could stop"
                f" a partition; change it with kafka-configs --alter --topic {topic.name} --add-config"
                f" max.message.bytes={wanted_size}"
            )
    return problems


async def _configs(
    admin: AIOKafkaAdminClient, wanted: Sequence[WantedTopic], existing: Mapping[str, int]
) -> dict[str, dict[str, str]]:
    """The settings of those topics that exist, by name; nothing from a broker that does not tell."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in wanted if topic.name in existing]
    try:
        answers = await admin.describe_configs(asked) if asked else []
    except (KafkaError, NotImplementedError):
        return {}
    resources = [resource for answer in answers for resource in answer.to_object()["resources"]]
    return {
        each["resource_name"]: {entry["config_names"]: entry["config_value"] for entry in each["config_entries"]}
        for each in resources
        if each["error_code"] == 0
    }


async def _create(admin: AIOKafkaAdminClient, missing: Sequence[WantedTopic], replication_factor: int) -> None:
    new = [NewTopic(t.name, t.partitions, replication_factor, topic_configs=dict(t.config)) for t in missing]
    response = await admin.create_topics(new)
    refused = [
        f"topic {name} could not be created: {message or f'error {code}'}{_MAKE_THEM if code in _DENIED else ''}"
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
async def _admin(bootstrap_servers: Cluster) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = new_admin(bootstrap_servers)
    try:
        await _start(admin, bootstrap_servers)
        yield admin
    except KafkaError as problem:
        raise TopicsUnfit(told(problem, bootstrap_servers)) from problem
    finally:
        await admin.close()


async def _start(admin: AIOKafkaAdminClient, bootstrap_servers: Cluster) -> None:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            await admin.start()
    except TimeoutError as problem:
        raise TopicsUnfit(silence(bootstrap_servers, ANSWER_TIMEOUT)) from problem
