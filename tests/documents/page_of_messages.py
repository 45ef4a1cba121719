"""docs/messages.md, from the registry of topics and the JSON Schema of each message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from schemas.message import Message
from schemas.parse import type_of
from schemas.topics import TOPICS, TopicSpec
from tests.documents.markdown import cell, paragraphs

COMMON = ("type", "event_id", "model_name", "model_version", "timestamp", "labels")
"""Fields that the page tells once."""

_HEAD = """# Messages

What travels on each topic; on Kafka a topic's name has the prefix of the [settings](settings.md), `visutility.`, before
it. A value is one flat JSON object. Fields that are not known are ignored; an unknown `type`, and a value out of its
range, is a dead letter with the reason. `visutility schemas export DIR` writes the same as JSON Schema.

## Common fields

Every message has these; of those that fleets send `type`, `model_name` and `timestamp` are required.

| field | value | |
| --- | --- | --- |
| `type` | text | the kind of message: the headings below |
| `event_id` | text of 1 to 256 characters | identifies the event; may be left out on input |
| `model_name` | text of 1 to 249 characters | the model; in the record's key too |
| `model_version` | text of at most 128 characters | may be left out on input: then it is empty |
| `timestamp` | RFC 3339 with offset; on input epoch seconds too | when it happened; output is UTC with `Z` |
| `labels` | up to 32 texts by name | segments: `{"region": "eu"}` |
"""


_TIME = "RFC 3339 time with offset; on input epoch seconds too"
_VALUE = "number, text of at most 1000 characters, true or false"


def messages_page() -> str:
    """The page."""
    topics = "".join(_topic(spec) for spec in TOPICS.values())
    return f"{_HEAD}{topics}\n## Objects inside messages\n{''.join(_part(*each) for each in _objects())}"


def _topic(spec: TopicSpec) -> str:
    kept = "compacted" if spec.retention is None else f"kept {spec.retention.days} days"
    head = f"\n## Topic {spec.name}\n\nKey: {spec.key}; {kept}.\n"
    return head + "".join(_message(message, spec) for message in spec.classes)


def _message(message: type[Message], spec: TopicSpec) -> str:
    name = type_of(message)
    first = next(each for each in TOPICS.values() if message in each.classes)
    if first is not spec:
        return f"\n### {name} on {spec.name}\n\nAs [on {first.name}](#{name}).\n"
    rows = [row for field, row in _rows(message.model_json_schema(by_alias=True)) if field not in COMMON]
    return f"\n### {name}\n\n{_described(message.__doc__)}\n{_table(rows)}"


@cache
def _definitions() -> dict[str, dict[str, Any]]:
    """The JSON Schema of whatever messages hold that has a class of its own, by its name."""
    schemas = [message.model_json_schema(by_alias=True) for spec in TOPICS.values() for message in spec.classes]
    return {name: part for schema in schemas for name, part in schema.get("$defs", {}).items()}


def _objects() -> Iterator[tuple[str, dict[str, Any]]]:
    """Those that are objects and no messages, by name."""
    for name, part in sorted(_definitions().items()):
        if "properties" in part and "model_name" not in part["properties"]:
            yield name, part


def _part(name: str, schema: dict[str, Any]) -> str:
    return f"\n### {name}\n\n{_described(schema.get('description'))}\n{_table([row for _, row in _rows(schema)])}"


def _described(text: str | None) -> str:
    return paragraphs(re.sub(r"\n +", "\n", text or ""))


def _table(rows: list[str]) -> str:
    if not rows:
        return "\nNo fields beside the common ones.\n"
    return "\n| field | value | |\n| --- | --- | --- |\n" + "".join(rows)


def _rows(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each field with its row. Of an optional one it goes without saying that it may be null."""
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        kind = _kind(field)
        how = "required" if name in required else "optional"
        told = f"; {cell(field['description'])}" if "description" in field else ""
        yield name, f"| `{name}` | {kind if how == 'required' else kind.removesuffix(', or null')} | {how}{told} |\n"


def _kind(schema: dict[str, Any]) -> str:
    """A JSON Schema in a few words."""
    if "expected" in schema:
        is_time = schema["expected"].startswith("an RFC 3339")
        return _TIME if is_time else _VALUE + (", or null" if schema["expected"].endswith("or null") else "")
    if "$ref" in schema:
        return _reference(schema["$ref"].rsplit("/", 1)[1])
    if "anyOf" in schema:
        kinds = dict.fromkeys(_kind(each) for each in schema["anyOf"])
        return " or ".join(kind for kind in kinds if kind != "null") + (", or null" if "null" in kinds else "")
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema.get("enum", [schema.get("const")]))
    return _plain(schema)


def _reference(name: str) -> str:
    part = _definitions()[name]
    if "enum" in part:
        return _kind(part)
    title = part["properties"]["type"]["const"] if "model_name" in part["properties"] else name
    return f"[{title}](#{title.lower()})"


def _plain(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "any value")
    if kind == "array" and "prefixItems" in schema:
        return "list: " + ", ".join(_kind(each) for each in schema["prefixItems"])
    if kind == "array":
        return f"list{_size(schema, 'Items', 'items')}: {_kind(schema['items'])}"
    if kind == "object":
        inside = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
        values = f": {_kind(inside)}" if isinstance(inside, dict) else ""
        return f"object by name{_size(schema, 'Properties', 'entries')}{values}"
    if kind == "string":
        digits = "0-9a-f" in schema.get("pattern", "")
        return "text of 64 hexadecimal digits" if digits else f"text{_size(schema, 'Length', 'characters')}"
    words = {"number": "number", "integer": "whole number", "boolean": "true or false"}
    return words.get(kind, str(kind)) + _range(schema)


def _size(schema: dict[str, Any], what: str, unit: str) -> str:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}")
    if most is None:
        return ""
    return f" of {least} to {most} {unit}" if least else f" of at most {most} {unit}"


def _range(schema: dict[str, Any]) -> str:
    """Of a number; that it has 64 bits is not told."""
    least, most = schema.get("minimum"), schema.get("maximum")
    if most is None or most >= 2**63 - 1:
        return f" from {least:g}" if least is not None and least > -(2**63) else ""
    return f" from {least:g} to {most:g}"
