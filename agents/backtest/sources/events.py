"""Events that are at hand in the process: messages, JSON objects, text, bytes, records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from agents.backtest.sources.blocks import RecordingBlock
from agents.backtest.sources.lines import LineRecords
from agents.recording.items import Item, SourceRecord, TimePassed
from schemas.message import Message
from streams.records import Record

#: What an event may be: a message, a JSON object, its text or bytes, or a whole record with key and headers.
EventLike = Message | Mapping[str, object] | str | bytes | Record

#: The origin topic of events that come from no file.
UNNAMED = "events"


#: Many records that are in one text.
Many = LineRecords | RecordingBlock


def records_of(events: Iterable[EventLike | Item | Many]) -> Iterator[Record | TimePassed | Many]:
    """Events of any accepted kind as records: topic "events", partition 0, and the event's number, from 1.

    Records, many or one, and ticks pass through as they are. Raises TypeError for a value of another kind; what is
    wrong *inside* an event is found later, by the stage, and becomes a dead letter.
    """
    for number, event in enumerate(events, start=1):
        if type(event) is SourceRecord:  # the many, told at a glance
            yield event
        elif isinstance(event, Message | Mapping | str | bytes):
            yield SourceRecord(UNNAMED, 0, number, 0, None, _encoded(event))
        elif isinstance(event, TimePassed | Many) or (hasattr(event, "value") and hasattr(event, "headers")):
            yield event
        else:
            raise TypeError(f"event {number}: expected a message, a dict, JSON or a record, got {type(event).__name__}")


def _encoded(event: Message | Mapping[str, object] | str | bytes) -> bytes:
    if isinstance(event, bytes):
        return event
    if isinstance(event, str):
        return event.encode("utf-8", "surrogatepass")
    return event.to_json() if isinstance(event, Message) else json.dumps(dict(event), default=_plain).encode()


def _plain(value: object) -> object:
    """Times as text, numbers of numpy as Python's, by the method all of them have."""
    if isinstance(value, datetime):
        return value.isoformat()
    if callable(item := getattr(value, "tolist", None)):
        return item()
    raise TypeError(f"{type(value).__name__} is no JSON value")
