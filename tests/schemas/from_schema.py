"""Messages made from a JSON Schema alone: what a program in another language would take for valid.

It knows the keywords that our documents use, and stops at any other, so that none is passed over in silence.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]
Strategy = st.SearchStrategy[Any]

_FIRST, _LAST = datetime(2000, 1, 1), datetime(2099, 12, 31, 23, 59, 59)  # noqa: DTZ001 (in UTC, as written)

#: Say nothing about what is valid.
_SILENT = {"$schema", "$defs", "title", "description", "default", "expected", "x-topics"}
_KNOWN = _SILENT | {
    *("$ref", "anyOf", "type", "const", "enum", "minimum", "maximum", "exclusiveMaximum", "minLength", "maxLength"),
    *("pattern", "format", "items", "prefixItems", "minItems", "maxItems", "properties", "required", "propertyNames"),
    *("additionalProperties", "maxProperties", "minProperties"),
}

#: Characters that any of our patterns allows, and a few beside them.
_CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="/@")
_PATTERNS: dict[str, Strategy] = {
    "^[0-9a-f]{64}$": st.text("0123456789abcdef", min_size=64, max_size=64),
}


class SchemaMessages:
    """The strategies of one document; references are looked up in its `$defs`."""

    def __init__(self, document: Schema) -> None:
        self._document = document

    def messages(self) -> Strategy:
        """Objects that are valid under the document."""
        return self._of(self._document)

    def _of(self, schema: Schema) -> Strategy:
        unknown = schema.keys() - _KNOWN
        assert not unknown, f"keywords that this does not know: {sorted(unknown)}"
        if "$ref" in schema:
            return self._of(self._document["$defs"][schema["$ref"].rpartition("/")[2]])
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        if "anyOf" in schema and "properties" in schema:  # one of several sets of members must be there
            return st.sampled_from(schema["anyOf"]).flatmap(lambda more: self._object(_joined(schema, more)))
        if "anyOf" in schema:
            return st.one_of([self._of(each) for each in schema["anyOf"]])
        kinds = schema["type"]
        return st.one_of([self._kind(kind, schema) for kind in (kinds if isinstance(kinds, list) else [kinds])])

    def _kind(self, kind: str, schema: Schema) -> Strategy:
        match kind:
            case "null":
                return st.none()
            case "boolean":
                return st.booleans()
            case "integer":
                return st.integers(schema.get("minimum", -(2**63)), schema.get("maximum", 2**63 - 1))
            case "number":
                return _number(schema)
            case "string":
                return _text(schema)
            case "array" if "prefixItems" in schema:
                return st.tuples(*map(self._of, schema["prefixItems"])).map(list)
            case "array":
                least = schema.get("minItems", 0)
                return st.lists(self._of(schema["items"]), min_size=least, max_size=least + 2)
            case "object":
                return self._object(schema)
        raise AssertionError(f"no such type: {kind}")

    def _object(self, schema: Schema) -> Strategy:
        if "properties" not in schema:
            return self._map(schema)
        members = {name: self._of(part) for name, part in schema["properties"].items()}
        needed = {name: members.pop(name) for name in dict.fromkeys(schema.get("required", ()))}
        unknown = st.dictionaries(st.sampled_from(["x", "unknown field"]), st.none() | st.integers(0, 9), max_size=1)
        known = st.fixed_dictionaries(needed, optional=members)
        return st.builds(lambda more, fields: {**more, **fields}, unknown, known)

    def _map(self, schema: Schema) -> Strategy:
        names = _text({"type": "string", **schema.get("propertyNames", {})})
        most, least = schema.get("maxProperties", 3), schema.get("minProperties", 0)
        values = self._of(schema["additionalProperties"])
        return st.dictionaries(names, values, min_size=least, max_size=min(most, least + 3))


def _joined(schema: Schema, more: Schema) -> Schema:
    properties = {**schema["properties"]}
    for name, part in more["properties"].items():
        narrowed = {**properties[name], **part}
        narrowed.pop("anyOf", None)
        kinds = [each for each in properties[name].get("anyOf", ()) if each.get("type") == part.get("type")]
        properties[name] = {**narrowed, **kinds[0]} if kinds else narrowed
    required = [*schema.get("required", ()), *more.get("required", ())]
    return {"type": "object", "properties": properties, "required": required}


def _number(schema: Schema) -> Strategy:
    low, high = schema.get("minimum"), schema.get("maximum", schema.get("exclusiveMaximum"))
    floats = st.floats(low, high, exclude_max="exclusiveMaximum" in schema, allow_nan=False, allow_infinity=False)
    most = 2**53 if high is None else int(high) - ("exclusiveMaximum" in schema)
    return floats | st.integers(-(2**53) if low is None else low, most)


def _text(schema: Schema) -> Strategy:
    if schema.get("format") == "date-time":
        return st.datetimes(_FIRST, _LAST).map(lambda time: time.isoformat() + "Z")
    if schema.get("pattern") in _PATTERNS:
        return _PATTERNS[schema["pattern"]]
    least, most = schema.get("minLength", 0), schema.get("maxLength", 30)
    few = st.text(_CHARACTERS, min_size=least, max_size=min(most, least + 12))
    return few | st.just("m" * most) if most <= 1_000 else few
