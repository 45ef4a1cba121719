"""The tables of docs/settings.md, from the settings' own fields: their types, limits, defaults and docstrings.

What is around them is written by hand. A table stands between two comments, the first of which names its keys; a key
that is a table, or a list of tables, brings all that is in it:

    <!-- settings: delivery monitor -->
    <!-- end of settings -->
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agents.settings import Settings
from agents.settings.keys import known_keys
from streams.duration import format_duration
from tests.documents.fences import ROOT
from tests.documents.markdown import cell

DOCUMENT: Path = ROOT / "docs" / "settings.md"

_TABLE = re.compile(r"(<!-- settings: ([^>]*?) -->\n)(.*?)(<!-- end of settings -->)", re.DOTALL)
_HEAD = "| key | type | default | meaning |\n| --- | --- | --- | --- |\n"


def settings_page() -> str:
    """The document with its tables as the code has them."""
    return _TABLE.sub(lambda found: f"{found[1]}\n{_table(found[2].split())}\n{found[4]}", DOCUMENT.read_text())


def keys_told() -> list[str]:
    """Every key that a table of the document tells, as often as it does."""
    return [key for found in _TABLE.finditer(DOCUMENT.read_text()) for key in _keys(found[2].split())]


def row(key: str) -> str:
    """A key's line: what it is, what may be written there, what holds without it, what it means."""
    field, schema = known_keys()[key], _schemas()[key]
    return f"| `{key}` | {_kind(schema)} | {_default(field, schema)} | {cell(field.description or '')} |\n"


def _table(names: list[str]) -> str:
    return _HEAD + "".join(map(row, _keys(names)))


def _keys(names: list[str]) -> list[str]:
    """The keys that are named, each with those within it, in the order of declaration."""
    return [key for name in names for key in known_keys() if key == name or key.startswith((f"{name}.", f"{name}[]."))]


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each key."""
    whole = Settings.model_json_schema()
    return dict(_walk(whole["properties"], whole["$defs"], ""))


def _walk(properties: dict[str, Any], tables: dict[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, schema in properties.items():
        yield prefix + name, schema
        listed = "[]" if "items" in schema else ""
        if found := re.search(r"'#/\$defs/(\w+)'", str(schema)):
            yield from _walk(tables[found[1]]["properties"], tables, f"{prefix}{name}{listed}.")


def _kind(schema: dict[str, Any]) -> str:
    """What may be written there, in a few words."""
    if "expected" in schema:
        return str(schema["expected"])
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "$ref" in schema:
        return "table"
    if "enum" in schema:
        return ", ".join(f'`"{each}"`' for each in schema["enum"])
    if schema.get("type") == "array":
        inside = _kind(schema["items"])
        return f"list of {inside}s" if inside in ("table", "text") else f"list of {inside}"
    return _plain(schema)


def _plain(schema: dict[str, Any]) -> str:
    kind = schema["type"]
    if kind == "string":
        return {"path": "path", "password": "text, a secret"}.get(schema.get("format", ""), f"text{_length(schema)}")
    if kind == "boolean":
        return "true, false"
    unit = f" of {schema['unit']}" if "unit" in schema else ""
    return {"integer": "whole number", "number": "number"}[kind] + unit + _range(schema)


def _range(schema: dict[str, Any]) -> str:
    if "exclusiveMinimum" in schema:
        return f" between {schema['exclusiveMinimum']:g} and {schema['exclusiveMaximum']:g}"
    # A field with a check of its own before pydantic's has its limits under pydantic's own names.
    least, most = schema.get("minimum", schema.get("ge")), schema.get("maximum", schema.get("le"))
    if least is None:
        return ""
    return f" from {least}" + ("" if most is None else f" to {most}")


def _length(schema: dict[str, Any]) -> str:
    if "maxLength" not in schema:
        return ""
    least = schema.get("minLength", 0)
    return f" of {f'{least} to' if least else 'at most'} {schema['maxLength']} characters"


def _default(field: FieldInfo, schema: dict[str, Any]) -> str:
    """What holds where the key is not set."""
    value = field.get_default(call_default_factory=True)
    if "unset" in schema:
        return str(schema["unset"])
    if field.is_required():
        return "required"
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return "all defaults"
    if isinstance(value, list) and value and isinstance(value[0], BaseModel):
        return "one, all defaults"
    if isinstance(value, list | dict):
        return f"`{json.dumps(value)}`" if value else "empty"
    if isinstance(value, timedelta):
        return f'`"{format_duration(value)}"`'
    return f"`{json.dumps(str(value) if isinstance(value, Path) else value)}`"
