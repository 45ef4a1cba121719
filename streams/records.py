"""What comes from Kafka and what goes to it, as plain values that every stage and every test can make."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol, overload

from schemas.message import Message

Headers = Sequence[tuple[str, bytes]]

_VALUE, _HEADERS = attrgetter("value"), attrgetter("headers")


class Parsed(Protocol):
    """One record as a parser gives it, which does not know its topic and partition."""

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


class Record(Parsed, Protocol):
    """One record as it was read. `aiokafka.ConsumerRecord` is one; `StoredRecord` is one without a broker."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...


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


class RecordBatch(Sequence[Record]):
    """Records whose values can be had at once; a record is made where somebody looks at it."""

    __slots__ = ()

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> RecordBatch: ...
    @abstractmethod
    def __getitem__(self, index: int | slice) -> Record | RecordBatch: ...

    @abstractmethod
    def values(self) -> Sequence[bytes | None]:
        """The value of each record."""

    @abstractmethod
    def with_headers(self) -> bool:
        """Whether any of the records has headers."""

    def values_without_headers(self) -> Sequence[bytes | None] | None:
        """The value of each record, empty for those with headers; None where that would cost more."""
        return None


class FetchedRecords(RecordBatch):
    """Records of one partition as `parsed`; each gets its topic and partition when it is looked at."""

    __slots__ = ("parsed", "partition", "topic")

    def __init__(self, topic: str, partition: int, parsed: Sequence[Parsed]) -> None:
        self.topic, self.partition, self.parsed = topic, partition, parsed

    def __len__(self) -> int:
        return len(self.parsed)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> FetchedRecords: ...
    def __getitem__(self, index: int | slice) -> Record | FetchedRecords:
        if isinstance(index, slice):
            return FetchedRecords(self.topic, self.partition, self.parsed[index])
        one = self.parsed[index]
        headers = tuple(one.headers)
        return StoredRecord(self.topic, self.partition, one.offset, one.timestamp, one.key, one.value, headers)

    def values(self) -> list[bytes | None]:
        return list(map(_VALUE, self.parsed))

    def with_headers(self) -> bool:
        return any(map(_HEADERS, self.parsed))


class ListedRecords(RecordBatch):
    """Whole records as a batch."""

    __slots__ = ("_records",)

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> ListedRecords: ...
    def __getitem__(self, index: int | slice) -> Record | ListedRecords:
        return ListedRecords(self._records[index]) if isinstance(index, slice) else self._records[index]

    def values(self) -> list[bytes | None]:
        return list(map(_VALUE, self._records))

    def with_headers(self) -> bool:
        return any(map(_HEADERS, self._records))


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
    """A record for one partition of the stage's internal topic.

    One to send on, unchanged, to where its model's state lives, keyed by the model; or, without a key, a cut.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int
