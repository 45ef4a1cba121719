"""docs/settings.md describes every key that there is, with its default, and no other."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agents.settings import AGENTS, Settings
from agents.settings.keys import known_keys
from streams.duration import format_duration

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
ROW = re.compile(r"^\| `([^`]+)` \| (.+) \| (.+) \| .+ \|$", re.MULTILINE)
EXAMPLE = re.compile(r"```toml\n(.*?)```", re.DOTALL)

DOCUMENTED = {key: default.strip() for key, _, default in ROW.findall(DOCUMENT.read_text())}


def default_text(key: str, field: FieldInfo) -> str:
    """The default as the document writes it."""
    value = field.get_default(call_default_factory=True)
    if key == "agents" and value == list(AGENTS):
        return "all"
    if key.endswith(".name") and value == "":
        return "hash of the entry"
    if key == "monitor[].higher_is_better" and value is None:
        return "by the metric"
    if field.is_required():
        return "required"
    if value is None:
        return "none"
    if value in ([], {}):
        return "empty"
    if isinstance(value, BaseModel):
        return "all defaults"
    if isinstance(value, list):
        return f"`{json.dumps(value)}`" if all(isinstance(each, str) for each in value) else "one, all defaults"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        return f'`"{format_duration(value)}"`'
    return f"`{value}`" if isinstance(value, int | float) else f'`"{value}"`'


def test_every_key_is_documented_and_no_other() -> None:
    assert set(DOCUMENTED) == set(known_keys())


def test_every_key_is_documented_once() -> None:
    keys = [key for key, _, _ in ROW.findall(DOCUMENT.read_text())]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("key", known_keys())
def test_the_documented_default_is_the_real_one(key: str) -> None:
    assert DOCUMENTED[key] == default_text(key, known_keys()[key])


@pytest.mark.parametrize("example", EXAMPLE.findall(DOCUMENT.read_text()))
def test_every_example_can_be_used_as_it_stands(example: str) -> None:
    Settings(**tomllib.loads(example))
