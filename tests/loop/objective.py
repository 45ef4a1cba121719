"""An objective with a known answer: its score peaks at a learning rate of 0.05."""

from __future__ import annotations

import math
from typing import Any

from agents.tuner.objective import RunningTrial


def objective(trial: RunningTrial, data: Any) -> float:
    """Minus the squared distance from the peak, in decades."""
    rate = trial.params["learning_rate"]
    assert isinstance(rate, float)
    return -((math.log10(rate) - math.log10(0.05)) ** 2)
