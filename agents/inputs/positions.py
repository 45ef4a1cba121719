"""Up to where partitions of others' topics were taken: said on `inputs-changelog`, in the same transaction. Pure.

The group's offsets are in the same transaction, but a broker that was killed may tell them as they were minutes before
(`streams/positions.py`). A stage has its state to hold against them. There is none here, so positions have a topic of
their own, and the later of the two counts. Of another topic under the same name nothing is believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

#: A topic and the number of a partition; so are Faust's `TP` and aiokafka's `TopicPartition`.
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Kept:
    """The offset of the first record not yet taken, of the topic with this id ("" where the broker tells none)."""

    position: int
    topic_id: str


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin; no `position` where nothing was taken yet. `committed` is what the group tells."""

    place: Place
    position: int | None
    committed: int | None

    @property
    def is_ahead(self) -> bool:
        """Whether more was taken than the group tells."""
        return self.position != self.committed


def start_of(place: Place, committed: int | None, kept: Kept | None, topic_id: str) -> Start:
    """The later of both.

    Where the broker tells no ids, a topic that was made again shows in that the group's offsets went with the former.
    """
    if kept is None or kept.topic_id != topic_id or (not topic_id and committed is None):
        return Start(place, committed, committed)
    return Start(place, max(kept.position, committed or 0), committed)


def told(starts: Iterable[Start]) -> str:
    """One line about partitions of which more was taken than the group tells."""
    what = ", ".join(
        f"{start.place[0]} [{start.place[1]}] {'none' if start.committed is None else start.committed}"
        f" for {start.position}"
        for start in starts
    )
    return f"inputs: the group's committed offsets are behind what was taken ({what}); reading on from what was taken"


def key_of(place: Place) -> bytes:
    """Names of topics have no slash."""
    topic, partition = place
    return f"{topic}/{partition}".encode()


def kept_bytes(kept: Kept) -> bytes:
    """What stands in the changelog."""
    return json.dumps({"position": kept.position, "topic_id": kept.topic_id}).encode()


def kept_of(key: bytes | None, value: bytes | None) -> tuple[Place, Kept]:
    """What `key_of` and `kept_bytes` made. Raises ValueError for anything else."""
    try:
        topic, _, partition = (key or b"").decode().rpartition("/")
        fields = json.loads(value or b"")
        found = Kept(fields["position"], fields["topic_id"])
        if not (topic and type(found.position) is int and type(found.topic_id) is str):
            raise ValueError("of other types")
        return (topic, int(partition)), found
    except (KeyError, TypeError, ValueError, RecursionError) as problem:
        raise ValueError(f"{key!r} with {(value or b'')[:80]!r} is no position of a partition") from problem
