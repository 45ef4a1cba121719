"""What frouros' detectors say of seeded streams; frouros wants an older numpy than we do, so it has to run by itself:

    uv run --no-project --with frouros==0.9.0 --with pytest python -m tests.drift.frouros_alarms

writes `frouros_0.9.0.json` beside this file. frouros is reset by hand after each alarm.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.drift.streams import Floats, moderate_errors, numbers

FILE = Path(__file__).with_name("frouros_0.9.0.json")
SEEDS = range(12)

STREAMS: dict[str, Callable[[int], Floats]] = {
    "cusum": numbers,
    "ewma": moderate_errors,
    "rddm": moderate_errors,
    "stepd": moderate_errors,
}


def alarms(make: Callable[[], Any], values: Floats) -> list[tuple[int, str]]:
    """Where it fires, and where a warning begins."""
    detector, found, warned = make(), [], False
    for index, value in enumerate(values.tolist()):
        detector.update(value=value)
        warns = bool(getattr(detector, "warning", False)) and not detector.drift
        if detector.drift or (warns and not warned):
            found.append((index, "drift" if detector.drift else "warning"))
        if detector.drift and not hasattr(detector, "rddm_drift"):
            detector.reset()
        warned = warns
    return found


def main() -> None:
    """Write the file."""
    from frouros.detectors.concept_drift import CUSUM, ECDDWT, RDDM, STEPD, CUSUMConfig

    made: dict[str, Callable[[], Any]] = {
        "cusum": lambda: CUSUM(config=CUSUMConfig(delta=0.005, lambda_=5.0, min_num_instances=30)),
        "ewma": ECDDWT,
        "rddm": RDDM,
        "stepd": STEPD,
    }
    result = {name: [alarms(make, STREAMS[name](seed)) for seed in SEEDS] for name, make in made.items()}
    FILE.write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
