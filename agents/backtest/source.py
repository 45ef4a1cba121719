"""Where the events of a backtest come from: a `.jsonl[.gz]` file of metrics-topic messages, or values at hand."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

from schemas.message import Message
from schemas.parse import MAX_SIZE
from streams.records import Record, StoredRecord

#: What an event may be: a message, a JSON object, its text or bytes, or a whole record with key and headers.
EventLike = Message | Mapping[str, object] | str | bytes | Record

#: The origin topic of events that come from no file.
UNNAMED = "events"

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class SourceError(ValueError):
    """The source cannot be read. The message names it and says what to do."""


def read_lines(path: Path) -> Iterator[StoredRecord]:
    """The lines of a `.jsonl` or `.jsonl.gz` file as records, one at a time; blank lines are left out.

    A record's topic is the file's name, its partition 0, its offset the number of its line, from 1. Of a line longer
    than any message may be only the beginning is kept: enough to be told apart as too long.
    Raises SourceError if the file cannot be read or its name ends otherwise.
    """
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise SourceError(f"{path}: expected a file named .jsonl or .jsonl.gz, one message a line")
    number = 0
    try:
        with _opened(path) as file:
            for number, line in enumerate(_bounded_lines(file), start=1):
                content = (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).rstrip(b"\r\n")
                if content and not content.isspace():
                    yield StoredRecord(path.name, 0, number, 0, None, content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise SourceError(f"{path}: after line {number}: not gzip, or cut short: {problem}") from None
    except OSError as problem:
        raise SourceError(f"{path}: cannot be read: {problem.strerror or problem}") from None


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.name.endswith(".gz") else path.open("rb")


def _bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_SIZE + 2):
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(MAX_SIZE)):
            pass
        yield line


def records_of(events: Iterable[EventLike]) -> Iterator[Record]:
    """Events of any accepted kind as records: topic "events", partition 0, and the event's number, from 1.

    Records pass through as they are. Raises TypeError for a value of another kind; what is wrong *inside* an event
    is found later, by the stage, and becomes a dead letter.
    """
    for number, event in enumerate(events, start=1):
        if isinstance(event, Message | Mapping | str | bytes):
            yield StoredRecord(UNNAMED, 0, number, 0, None, _encoded(event))
        elif hasattr(event, "value") and hasattr(event, "headers"):
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
