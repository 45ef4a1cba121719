"""What settings would have meant to a team: alarms, retrain requests, trials, time in drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from agents.backtest.result import BacktestResult
from agents.settings import Settings


def summarise(result: BacktestResult, settings: Settings) -> dict[str, Any]:
    """Counts, in all and by model (those with anything to count, in order of name).

    `drift_alarms` are drifts found, `warnings` beginnings of warnings, `trials` those that the tune rules would have
    run for the requests, at most: a study may end sooner.
    """
    alarms = Counter(m["model_name"] for m in result.drift if m.get("severity") == "drift")
    warnings = Counter(m["model_name"] for m in result.drift if m.get("severity") == "warning")
    breaches = Counter(m["model_name"] for m in result.drift if m["type"] == "threshold_breached")
    requests = Counter(request["model_name"] for request in result.retrain)
    trials = Counter({model: count * _trials(settings, model) for model, count in requests.items()})
    counts: dict[str, Mapping[str, float]] = {
        "drift_alarms": alarms,
        "warnings": warnings,
        "threshold_breaches": breaches,
        "retrain_requests": requests,
        "trials": trials,
        "seconds_in_drift": result.seconds_in_drift,
    }
    models = sorted({model for each in counts.values() for model in each})
    return {
        "total": {name: sum(each.values()) for name, each in counts.items()},
        "models": [{"model": model} | {name: each.get(model, 0) for name, each in counts.items()} for model in models],
    }


def _trials(settings: Settings, model: str) -> int:
    rule = settings.tune_rule(model)
    return 0 if rule is None else rule.trials
