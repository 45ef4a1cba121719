"""The smallest objective, for trying out settings: its score peaks where the learning rate is near 0.05.

    python -m examples.dummy

or, in `visutility.toml`:

    [[tune]]
    objective = "examples.dummy:objective"
    sampler = "tpe"
    trials = 30
    space = { lr = { type = "float_range", min = 1e-4, max = 1.0, log = true } }
"""

from __future__ import annotations

import math

from agents.tuner import RunningTrial, tune

SPACE = {"lr": {"type": "float_range", "min": 1e-4, "max": 1.0, "log": True}}
PEAK = 0.05


def objective(trial: RunningTrial) -> float:
    """1 at the peak, less by the distance from it in decades."""
    return 1.0 - abs(math.log10(float(trial.params["lr"] or 0) / PEAK))


if __name__ == "__main__":
    results = tune(objective, SPACE, trials=30, seed=0)
    best = max(results, key=lambda result: result.score or -math.inf)
    print(f"best of {len(results)}: lr {best.params['lr']:.4g}, score {best.score:.4g}")
