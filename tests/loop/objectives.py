"""Objectives that take their time, or fail; each in the way its test is about."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from agents.tuner.objective import RunningTrial, TrainedModel, TrialPruned
from agents.tuner.space import Params
from schemas.retrain import RetrainRequest

FOLDER = "TEST_FOLDER"
"""Names the variable with the folder where an objective leaves traces, and finds out whether it may go on."""


def slow(trial: RunningTrial, data: Any) -> float:
    """Takes long enough to be killed at."""
    time.sleep(0.2)
    return float(trial.params["x"] or 0)


def train(params: Params, request: RetrainRequest) -> TrainedModel:
    """The final training of every objective here: the first one of a request does not end."""
    began = Path(os.environ[FOLDER]) / "training"
    if not began.exists():
        began.touch()
        time.sleep(3600)
    return TrainedModel(json.dumps(params).encode(), {"x": float(params["x"] or 0)})


def traced(trial: RunningTrial, data: Any) -> float:
    """Leave a line that says which trial began and which ended here, and take a tenth of a second."""
    with (Path(os.environ[FOLDER]) / "trace").open("a") as trace:
        trace.write(f"{trial.number} began\n")
        trace.flush()
        time.sleep(0.1)
        trace.write(f"{trial.number} ended\n")
    return -abs(float(trial.params["x"] or 0) - 0.25)


class Racing:
    """Trials that report: good ones are quick, poor ones take two minutes if nobody ends them."""

    def __call__(self, trial: RunningTrial, data: Any) -> float:
        """Report x at each of 100 steps."""
        level = float(trial.params["x"] or 0)
        for step in range(100):
            trial.report(step, level)
            if trial.should_prune():
                raise TrialPruned
            time.sleep(0.02 if level > 0.5 else 1.2)
        return level


class Troubled:
    """A trial in each of the ways to fail, then one that does well."""

    def __call__(self, trial: RunningTrial, data: Any) -> float:
        """Raise, hang, return NaN, leave, score."""
        if trial.number == 0:
            raise RuntimeError("out of luck")
        if trial.number == 1:
            time.sleep(3600)
        if trial.number == 2:
            return float("nan")
        if trial.number == 3:
            os._exit(7)
        return 0.5


class Hopeless:
    """No trial ends well."""

    def __call__(self, trial: RunningTrial, data: Any) -> float:
        """Raise."""
        raise ValueError(f"no labels for trial {trial.number}")


class Endless:
    """A trial that goes on until the folder has the file `enough`."""

    def __call__(self, trial: RunningTrial, data: Any) -> float:
        """Leave a trace, then wait."""
        folder = Path(os.environ[FOLDER])
        (folder / "running").touch()
        while not (folder / "enough").exists():
            time.sleep(0.05)
        return 0.5
