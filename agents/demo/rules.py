"""The settings that a run's worker gets: how the fleets are watched, and how their models are tuned."""

from __future__ import annotations

from typing import Any

from agents.demo.digits import SPACE
from agents.demo.plan import Plan
from agents.settings import Settings

MODELS = "digits-*"

#: Accuracies of batches have a heavier tail below than a normal distribution has, so the threshold is far out and only
#: a fall counts. In a window of 60 one outlier reaches |z| = 7.6 at most, two equal ones 5.3.
WATCH: dict[str, Any] = {
    "name": "fall-in-accuracy",
    "models": MODELS,
    "metric": "accuracy",
    "window": {"size": 60, "min_samples": 30},
    "detector": {"name": "z_score", "threshold": 6.0, "direction": "down"},
}


def demo_settings(plan: Plan, *, exactly_once: bool, **security: Any) -> Settings:
    """Settings for one run on its own topics and its own data folder; `security` are keys of the settings as well."""
    tuning = {
        "name": "digits",
        "models": MODELS,
        "objective": "agents.demo.digits:objective",
        "trials": plan.trials,
        "parallel": 2,
        "space": SPACE,
        "seed": plan.seed,
    }
    return Settings(
        bootstrap_servers=plan.bootstrap_servers,
        topic_prefix=plan.topic_prefix,
        data_dir=plan.data_dir,
        delivery="exactly_once" if exactly_once else "at_least_once",
        monitor=[WATCH],
        retrain=[{"name": "on-drift", "models": MODELS}],
        tune=[tuning],
        **security,
    )
