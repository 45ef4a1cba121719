"""From where a partition reads, and whether its state, its topics and its committed offsets belong together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from faust.types import TP

from schemas.alerts import Alert
from schemas.ids import output_id
from streams.identity import (
    REBUILD,
    TOPICS_KEY,
    StateMismatch,
    TopicOnBroker,
    check_complete,
    check_partitions,
    check_same,
    remember,
    remembered,
)
from streams.origin import INTERNAL
from streams.outbox import Outbox
from streams.positions import POSITIONS_KEY, behind, decode_positions, told
from streams.records import Output
from streams.settings import EngineSettings
from streams.store import OverlayStore, PartitionTable

log = logging.getLogger(__name__)

#: Offsets that a partition's last checkpoint leaves unread in its internal topic: its own cut and commit marker.
OWN_OFFSETS = 2

#: Seconds after which a disk that was not saved is not gone on with. The changelog's compaction leaves a deletion out
#: after a day: whoever reads on from a position before it would keep what was deleted.
MAX_AGE = 12 * 3600.0

#: Stands for all models where a message is about none of them alone.
ALL_MODELS = "*"


class Offsets(Protocol):
    """What is asked of the consumer before anything is read."""

    async def committed(self, tp: TP) -> int | None: ...
    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]: ...
    async def highwaters(self, *partitions: TP) -> dict[TP, int]: ...
    async def describe_topics(self, names: Sequence[str]) -> dict[str, TopicOnBroker]: ...


@dataclass(frozen=True, slots=True)
class Loss:
    """Offsets [begin, end) that retention removed before they were processed; commit markers count too."""

    tp: TP
    begin: int
    end: int

    @property
    def is_own_cut(self) -> bool:
        """Nothing is lost: of the internal topic the last cut stays unread, and is as old as the partition is idle."""
        return self.tp.topic.endswith(INTERNAL) and self.end - self.begin <= OWN_OFFSETS

    def __str__(self) -> str:
        return (
            f"{self.tp.topic} [{self.tp.partition}] begins at {self.end}, and {self.begin} was next:"
            f" {self.end - self.begin} records went by retention before they were processed"
        )


class Beginning:
    """How one partition of a stage starts: checked before its state is restored, and again with it."""

    def __init__(
        self, settings: EngineSettings, stage: str, inputs: Sequence[str], partition: int, consumer: Offsets
    ) -> None:
        self._settings, self._stage, self._partition, self._consumer = settings, stage, partition, consumer
        self._inputs, self._changelog = inputs, settings.changelog(stage)
        self._topics: dict[str, TopicOnBroker] = {}

    async def check_disk(self, store: OverlayStore, now: float) -> None:
        """Raise `StateMismatch` if the state on disk is that of another changelog, or partitions do not agree.

        A disk last saved long before `now` (seconds since the epoch) is wiped: of what was deleted meanwhile the
        changelog may say nothing any more.
        """
        names = [*self._inputs, self._changelog]
        self._topics = await self._consumer.describe_topics(names)
        check_partitions(self._topics, names, self._settings.partitions)
        known = remembered(store.read(self._partition, TOPICS_KEY))
        folder = store.partition_path(self._partition)
        check_same(known, self._topics, [self._changelog], f"Remove {folder} to restore from the topic as it is now")
        if store.position(self._partition) and now - store.saved_at(self._partition) > MAX_AGE:
            log.info("%s: last saved too long ago, the changelog is read from its beginning", folder)
            store.wipe(self._partition)

    async def positions(self, outbox: Outbox, store: OverlayStore, state: PartitionTable) -> dict[TP, int]:
        """The committed offsets, or the state's own where they are later; where there is none yet, the topic's
        beginning, committed before anything is read.

        Raises `StateMismatch` where state and offsets do not belong together.
        """
        known = remembered(state.get(TOPICS_KEY))
        check_same(known, self._topics, self._inputs)
        tps = [TP(topic, self._partition) for topic in self._inputs]
        committed = {tp: await self._consumer.committed(tp) for tp in tps}
        by_topic = {tp.topic: offset for tp, offset in committed.items()}
        where = f"{self._settings.group(self._stage)} [{self._partition}]"
        check_complete(known, lambda: len(state) > 0, by_topic, where, self._changelog)
        committed |= self._ahead(committed, decode_positions(state.get(POSITIONS_KEY)))
        await self._check_ends(committed)
        if missing := [tp for tp, offset in committed.items() if offset is None]:
            committed |= await self._begin(missing, outbox, store)
        return {tp: offset for tp, offset in committed.items() if offset is not None}

    def note_topics(self, state: PartitionTable) -> None:
        """Have the next checkpoint remember the topics, if they are not what the state remembers."""
        if state.get(TOPICS_KEY) != (now := remember(self._topics)):
            state[TOPICS_KEY] = now

    async def losses(self, positions: Mapping[TP, int]) -> list[Loss]:
        """What is not there any more at these positions."""
        starts = await self._consumer.earliest_offsets(*positions)
        return [Loss(tp, at, starts[tp]) for tp, at in positions.items() if starts[tp] > at]

    def _ahead(self, committed: Mapping[TP, int | None], kept: Mapping[str, int]) -> dict[TP, int]:
        """Where the state is ahead of the group's offsets, its own. Without transactions outputs may be missing yet."""
        if self._settings.delivery != "exactly_once" or not (tps := behind(committed, kept)):
            return {}
        log.warning("%s", told(self._stage, tps, committed, kept))
        return {tp: kept[tp.topic] for tp in tps}

    async def _check_ends(self, committed: Mapping[TP, int | None]) -> None:
        ends = await self._consumer.highwaters(*committed)
        for tp, offset in committed.items():
            if offset is not None and offset > ends[tp]:
                raise StateMismatch(
                    f"{tp.topic} [{tp.partition}] ends at {ends[tp]}, but {offset} is committed for group"
                    f" {self._settings.group(self._stage)}: the topic was recreated or cut. {REBUILD}"
                )

    async def _begin(self, missing: Sequence[TP], outbox: Outbox, store: OverlayStore) -> dict[TP, int]:
        starts = await self._consumer.earliest_offsets(*missing)
        first, topics = {tp: starts[tp] for tp in missing}, {TOPICS_KEY: remember(self._topics)}
        store.write_committed(self._partition, topics.items(), await outbox.publish(topics, [], first))
        return first


def loss_alert(stage: str, loss: Loss) -> Output:
    """What a person should know of a loss. It is about no single model."""
    now = datetime.now(UTC)  # noqa: TID251 - it happened outside of every stage's time
    place = f"{loss.tp.topic} [{loss.tp.partition}]"
    alert = Alert(
        event_id=output_id(stage, ALL_MODELS, "", "", "", place, "records_lost", loss.end),
        model_name=ALL_MODELS,
        timestamp=now,
        kind="records_lost",
        severity="error",
        state="firing",
        message=str(loss),
    )
    return Output("alerts", ALL_MODELS, alert)
