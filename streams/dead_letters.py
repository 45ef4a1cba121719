"""Records that could not be applied, as dead letters."""

from __future__ import annotations

from schemas.dead_letter import DeadLetter, dead_letter_of
from streams.origin import Origin
from streams.records import Output, Record


def letter_of(record: Record, reason: str, stage: str, origin: Origin | None = None) -> DeadLetter:
    """The dead letter of a record; `origin` is where it came from, if not from where it was read."""
    place = origin or record
    return dead_letter_of(
        reason=reason,
        stage=stage,
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )


def set_aside(record: Record, reason: str, stage: str, origin: Origin | None = None) -> Output:
    """What publishes the dead letter of a record."""
    letter = letter_of(record, reason, stage, origin)
    return Output("dead-letter", letter.model_name or None, letter)
