"""Who takes a partition, and from where on: the former owner is fenced, then what it took is read, and then records."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError
from faust.types import TP

from agents.inputs.events import STAGE
from agents.inputs.positions import Kept, Place, Start, kept_bytes, kept_of, key_of, start_of, told
from streams.clients import new_consumer
from streams.metadata import describe_topics
from streams.outbox import Outbox, PlainOutbox, TransactionalOutbox
from streams.records import Output
from streams.settings import EngineSettings
from streams.topic_log import TopicMissing, partition_counts, started

log = logging.getLogger(__name__)

#: Seconds that are waited for others' transactions beyond the time that these may take: brokers end them every 10 s.
_BEYOND_TRANSACTIONS = 30.0


class PositionsUnread(RuntimeError):
    """It is not known what was taken already: nothing is taken until it is. The text is one line."""


@dataclass
class Owned:
    """A partition that this worker owns: where its outputs go, and the offset of the first record not yet taken."""

    place: Place
    outbox: Outbox
    position: int
    topic_id: str


async def publish(owned: Owned, outputs: Sequence[Output], position: int) -> None:
    """Publish what was made of the records before `position`, and that they were taken. Raises what Kafka raises."""
    kept = {key_of(owned.place): kept_bytes(Kept(position, owned.topic_id))}
    changes = kept if isinstance(owned.outbox, TransactionalOutbox) else {}
    await owned.outbox.publish(changes, outputs, {TP(*owned.place): position})
    owned.position = position


async def fence(consumer: AIOKafkaConsumer, engine: EngineSettings, places: Iterable[Place]) -> dict[Place, Outbox]:
    """Take partitions from whoever had them: what these had open is ended, and what they try later refused."""
    outboxes = {place: _outbox(consumer, engine, place) for place in places}
    try:
        starting = await asyncio.gather(*(outbox.start() for outbox in outboxes.values()), return_exceptions=True)
        if problem := next((each for each in starting if isinstance(each, BaseException)), None):
            raise problem
    except BaseException:
        await asyncio.gather(*(outbox.stop() for outbox in outboxes.values()))
        raise
    return outboxes


async def own(consumer: AIOKafkaConsumer, engine: EngineSettings, fenced: Mapping[Place, Outbox]) -> list[Owned]:
    """Where to begin with partitions whose former owners are fenced: until they are, these may commit.

    Raises `PositionsUnread`, and what Kafka raises.
    """
    exactly_once = engine.delivery == "exactly_once"
    ids = await _topic_ids(consumer, fenced) if exactly_once else {}
    kept = await read_positions(engine) if exactly_once else {}
    starts = [
        start_of(place, await consumer.committed(TopicPartition(*place)), kept.get(place), ids.get(place[0], ""))
        for place in fenced
    ]
    if ahead := [start for start in starts if start.is_ahead]:
        log.warning("%s", told(ahead))
    begins = await consumer.beginning_offsets([TopicPartition(*place) for place in fenced])
    return [
        Owned(
            each.place,
            fenced[each.place],
            _there(each, begins[TopicPartition(*each.place)]),
            ids.get(each.place[0], ""),
        )
        for each in starts
    ]


async def _topic_ids(consumer: AIOKafkaConsumer, places: Iterable[Place]) -> dict[str, str]:
    found = await describe_topics(consumer._client, sorted({topic for topic, _ in places}))
    return {name: topic.id or "" for name, topic in found.items()}


def _there(start: Start, begin: int) -> int:
    """The beginning where nothing was taken, or what comes next is not there any more."""
    if start.position is not None and start.position < begin:
        lost, where = begin - start.position, f"{start.place[0]} [{start.place[1]}]"
        log.error(
            "%s at %d was next, and %d records went by retention; read on from %d", where, start.position, lost, begin
        )
    return begin if start.position is None else max(start.position, begin)


async def read_positions(engine: EngineSettings) -> dict[Place, Kept]:
    """What every worker has taken, as committed. Waits until no transaction that began before is open.

    What other partitions' owners have open hides what was committed after its beginning, so the end is that of all
    records, committed or not. Raises `PositionsUnread`, and what Kafka raises.
    """
    topic, patience = engine.changelog(STAGE), engine.transaction_timeout + _BEYOND_TRANSACTIONS
    try:
        count = (await partition_counts(engine.connection, {topic}))[topic]
    except TopicMissing as problem:
        raise PositionsUnread(f"no topic {topic}, where it is kept what was taken: start the worker anew") from problem
    places = [TopicPartition(topic, number) for number in range(count)]
    async with started(new_consumer(engine.connection, enable_auto_commit=False)) as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
    reading = new_consumer(engine.connection, isolation_level="read_committed", enable_auto_commit=False)
    async with started(reading) as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        try:
            async with asyncio.timeout(patience):
                return await _read(consumer, ends)
        except TimeoutError as problem:
            raise PositionsUnread(
                f"{topic} has no committed end after {patience:g} s: a transaction is open"
            ) from problem


async def _read(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> dict[Place, Kept]:
    found: dict[Place, Kept] = {}
    while unread := [place for place, end in ends.items() if await consumer.position(place) < end]:
        for records in (await consumer.getmany(*unread, timeout_ms=100)).values():
            for record in records:
                try:
                    place, kept = kept_of(record.key, record.value)
                except ValueError as problem:
                    where = f"{record.topic} [{record.partition}] at {record.offset}"
                    raise PositionsUnread(f"{where}: {problem}; remove the topic") from problem
                found[place] = kept
    return found


def _outbox(consumer: AIOKafkaConsumer, engine: EngineSettings, place: Place) -> Outbox:
    topic, partition = place
    if engine.delivery == "exactly_once":
        return TransactionalOutbox(engine, STAGE, partition, of_topic=topic)

    async def commit(offsets: Mapping[TP, int]) -> bool:
        try:
            await consumer.commit({TopicPartition(*tp): offset for tp, offset in offsets.items()})
        except (CommitFailedError, IllegalStateError):
            return False
        return True

    return PlainOutbox(engine, STAGE, partition, commit)
