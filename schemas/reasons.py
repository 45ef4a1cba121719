"""Why a message was rejected, in one line: `FIELD: expected …, got …`.

What was expected is read from the JSON Schema of the message, so that the two cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas.fields import NO_CONTROL, NO_CONTROL_NO_SEPARATOR, described

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_PATTERNS = {NO_CONTROL: "without control characters", NO_CONTROL_NO_SEPARATOR: "without control characters, / or @"}
_TAG_ERRORS = {"union_tag_invalid", "union_tag_not_found"}


def path_text(path: Sequence[str | int]) -> str:
    """A place in a JSON document: `extras.auc`, `y_true[3]`; `value` is the document itself."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if _PLAIN.fullmatch(step) else described(step)
            text += f".{name}" if text else name
    return text or "value"


def expected_text(schema: Mapping[str, Any]) -> str:
    """What a value must be, in words, from its JSON Schema."""
    if "expected" in schema:
        return str(schema["expected"])
    if "anyOf" in schema:
        # Null is left out: where it may stand, it was not what was wrong.
        return " or ".join(expected_text(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return f"one of {', '.join(map(repr, schema['enum']))}"
    kind = schema.get("type", "a valid value")
    if kind in {"number", "integer"}:
        return _number_text(kind, schema)
    if kind == "string":
        return f"a string{_bounds(schema, 'Length', ' characters')}{_pattern_text(schema)}"
    if kind == "array":
        return f"a list{_bounds(schema, 'Items', ' items')}"
    if kind == "object":
        return f"an object{_bounds(schema, 'Properties', ' entries')}"
    return str(kind)


def _number_text(kind: str, schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if kind == "integer":
        return f"an integer from {low} to {high}"
    if high is not None:
        return f"a number in [{low:g}, {high:g}]"
    return "a finite number" if low is None else f"a finite number of at least {low:g}"


def _bounds(schema: Mapping[str, Any], what: str, unit: str) -> str:
    low, high = schema.get(f"min{what}"), schema.get(f"max{what}")
    if high is None:
        return ""
    return f" of {low} to {high}{unit}" if low else f" of at most {high}{unit}"


def _pattern_text(schema: Mapping[str, Any]) -> str:
    pattern = schema.get("pattern")
    return "" if pattern is None else f" {_PATTERNS.get(pattern, f'matching {pattern}')}"


class Reasons:
    """Turns pydantic's errors about one topic's messages into reasons."""

    def __init__(self, adapter: TypeAdapter[Any], kinds: Sequence[str]) -> None:
        self._adapter = adapter
        self._kinds = kinds
        self._tagged = len(kinds) > 1
        self._schema: Mapping[str, Any] | None = None

    def of(self, error: ValidationError) -> str:
        """The first error's field, what was expected and what came, and how many more errors there are."""
        first = error.errors(include_url=False)[0]
        more = error.error_count() - 1
        reason = self._reason(first["type"], list(first["loc"]), first["input"], first.get("ctx", {}))
        return f"{reason} (and {more} more)" if more else reason

    def of_type(self, document: Mapping[str, Any]) -> str:
        """The reason for a `type` that is absent or not one of this topic's."""
        listed = ", ".join(map(repr, self._kinds))
        expected = f"one of {listed}" if self._tagged else listed
        return f"type: expected {expected}, got {described(document['type']) if 'type' in document else 'nothing'}"

    def _reason(self, kind: str, path: list[str | int], got: object, context: Mapping[str, Any]) -> str:
        if kind in _TAG_ERRORS and isinstance(got, dict):
            return self.of_type(got)
        if kind == "rejected":
            return self._own_reason(path, context)
        if not path:
            return f"value: expected a JSON object, got {described(got)}"
        is_key = path[-1] == "[key]"
        if is_key:
            path = path[:-2]
        expected = self._expected(path, is_key)
        field = path_text(path[1:] if self._tagged else path)
        return f"{field}: expected {expected}, got {'nothing' if kind == 'missing' else described(got)}"

    def _own_reason(self, path: list[str | int], context: Mapping[str, Any]) -> str:
        """One that a validator of this package gave; its `at` is a field of a whole message, or a place in a list."""
        field = path_text([*(path[1:] if self._tagged else path), *([context["at"]] if context["at"] != "" else [])])
        return f"{field}: expected {context['expected']}, got {context['got']}"

    def _expected(self, path: Sequence[str | int], is_key: bool) -> str:
        if self._schema is None:
            self._schema = self._adapter.json_schema()
        schema: Mapping[str, Any] = self._schema
        steps = list(path)
        if self._tagged:
            schema = {"$ref": schema["discriminator"]["mapping"][steps.pop(0)]}
        for step in steps:
            schema = _below(self._object(schema), step)
        if is_key:
            return f"keys that are {_key_text(self._object(schema))}"
        return expected_text(self._followed(schema))

    def _followed(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema itself where `schema` is a reference."""
        if self._schema is not None and "$ref" in schema:
            found: Mapping[str, Any] = self._schema["$defs"][schema["$ref"].rpartition("/")[2]]
            return found
        return schema

    def _object(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema that describes what is inside: of an optional object, the object's."""
        schema = self._followed(schema)
        if "anyOf" in schema:
            return self._followed(schema["anyOf"][0])
        return schema


def _below(schema: Mapping[str, Any], step: str | int) -> Mapping[str, Any]:
    found: Mapping[str, Any]
    if isinstance(step, int):
        found = schema.get("items", {})
    elif step in schema.get("properties", {}):
        found = schema["properties"][step]
    elif "patternProperties" in schema:  # A dict whose keys are held to a pattern: one, so one schema for all values.
        found = next(iter(schema["patternProperties"].values()))
    else:
        found = schema.get("additionalProperties", {})
    return found


def _key_text(schema: Mapping[str, Any]) -> str:
    names = {"type": "string", **schema.get("propertyNames", {})}
    for pattern in schema.get("patternProperties", {}):
        names["pattern"] = pattern
    return expected_text(names)
