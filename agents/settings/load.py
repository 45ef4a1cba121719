"""Puts file, environment and command line together, and says in one line what is wrong with them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pydantic_settings
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from agents.settings.keys import nearest_key, written
from agents.settings.paths import PathError, parse_setting, with_settings
from agents.settings.root import Settings
from agents.settings.security import SECRETS

DEFAULT_FILE = Path("visutility.toml")
"""Read from the working directory where no other file is named, if it is there."""

_PREFIX = "VISUTILITY_"
_CONFIG = f"{_PREFIX}CONFIG"

#: How many faults one line names; the rest are counted.
_MOST_FAULTS = 3

#: What commands call by several names: --bootstrap, --from and --to.
_NAMED = {"bootstrap_servers": "Kafka's address"}

#: Whose values no error shows.
_TOLD_OF_NONE = ("notify", *SECRETS)

_EXPECTED = {
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "finite_number": "expected a finite number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "string_type": "expected a text",
    "path_type": "expected a path",
    "list_type": "expected a list (of tables: [[NAME]])",
    "dict_type": "expected a table",
    "model_type": "expected a table",
}


class SettingsError(ValueError):
    """The settings cannot be used. The message is one line: where, what was expected, what was found."""


def load_settings(file: str | Path | None = None, changes: Sequence[str] = (), **overrides: Any) -> Settings:
    """The settings of `file`, then of the environment, then `changes`, then `overrides` (None: not given).

    The later wins. `file` None means `$VISUTILITY_CONFIG`, else `visutility.toml` here if there is one, else the
    defaults alone. `changes` are single settings, `PATH=VALUE` (`agents.settings.paths`).
    Raises SettingsError for a file that cannot be read, an unknown key or a bad value.
    """
    path = _chosen_file(file)
    in_file = {} if path is None else _read(path)
    in_environment = _environment()
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        parsed = [parse_setting(change) for change in changes]
        tables = with_settings({**in_file, **in_environment}, parsed)
    except PathError as problem:
        raise SettingsError(f"--set {problem}") from None
    try:
        return Settings(**{**tables, **given})
    except ValidationError as invalid:
        changed = [place for place, _ in parsed]
        raise SettingsError(_one_line(invalid, path, in_environment, given, changed)) from None


def _chosen_file(file: str | Path | None) -> Path | None:
    named = file or os.environ.get(_CONFIG)
    if named:
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as problem:
        raise SettingsError(f"{path}: expected UTF-8, got byte {problem.object[problem.start]:#x}") from None
    except OSError as problem:
        raise SettingsError(f"{path}: cannot be read: {problem.strerror}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise SettingsError(f"{path}: not TOML: {problem}") from None


def _environment() -> dict[str, Any]:
    for variable in os.environ:
        _refuse_misspelt(variable)
    try:
        return EnvSettingsSource(Settings)()
    except pydantic_settings.SettingsError as problem:
        name = str(problem).split('"')[1]
        raise SettingsError(f"environment {_PREFIX}{name.upper()}: expected JSON, for example '[{{…}}]'") from None


def _refuse_misspelt(variable: str) -> None:
    """Only what resembles a setting: Kubernetes itself sets VISUTILITY_PORT and more beside a service of that name."""
    name = variable.removeprefix(_PREFIX).lower()
    if not variable.startswith(_PREFIX) or name in Settings.model_fields or variable == _CONFIG:
        return
    if close := get_close_matches(name, Settings.model_fields, n=1, cutoff=0.8):
        raise SettingsError(f"environment {variable}: unknown setting; did you mean {_PREFIX}{close[0].upper()}?")


def _one_line(
    invalid: ValidationError,
    path: Path | None,
    in_environment: Mapping[str, Any],
    given: Mapping[str, Any],
    changed: Sequence[tuple[str | int, ...]],
) -> str:
    faults = []
    errors = invalid.errors(include_url=False)
    for error in errors[:_MOST_FAULTS]:
        top, *inner = error["loc"] or ("",)
        if any(_alike(error["loc"], place) for place in changed):
            place = f"--set {written(error['loc'])}"
        elif top in given:
            place = _NAMED.get(str(top)) or f"--{str(top).replace('_', '-')}{written(inner)}"
        elif top in in_environment:
            place = f"environment {_PREFIX}{str(top).upper()}{written(inner)}"
        else:
            place = f"{path or 'settings'}: {written(error['loc'])}"
        faults.append(f"{place}: {_complaint(error)}")
    rest = len(errors) - len(faults)
    return "; ".join(faults) + (f"; and {rest} more" if rest > 0 else "")


def _alike(location: Sequence[int | str], place: Sequence[int | str]) -> bool:
    """Whether one of two places in the settings is within the other."""
    return all(one == other for one, other in zip(location, place, strict=False))


def _complaint(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        near = nearest_key(error["loc"])
        return "unknown key" + (f'; did you mean "{near}"?' if near else "; docs/settings.md lists the known ones")
    if kind == "wrong_detector":
        return error["msg"]
    if kind == "missing":
        return "expected a value, but the key is missing"
    expected = _EXPECTED.get(kind) or error["msg"].removeprefix("Value error, ").replace("Input should", "expected to")
    expected = expected.replace("expected to be", "expected")
    if not error["loc"] or error["loc"][0] in _TOLD_OF_NONE:
        return expected  # what stands there may be a secret, or hold one
    return expected if "got " in expected else f"{expected}, got {_shortened(error['input'])}"


def _shortened(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}…"
