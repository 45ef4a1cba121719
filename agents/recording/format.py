"""The lines of a recording. Its first line is a `Header`; then records, ticks, and how far the recorder had come.

    {"recording":1,"topics":{"visutility.metrics":4,"visutility.monitor-internal":4},"ordered_by":["monitor"],…}
    {"topic":"visutility.metrics","partition":0,"offset":7,"timestamp":1750000000000,"key":"fraud","value":{…}}
    {"ticks":1000,"stage":"monitor","partition":0}
    {"positions":{"visutility.metrics":[8,0,0,0]},"cuts":{"monitor":[[3,1],[0,0],[0,0],[0,0]]}}

A value that is JSON stands there as it is, to the byte; a key or value that is not is in base64, and `null` is a
tombstone. A header is [name, text], [name] without a value, or [name, null, base64].
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence

import msgspec

from agents.recording.items import Item, SourceRecord, TimePassed
from streams.records import Record

VERSION = 1

#: How the first line of a recording begins, and no message does.
FIRST = b'{"recording":'
_POSITIONS = b'{"positions":'
_TICKS = b'{"ticks":'


class Header(msgspec.Struct, frozen=True):
    """`topics`: how many partitions each has. `ordered_by`: the stages whose cuts gave the order."""

    recording: int
    topics: dict[str, int]
    topic_prefix: str
    ordered_by: tuple[str, ...] = ()
    servers: str = ""


class Positions(msgspec.Struct):
    """All offsets below these are in the recording, by topic and partition, as far as they were there.

    `cuts`: by stage and partition, the offset of the cut that comes next and how many of its runs are done.
    """

    positions: dict[str, list[int]]
    cuts: dict[str, list[tuple[int, int]]] = {}


class _Ticks(msgspec.Struct):
    ticks: int
    stage: str
    partition: int


class _Line(msgspec.Struct, omit_defaults=True):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str | None = None
    key_base64: str | None = None
    headers: list[list[str | None]] = []
    value: msgspec.Raw = msgspec.Raw(b"null")
    value_base64: str | None = None


_encoder = msgspec.json.Encoder()
_header, _positions = msgspec.json.Decoder(Header), msgspec.json.Decoder(Positions)
_ticks, _line = msgspec.json.Decoder(_Ticks), msgspec.json.Decoder(_Line)
_any = msgspec.json.Decoder()

#: What decoding raises: a ValueError for text that is no UTF-8.
_NOT_DECODED = (msgspec.MsgspecError, ValueError, RecursionError)


class NotARecording(ValueError):
    """A line that no recorder wrote. The text is one line."""


def is_recording(first_line: bytes) -> bool:
    """Whether a file that begins so is a recording."""
    return first_line.startswith(FIRST)


def header_line(header: Header) -> bytes:
    """The first line, with its end."""
    return _encoder.encode(header) + b"\n"


def header_of(line: bytes) -> Header:
    """The header in a first line. Raises NotARecording."""
    try:
        header = _header.decode(line)
    except _NOT_DECODED as problem:
        raise NotARecording(f"the first line is no header of a recording: {problem}") from None
    if header.recording != VERSION:
        raise NotARecording(f"a recording of version {header.recording}; this program reads version {VERSION}")
    return header


def positions_line(positions: Positions) -> bytes:
    """The line, with its end, that tells how far a recorder has come."""
    return _encoder.encode(positions) + b"\n"


def positions_in(line: bytes) -> Positions | None:
    """How far the recorder had come; None if the line tells something else. Raises NotARecording."""
    if not line.startswith(_POSITIONS):
        return None
    try:
        return _positions.decode(line)
    except _NOT_DECODED as problem:
        raise NotARecording(str(problem)) from None


def item_line(item: Record | TimePassed) -> bytes:
    """The line, with its end, of a record or a tick."""
    if isinstance(item, TimePassed):
        return _encoder.encode(_Ticks(item.milliseconds, item.stage, item.partition)) + b"\n"
    line = _Line(item.topic, item.partition, item.offset, item.timestamp)
    if item.key is not None:
        line.key, line.key_base64 = _text(item.key)
    if item.headers:
        line.headers = [_written(name, value) for name, value in item.headers]
    if item.value is not None:
        if _stands_as_it_is(item.value):
            line.value = msgspec.Raw(item.value)
        else:
            line.value_base64 = b64encode(item.value).decode()
    return _encoder.encode(line) + b"\n"


def item_of(line: bytes) -> Item | None:
    """The record or the tick in a line after the first; None if it tells something else. Raises NotARecording."""
    if line.startswith(_POSITIONS):
        return None
    try:
        if line.startswith(_TICKS):
            ticks = _ticks.decode(line)
            return TimePassed(ticks.stage, ticks.partition, ticks.ticks)
        return _record(_line.decode(line))
    except _NOT_DECODED as problem:  # b64decode raises a ValueError too
        raise NotARecording(str(problem)) from None


def _record(line: _Line) -> SourceRecord:
    key = None if line.key is None else line.key.encode()
    if line.key_base64 is not None:
        key = b64decode(line.key_base64, validate=True)
    if line.value_base64 is not None:
        value: bytes | None = b64decode(line.value_base64, validate=True)
    else:
        value = bytes(line.value)
        value = None if value == b"null" else value
    headers = tuple(_read(each) for each in line.headers) if line.headers else ()
    return SourceRecord(line.topic, line.partition, line.offset, line.timestamp, key, value, headers)


def _text(data: bytes) -> tuple[str | None, str | None]:
    """Bytes as text where they are, else as base64."""
    try:
        return data.decode(), None
    except UnicodeDecodeError:
        return None, b64encode(data).decode()


def _stands_as_it_is(value: bytes) -> bool:
    """Whether a value can be part of a line: one JSON document without an end of line, told from a tombstone."""
    if value == b"null" or b"\n" in value or b"\r" in value or value.strip() != value:
        return False
    try:
        value.decode()
        _any.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _written(name: str, value: bytes | None) -> list[str | None]:
    if value is None:
        return [name]
    text, base64 = _text(value)
    return [name, text] if base64 is None else [name, None, base64]


def _read(header: Sequence[str | None]) -> tuple[str, bytes]:
    name, text, base64 = (*header, None, None)[:3]
    if len(header) == 1:
        return str(name), None  # type: ignore[return-value]  # Kafka knows headers without a value
    return str(name), (text or "").encode() if base64 is None else b64decode(base64, validate=True)
