"""Where a record was first written, which a forwarded copy carries in its headers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from streams.records import Headers, Record

ORIGIN_TOPIC, ORIGIN_PARTITION, ORIGIN_OFFSET = ORIGIN_HEADERS = ("origin_topic", "origin_partition", "origin_offset")

#: How a stage's internal topic ends. Only its headers are our own; those of a fleet say nothing about an origin.
INTERNAL = "-internal"

#: What Kafka calls a topic, a partition and an offset. Whatever else stands in a header could be in no output.
_TOPIC, _COUNT = re.compile(r"[a-zA-Z0-9._-]{1,249}"), re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Origin:
    """Topic (of a bare file its name), partition and offset (of a file the line) where a record was first written."""

    topic: str
    partition: int
    offset: int


def origin_of(record: Record) -> Origin:
    """The record's own place, or that of the record it is a forwarded copy of. Raises ValueError for broken headers."""
    return forwarded_from(record) or Origin(record.topic, record.partition, record.offset)


def forwarded_from(record: Record) -> Origin | None:
    """The place a forwarded record came from; None if it was not forwarded. Raises ValueError for broken headers."""
    if not record.headers or not record.topic.endswith(INTERNAL):
        return None
    headers = dict(record.headers)
    if ORIGIN_TOPIC not in headers:
        return None
    try:
        topic, partition, offset = (headers[name].decode() for name in ORIGIN_HEADERS)
        if not (_TOPIC.fullmatch(topic) and _COUNT.fullmatch(partition) and _COUNT.fullmatch(offset)):
            raise ValueError("not a place on Kafka")
        return Origin(topic, int(partition), int(offset))
    except (AttributeError, KeyError, ValueError) as problem:  # a header's value may be null
        raise ValueError(f"headers {', '.join(ORIGIN_HEADERS)}: not as written here") from problem


def with_origin(record: Record) -> Headers:
    """The record's headers with its place added, for the forwarded copy."""
    place = (record.topic, str(record.partition), str(record.offset))
    return (*record.headers, *((name, text.encode()) for name, text in zip(ORIGIN_HEADERS, place, strict=True)))


def without_origin(record: Record) -> Headers:
    """The headers that the fleet wrote."""
    if not record.headers or not record.topic.endswith(INTERNAL):
        return record.headers
    return tuple(header for header in record.headers if header[0] not in ORIGIN_HEADERS)
