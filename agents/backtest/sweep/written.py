"""The winner of a sweep as a settings file, for worker and backtest."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from agents.backtest.scoring import Score
from agents.backtest.sweep.sweep import SweepResult
from agents.settings import MonitorRule, Settings


def settings_text(result: SweepResult, settings: Settings, file: Path | None = None) -> str:
    """The TOML: what `file` holds (comments are lost), with the winning rule in the place of the one that was varied.

    At the top, in comments, the scores.
    """
    import tomli_w

    tables: dict[str, Any] = {} if file is None else tomllib.loads(file.read_text(encoding="utf-8"))
    base = result.present.rule
    kept = [rule for rule in settings.monitor if rule.name != base.name]
    at = next((place for place, rule in enumerate(settings.monitor) if rule.name == base.name), 0)
    kept.insert(at, result.winner.rule)
    named = {table["name"] for table in tables.get("monitor", []) if "name" in table}
    tables["monitor"] = [_table(rule, base.name if rule is result.winner.rule else rule.name, named) for rule in kept]
    return _heading(result) + tomli_w.dumps(tables)


def _table(rule: MonitorRule, name: str, named: set[str]) -> dict[str, Any]:
    """A rule as it is written; a name that is a hash of its content is left out."""
    table = rule.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    return ({"name": name} if name in named else {}) | table


def _heading(result: SweepResult) -> str:
    lines = [
        f"Winner of a sweep over {result.metric} of {len(result.series)} series, {result.trials} trials a detector",
        f"Fitted on: {_said(result.winner.fitting)}",
        f"Held back: {_said(result.winner.held_back)}",
        f"Held back, with the former settings: {_said(result.present.held_back)}",
    ]
    return "".join(f"# {line}\n" for line in lines) + "\n"


def _said(score: Score) -> str:
    delay = "" if (median := score.delay("events")) is None else f", median delay {median:g} events"
    return f"{len(score.found)} of {score.labels} changes found{delay}, {score.false_alarms} false alarms"
