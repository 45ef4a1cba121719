"""`python -m agents.demo.live_fleets`: the demo's fleets alone, beside workers that run elsewhere, until SIGTERM."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from agents.demo.digits import DEFAULT_FOLDER, FOLDER_VARIABLE
from agents.demo.fleets import run_fleets
from agents.demo.plan import Plan
from agents.settings import Settings, SettingsError, load_settings
from agents.worker import MissingBroker, engine_settings


def live_plan(settings: Settings) -> Plan:
    """What the fleets do where somebody watches them for longer: slower, and the camera degrades after 40 seconds.

    Images and models are kept in the folder that `DIGITS_DEMO_FOLDER` names, which workers and runners must see too.
    Raises `MissingBroker` where the settings name none.
    """
    engine = engine_settings(settings)
    folder = Path(os.environ.get(FOLDER_VARIABLE, DEFAULT_FOLDER))
    return Plan(
        engine.bootstrap_servers,
        engine.topic_prefix,
        folder,
        degrade_at=200,
        batches_per_second=5.0,
        security=engine.security,
    )


if __name__ == "__main__":
    try:
        run_fleets(live_plan(load_settings()))
    except (SettingsError, MissingBroker) as problem:
        sys.exit(f"fleets: {problem}")
