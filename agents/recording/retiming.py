"""Times of a recording moved to another day: those of the records, and those inside of the messages. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from streams.records import Headers, Record

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.encode
_any = msgspec.json.decode

#: What decoding raises: a ValueError for text that is no UTF-8.
_NOT_DECODED = (msgspec.MsgspecError, ValueError, RecursionError)


class _Dated(msgspec.Struct):
    model_name: str = ""
    timestamp: float | str | None = None


_dated = msgspec.json.Decoder(_Dated).decode


def time_of(record: Record) -> float | None:
    """When a record was written, in epoch seconds; of one from a bare file the event's own time; None if neither."""
    if record.timestamp > 0:
        return record.timestamp / 1000
    message = _message(record.value)
    return None if message is None else _seconds(message.timestamp)


def key_of(record: Record) -> bytes | None:
    """A record's key; of one that never was on Kafka the model's name, as fleets key their records."""
    if record.key is not None or record.timestamp > 0:
        return record.key
    message = _message(record.value)
    return message.model_name.encode() if message is not None and message.model_name else None


def shifted(value: bytes | None, seconds: float) -> bytes | None:
    """A message whose times are so much later; all else stays as it is, to the byte. What is no message stays whole.

    Times are `timestamp` and `timestamps`, and `time` of a CloudEvents envelope with the message in its `data`.
    """
    if value is None or not seconds:
        return value
    try:
        members = _members(value)
        names = ("time", "data") if "specversion" in members else ("timestamp", "timestamps")
        changed = {name: _shifted_member(name, members[name], seconds) for name in names if name in members}
    except _NOT_DECODED:
        return value
    return _encode(members | changed) if changed else value


def shifted_headers(headers: Headers, seconds: float) -> Headers:
    """The headers with the CloudEvents time so much later."""
    return [(name, _shifted_text(value, seconds) if name == "ce_time" else value) for name, value in headers]


def _message(value: bytes | None) -> _Dated | None:
    try:
        return _dated(value) if value else None
    except _NOT_DECODED:
        return None


def _seconds(time: float | str | None) -> float | None:
    if not isinstance(time, str):
        return time
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return None


def _shifted_member(name: str, raw: msgspec.Raw, seconds: float) -> msgspec.Raw:
    if name == "data":
        return msgspec.Raw(shifted(bytes(raw), seconds) or b"null")
    time = _any(raw)
    return msgspec.Raw(
        _encode([_shifted(each, seconds) for each in time] if isinstance(time, list) else _shifted(time, seconds))
    )


def _shifted(time: Any, seconds: float) -> Any:
    """Epoch seconds, to the microsecond, or an RFC 3339 time; anything else as it is."""
    if isinstance(time, bool) or not isinstance(time, int | float | str):
        return time
    try:
        if not isinstance(time, str):
            return round(time + seconds, 6)
        return (datetime.fromisoformat(time) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return time


def _shifted_text(value: bytes, seconds: float) -> bytes:
    try:
        return str(_shifted(value.decode(), seconds)).encode()
    except (AttributeError, UnicodeDecodeError):  # a header's value may be null
        return value
