"""How a condition is written on `notify-changelog`, a table: a worker that starts anew goes on where it was."""

from __future__ import annotations

import json
from typing import Final

from pydantic import TypeAdapter, ValidationError

from agents.notify.core import Condition, Key

_CONDITIONS: Final = TypeAdapter(Condition)
_KEYS: Final = TypeAdapter(Key)


def key_bytes(key: Key) -> bytes:
    """A condition's key as a record has it."""
    return json.dumps(key).encode()


def condition_bytes(condition: Condition | None) -> bytes | None:
    """A condition as a record has it; None, a tombstone, for one that is forgotten."""
    return None if condition is None else _CONDITIONS.dump_json(condition)


def saved(key: bytes | None, value: bytes | None) -> tuple[Key, Condition | None] | None:
    """What a record says; None if it is none of these."""
    try:
        return _KEYS.validate_json(key or b""), None if value is None else _CONDITIONS.validate_json(value)
    except ValidationError:
        return None
