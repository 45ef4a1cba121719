"""What docs/settings.md tells of a field and its type does not: a unit, how it is written, what holds without it.

It stands in the field's JSON Schema, beside the meaning, which is the field's docstring.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pydantic.fields import FieldInfo


def counted(unit: str, least: int, most: int | None = None, **told: str) -> FieldInfo:
    """A whole number of something, within limits that count."""
    return _field({"unit": unit} | told, ge=least, le=most)


def written_as(kind: str, **limits: Any) -> FieldInfo:
    """What is to be written there, in a few words; `limits` are pydantic's."""
    return _field({"expected": kind}, **limits)


def unset(means: str) -> FieldInfo:
    """What holds where the key is not set, and the default does not say so."""
    return _field({"unset": means})


def _field(told: dict[str, Any], **limits: Any) -> FieldInfo:
    made: FieldInfo = Field(json_schema_extra=told, **limits)
    return made
