"""The messages as documents for programs in other languages: a JSON Schema of each, and one AsyncAPI 3 document of all.

What pydantic generates is completed where its models say more than it writes down: `type` is there in every message,
a map's keys are all of one form, times lie between 2000 and 2100, and `metrics` has at least one value. What JSON
Schema cannot say stays in the descriptions: columns of equal length, integers without a decimal point.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from schemas.fields import EARLIEST, LATEST
from schemas.message import Message
from schemas.metrics import RATIOS
from schemas.parse import type_of
from schemas.topics import TOPICS, TopicSpec

Document = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI: Final = "3.0.0"

#: RFC 3339, for validators that do not look at formats.
_TIME: Final = r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"

#: What the workers read; the other topics they write. Trainers and runners write `experiments`, trackers read it.
_READ: Final = {"metrics", "experiments"}

_WHAT: Final = {
    "metrics": "What inference fleets and other monitors report. The only topic that a fleet needs.",
    "drift": "What the monitor found: drift, breached minima, and findings of other monitors.",
    "retrain": "Requests for retraining, by the policy or by people.",
    "trial-requests": "Trials for runners. Keyed by trial, so that one model's trials spread.",
    "trials": "What came of trials and of studies.",
    "models": "Versions of models and their aliases. Compacted: the last of each key is kept.",
    "status": "How each model is doing. Compacted: the last of each model is kept.",
    "experiments": "Training runs, epoch by epoch.",
    "alerts": "What people should know; each is firing or resolved.",
    "dead-letter": "Records that could not be read or processed, with the reason.",
    "alert-handling": "What people said of alerts: mutes and acknowledgements.",
    "audit": "What people did.",
}

#: Attributes of CloudEvents in binary mode, as on everything that is written here; none is needed on input.
_HEADERS: Final[Document] = {
    "type": "object",
    "description": "CloudEvents 1.0 in Kafka's binary mode.",
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "description": "The message's event_id."},
        "ce_source": {"type": "string"},
        "ce_type": {"type": "string", "description": "`visutility.` and the message's type."},
        "ce_subject": {"type": "string", "description": "The model's name."},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": {"type": "string", "const": "application/json"},
    },
}


def message_schemas() -> dict[str, Document]:
    """The JSON Schema of every message by its `type`; `x-topics` names the topics it travels on, without prefix."""
    return {
        type_of(message): {"$schema": DIALECT, **_schema_of(message), "x-topics": topics}
        for message, topics in _topics_of_messages().items()
    }


def asyncapi_document(version: str) -> Document:
    """All topics and their messages as one AsyncAPI document, from the workers' side; `version` is this release's."""
    messages, schemas = dict[str, Document](), dict[str, Document]()
    for message in _topics_of_messages():
        payload = _schema_of(message)
        schemas |= {name: _moved(part) for name, part in payload.pop("$defs", {}).items()}
        messages[type_of(message)] = _message(message, _moved(payload))
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "VisuTility Streams",
            "version": version,
            "description": "Watches machine-learning models over Kafka, and retrains and promotes them.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {spec.name: _channel(spec) for spec in TOPICS.values()},
        "operations": {f"{_action(spec)}-{spec.name}": _operation(spec) for spec in TOPICS.values()},
        "components": {"messages": messages, "schemas": schemas},
    }


def _topics_of_messages() -> dict[type[Message], list[str]]:
    topics: dict[type[Message], list[str]] = {}
    for spec in TOPICS.values():
        for message in spec.classes:
            topics.setdefault(message, []).append(spec.name)
    return topics


def _schema_of(message: type[Message]) -> Document:
    schema = message.model_json_schema(by_alias=True, mode="validation")
    for part in _objects(schema):
        _say_keys(part)
        _say_times(part)
    # Of messages and of objects inside them: what tells one from another must be there.
    schema["required"] = ["type", *schema.get("required", [])]
    if type_of(message) == "metrics":
        values = [{"required": [name], "properties": {name: {"type": "number"}}} for name in RATIOS]
        schema["anyOf"] = [*values, {"required": ["extras"], "properties": {"extras": {"minProperties": 1}}}]
    return schema


def _objects(schema: Any) -> Iterator[Document]:
    """Every object inside a schema."""
    if isinstance(schema, dict):
        yield schema
        for value in list(schema.values()):
            yield from _objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _objects(value)


def _say_keys(part: Document) -> None:
    """A key that the one pattern does not fit is refused, rather than free."""
    patterns = part.get("patternProperties")
    if isinstance(patterns, dict) and len(patterns) == 1:
        del part["patternProperties"]
        [(pattern, part["additionalProperties"])] = patterns.items()
        part["propertyNames"] = {**part.get("propertyNames", {}), "pattern": pattern}


def _say_times(part: Document) -> None:
    kinds = part.get("anyOf")
    if isinstance(kinds, list) and {"type": "string", "format": "date-time"} in kinds and {"type": "number"} in kinds:
        part["anyOf"] = [
            {"type": "string", "format": "date-time", "pattern": _TIME},
            {"type": "number", "minimum": int(EARLIEST.timestamp()), "exclusiveMaximum": int(LATEST.timestamp())},
        ]


def _moved(schema: Document) -> Document:
    """The same as AsyncAPI has it, whose schemas are of draft 7: references into the one document, pairs in `items`."""
    for part in _objects(schema):
        if isinstance(part.get("prefixItems"), list):
            part["items"] = part.pop("prefixItems")
        if isinstance(part.get("$ref"), str):
            part["$ref"] = part["$ref"].replace("#/$defs/", "#/components/schemas/")
    return schema


def _message(message: type[Message], payload: Document) -> Document:
    summary, _, rest = (message.__doc__ or "").strip().partition("\n")
    keys = {spec.key for spec in TOPICS.values() if message in spec.classes}
    return {
        "name": type_of(message),
        "title": message.__name__,
        "summary": summary,
        **({"description": rest.strip()} if rest.strip() else {}),
        "contentType": "application/json",
        "headers": _HEADERS,
        "payload": payload,
        "bindings": {"kafka": {"key": {"type": "string", "description": "; ".join(sorted(keys))}, **_BINDING}},
    }


_BINDING: Final = {"bindingVersion": "0.5.0"}


def _channel(spec: TopicSpec) -> Document:
    configuration: Document = {"cleanup.policy": [spec.cleanup]}
    if spec.retention is not None:
        configuration["retention.ms"] = spec.retention // timedelta(milliseconds=1)
    return {
        "address": "{prefix}" + spec.name,
        "description": f"{_WHAT[spec.name]} Key: {spec.key}.",
        "parameters": {"prefix": {"description": "The setting topic_prefix.", "default": "visutility."}},
        "messages": {type_of(kind): {"$ref": f"#/components/messages/{type_of(kind)}"} for kind in spec.classes},
        "bindings": {"kafka": {"topicConfiguration": configuration, **_BINDING}},
    }


def _action(spec: TopicSpec) -> str:
    return "receive" if spec.name in _READ else "send"


def _operation(spec: TopicSpec) -> Document:
    channel = f"#/channels/{spec.name}"
    return {
        "action": _action(spec),
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{type_of(kind)}"} for kind in spec.classes],
    }
