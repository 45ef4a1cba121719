"""Whether topics are still those that a state was made from. Pure: what is remembered against what the broker tells.

Each partition's state holds, under a key of the engine's own, the topics it belongs to with their ids. A topic that was
deleted and made again has its old name and another id; going on would lose what the new one holds, or miscount.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

#: Where a partition's state remembers its topics. Keys of the engine's own begin with NUL.
TOPICS_KEY = b"\0topics"

#: What helps when state and inputs do not belong together any more.
REBUILD = "`visutility rebuild` makes the state anew from the records that are there"


class StateMismatch(RuntimeError):
    """State, inputs and committed offsets do not belong together; going on would lose or miscount records."""


class TopicsChanged(StateMismatch):
    """A topic went, came anew, or has another number of partitions, while the worker ran."""


@dataclass(frozen=True, slots=True)
class TopicOnBroker:
    """`id` is None where the broker has none to tell (before Kafka 2.8)."""

    id: str | None
    partitions: int


def remember(topics: Mapping[str, TopicOnBroker]) -> bytes:
    """What a state keeps of its topics: their ids by name, "" where the broker told none."""
    return json.dumps({name: topic.id or "" for name, topic in sorted(topics.items())}).encode()


def remembered(data: bytes | None) -> dict[str, str] | None:
    """What `remember` wrote; None for a state that has never been read from. Raises ValueError for anything else."""
    try:
        found: dict[str, str] | None = None if data is None else json.loads(data)
    except RecursionError as problem:
        raise ValueError("ids of topics: nested too deeply") from problem
    return found


def check_same(
    known: Mapping[str, str] | None, topics: Mapping[str, TopicOnBroker], names: Iterable[str], remedy: str = REBUILD
) -> None:
    """Raise `StateMismatch` if one of the named topics is not the one that the state knows."""
    for name in names:
        before, now = (known or {}).get(name), topics[name].id if name in topics else None
        if before and now and before != now:
            raise StateMismatch(
                f"topic {name} was deleted and made again (its id was {before} and is {now}): its offsets mean other"
                f" records than those that the state was made from. {remedy}"
            )


def check_partitions(topics: Mapping[str, TopicOnBroker], names: Iterable[str], wanted: int) -> None:
    """Raise `TopicsChanged` if one of the named topics is gone or has another number of partitions."""
    for name in names:
        if name not in topics:
            raise TopicsChanged(f"topic {name} is gone; `visutility topics create` makes it, and {REBUILD}")
        if (found := topics[name].partitions) != wanted:
            raise TopicsChanged(f"topic {name} has {found} partitions, the settings say {wanted}: {_moved(found)}")


def more_partitions(stage: str, partition: int, wanted: int) -> TopicsChanged:
    """What to raise when the group assigns a partition that the settings do not know."""
    found = f"{stage} was assigned partition {partition}, but the settings say partitions = {wanted}"
    return TopicsChanged(f"{found}: {_moved(partition + 1)}")


def _moved(found: int) -> str:
    return (
        f"models have moved to other partitions than their states. Set partitions = {found} in a settings file with"
        " another topic_prefix, or make the topics anew"
    )


def check_complete(
    known: Mapping[str, str] | None,
    has_state: Callable[[], bool],
    committed: Mapping[str, int | None],
    where: str,
    changelog: str,
) -> None:
    """Raise `StateMismatch` where only one of state and committed offsets (by topic) is there."""
    if known is None and any(committed.values()) and not has_state():
        raise StateMismatch(
            f"{where}: offsets are committed, but {changelog} holds no state: it was removed or made again. {REBUILD}"
        )
    if gone := [topic for topic, offset in committed.items() if offset is None and topic in (known or {})]:
        raise StateMismatch(
            f"{where}: there is state, but no offset of {gone[0]} is committed: the group's offsets were deleted, or"
            f" expired while no worker ran (the broker's offsets.retention.minutes). {REBUILD}"
        )
