"""CloudEvents 1.0 over Kafka: attributes as `ce_*` headers (binary mode) or around the data (structured mode).

Source: CloudEvents Kafka protocol binding 1.0.2, sections 3.2 and 3.3. A message stands by itself without them; where
it lacks `type`, `event_id`, `timestamp` or `model_name`, the attributes `type`, `id`, `time` and `subject` fill it.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from schemas.fields import described
from schemas.message import InvalidMessage, Message

SPEC_VERSION = "1.0"
TYPE_PREFIX = "visutility."

_FIELD_OF = {"type": "type", "id": "event_id", "time": "timestamp", "subject": "model_name"}
_ATTRIBUTES = {f"ce_{attribute}": attribute for attribute in ("specversion", *_FIELD_OF)}


def headers_of(message: Message, source: str = "visutility") -> list[tuple[str, bytes]]:
    """The record headers of a message in binary mode; `source` says what published it (a URI reference)."""
    attributes = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": message.event_id or "",
        "ce_source": source,
        "ce_type": TYPE_PREFIX + message.type,
        "ce_subject": message.model_name,
        "ce_time": message.timestamp.isoformat().replace("+00:00", "Z"),
        "content-type": "application/json",
    }
    # An attribute that is present must not be empty.
    return [(name, value.encode()) for name, value in attributes.items() if value]


def attributes_in(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    """The attributes among a record's headers, without their prefix; a header that is not UTF-8 is left out."""
    found = {}
    for name, value in headers:
        attribute = _ATTRIBUTES.get(name)
        if attribute is not None and value is not None:
            try:
                found[attribute] = value.decode()
            except UnicodeDecodeError:
                continue
    return found


def unwrapped(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The message in a structured-mode event, its gaps filled from the attributes; None if it is no such event.

    Raises `InvalidMessage` for an event whose version or data cannot be read.
    """
    if "specversion" not in document or "model_name" in document:
        return None
    if document["specversion"] != SPEC_VERSION:
        raise InvalidMessage(f"specversion: expected '1.0', got {described(document['specversion'])}")
    data = _decoded(document["data_base64"]) if "data_base64" in document else document.get("data", {})
    if not isinstance(data, dict):
        raise InvalidMessage(f"data: expected a JSON object, got {described(data)}")
    return filled(data, document)


def filled(data: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with the fields it lacks taken from the attributes; a type's dotted prefix is dropped."""
    fields = {field: attributes[name] for name, field in _FIELD_OF.items() if name in attributes}
    if isinstance(fields.get("type"), str):
        fields["type"] = fields["type"].rpartition(".")[2]
    present = {name: value for name, value in data.items() if value is not None or name not in fields}
    return {**fields, **present}


def filled_json(value: bytes, attributes: Mapping[str, Any]) -> bytes:
    """The same for a JSON text; one that is not an object comes back unchanged."""
    try:
        data = from_json(value)
    except ValueError:
        return value
    return to_json(filled(data, attributes), inf_nan_mode="constants") if isinstance(data, dict) else value


def _decoded(text: Any) -> Any:
    try:
        return from_json(b64decode(text, validate=True))
    except (TypeError, ValueError):
        raise InvalidMessage(f"data_base64: expected JSON in base64, got {described(text)}") from None
