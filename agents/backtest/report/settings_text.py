"""The settings of a backtest as TOML that reads back as the same settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.settings import MonitorRule, RetrainRule, Settings

#: What a backtest heeds, beside the rules.
_HEEDED: Final = frozenset(
    {
        "heartbeat_timeout",
        "label_horizon",
        "label_limit",
        "retrain_budget_per_hour",
        "segment_limit",
        "version_retention",
    }
)

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def settings_text(settings: Settings) -> str:
    """What a backtest heeds of the settings, defaults spelled out: the same for the same settings, however given."""
    plain = settings.model_dump(mode="json", include=set(_HEEDED))
    lines = [f"{key} = {_value(value)}" for key, value in sorted(plain.items()) if value is not None]
    for rule in settings.monitor:
        lines += ["", "[[monitor]]", *_rule(rule)]
    for retrain in settings.retrain:
        lines += ["", "[[retrain]]", *_rule(retrain)]
    return "\n".join(lines) + "\n"


def _rule(rule: MonitorRule | RetrainRule) -> Iterator[str]:
    """The keys of a rule; its name only where it was given one, for else it follows from the rest."""
    table = rule.model_dump(mode="json")
    if type(rule).model_validate(rule.model_dump(exclude={"name"}, exclude_unset=True)).name == rule.name:
        del table["name"]
    for key, value in table.items():
        if key == "external_drift" and value is None:
            yield "external_drift = false"
        elif value not in (None, {}):
            yield f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    """A JSON value as TOML; what is None in a table is left out."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items() if item is not None)
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    # JSON's texts, numbers and booleans are TOML's too, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)
