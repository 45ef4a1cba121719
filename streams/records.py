"""What comes from Kafka and what goes to it, as plain values that every stage and every test can make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.message import Message

Headers = Sequence[tuple[str, bytes]]


class Record(Protocol):
    """One record as it was read. `aiokafka.ConsumerRecord` is one; `StoredRecord` is one without a broker."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch, as the broker or the producer set it."""
        ...

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record that did not come from a broker: a line of a file, or a test's own."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Output:
    """One message to publish.

    `topic` is the registry's name without the prefix (`"drift"`). `key` is the record's key; `partition_key`, where it
    differs (`models`: NAME/VERSION is placed by NAME), decides the partition. `message` is None for a tombstone.
    """

    topic: str
    key: str | None
    message: Message | None
    partition_key: str | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """A record to send on, unchanged, to the partition of the stage's internal topic where its model's state lives."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None
    headers: Headers
    timestamp: int
