"""Single settings by their path, as `--set` gives them: `monitor[0].detector.threshold=2.5`.

A path is written as in docs/settings.md, with the number of the entry in a list of rules; a name with a dot in it
stands in quotes: `retrain[0].min."extras.auc"=0.9`. A value is TOML's; a word that is none (`cusum`, `10m`) is a text.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final

from agents.settings.keys import known_keys, nearest_key, written
from agents.settings.root import Settings
from agents.settings.security import SECRETS

Path = tuple[str | int, ...]

_PART: Final = re.compile(r'\.?(?:([A-Za-z_][\w-]*)|"([^"]+)")|\[(\d{1,4})\]', re.ASCII)
_WORD: Final = re.compile(r"[\w*?][\w.*?:/-]*", re.ASCII)

#: Tables whose names are the user's own; and the detector's, which the rule checks.
_OPEN: Final = ("monitor[].detector", "retrain[].min", "tune[].space", "tune[].options", "tune[].sampler_options",
                "tune[].pruner_options")  # fmt: skip


class PathError(ValueError):
    """A path or value that cannot be. The message is one line; it begins with what was given."""


def parse_setting(text: str) -> tuple[Path, Any]:
    """Path and value of `PATH=VALUE`. Raises PathError if it cannot be read, or no setting has this path."""
    written_path, equals, value = text.partition("=")
    path = _parse_path(written_path.strip())
    if not equals:
        raise PathError(f"{text}: expected PATH=VALUE, such as monitor[0].detector.threshold=2.5")
    _check(path)
    return path, _parse_value(written_path.strip(), value.strip())


def with_settings(tables: dict[str, Any], settings: Sequence[tuple[Path, Any]]) -> dict[str, Any]:
    """The tables of a settings file with some values replaced. Raises PathError for an entry that is not there."""
    for path, value in settings:
        tables = _replaced(tables, path, value, ())
    return tables


def _parse_path(text: str) -> Path:
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None or (found[3] is None and bool(parts) != text[at:].startswith(".")):
            raise PathError(f"{text}: not a path: expected names with dots between, and [N] behind a list's name")
        name, quoted, number = found.groups()
        parts.append(int(number) if number is not None else name or quoted)
        at = found.end()
    if not parts or isinstance(parts[0], int):
        raise PathError(f"{text or '(nothing)'}: expected the name of a setting; docs/settings.md lists them")
    return tuple(parts)


def _check(path: Path) -> None:
    """Raises PathError, with the nearest path that there is, if no setting has this one."""
    keys = known_keys()
    lists = {key.rpartition("[]")[0] for key in keys if "[]" in key}
    key = ""
    for place, part in enumerate(path):
        if isinstance(part, int):
            if key not in lists:
                raise PathError(f"{written(path)}: {key} is no list of tables")
            key += "[]"
            continue
        if key in _OPEN:
            return
        if key in lists:
            raise PathError(f"{written(path)}: {key} is a list: did you mean {key}[0].{written(path[place:])}?")
        below = f"{key}.{part}" if key else part
        if below in SECRETS:
            raise PathError(f"{below}: a command line is seen by everyone: use VISUTILITY_{below.upper()} or a file")
        if below not in keys:
            raise PathError(f"{written(path)}: unknown setting{_hint(path, place)}")
        key = below


def _hint(path: Path, place: int) -> str:
    near = nearest_key(path[: place + 1])
    if near is None:
        spelt = get_close_matches(re.sub(r"\[\d+\]", "[]", written(path)), known_keys(), n=1)
        return f"; did you mean {spelt[0].replace('[]', '[0]')}?" if spelt else "; docs/settings.md lists them"
    parent = written(path[:place])
    return f"; did you mean {parent + '.' if parent else ''}{near}?"


def _parse_value(path: str, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if _WORD.fullmatch(text):
            return text
        raise PathError(f'{path}: expected a value as TOML has it (2.5, true, "text", [1, 2]), got {text!r}') from None


def _replaced(table: Any, path: Path, value: Any, done: Path) -> Any:
    """A copy with the value in its place; `done` leads to this table."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    here = (*done, first)
    if isinstance(first, int):
        if first >= len(table):
            there = "1 entry, [0]" if len(table) == 1 else f"{len(table)} entries"
            raise PathError(f"{written((*here, *rest))}: {written(done)} has {there}")
        return [_replaced(each, rest, value, here) if number == first else each for number, each in enumerate(table)]
    if not isinstance(table, dict):
        raise PathError(f"{written((*here, *rest))}: {written(done)} is {table!r}, no table")
    # A list of rules that is not in the file has its default, one entry (of tune: none).
    absent: Any = ([{}] if first in ("monitor", "retrain") else []) if not done and first in Settings.LISTS else {}
    return {**table, first: _replaced(table.get(first, absent) if rest else None, rest, value, here)}
