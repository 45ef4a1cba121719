"""Objectives for the tests of the pool, the runner and the loader; each fails, or succeeds, in its own way."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from agents.tuner.objective import RunningTrial, TrainedModel, TrialPruned
from agents.tuner.space import Params
from schemas.retrain import RetrainRequest

BAD_DATA = "bad-data"


def load_data(request: RetrainRequest) -> str:
    """The model's name; or an error, for the model that asks for one."""
    if request.model_name == BAD_DATA:
        raise FileNotFoundError("no recent images")
    return request.model_name


def objective(trial: RunningTrial, data: str) -> float:
    """One of many ways to end, chosen by the hyperparameter `how`."""
    how = trial.params.get("how", "peak")
    if how == "peak":
        return 1.0 - abs(float(trial.params.get("lr") or 0) - 0.05)
    if how == "raise":
        raise RuntimeError("out of\nluck")
    if how == "half a surrogate":
        raise RuntimeError("no file \udce4")
    if how == "nan":
        return float("nan")
    if how == "sleep":
        time.sleep(3600)
    if how == "spin in C":
        ctypes.PyDLL(None).sleep(3600)  # holds the interpreter's lock: no handler written in Python would run
    if how == "exit code":
        os._exit(3)
    if how == "segfault":
        ctypes.string_at(0)
    if how == "sys.exit":
        sys.exit("enough")
    if how == "data":
        return float(len(data))
    raise AssertionError(how)


def train(params: Params, request: RetrainRequest) -> TrainedModel:
    """An artifact that tells its params, or an error where they ask for one."""
    if params.get("training") == "raise":
        raise RuntimeError("no memory")
    if params.get("training") == "sleep":
        time.sleep(3600)
    if params.get("training") == "odd metric":
        return TrainedModel(b"x", {"": 1.0})
    return TrainedModel(f"{request.model_name} {sorted(params)}".encode(), {"accuracy": 0.9})


def hoarding(trial: RunningTrial) -> float:
    """Wants 400 MiB."""
    return float(len(bytearray(400 * 2**20)))


def prunable(trial: RunningTrial) -> float:
    """Reports a half, and ends there if that is too little."""
    trial.report(0, 0.5)
    if trial.should_prune():
        raise TrialPruned
    return 1.0


def patient(trial: RunningTrial) -> float:
    """Reports its number of steps until it is asked to end, for as long as half a minute."""
    for step in range(3_000):
        trial.report(step, float(step))
        if trial.should_prune():
            raise TrialPruned
        time.sleep(0.01)
    return -1.0


class CountingLoads:
    """An objective that writes a line each time its data is loaded, into the file its params name."""

    def load_data(self, request: RetrainRequest) -> Path:
        """Append the process's id to the file."""
        path = Path(os.environ["OBJECTIVES_LOG"])
        with path.open("a") as log:
            log.write(f"{os.getpid()} {request.event_id}\n")
        return path

    def __call__(self, trial: RunningTrial, data: Path) -> Mapping[str, float]:
        """The process's id as the score, and how nice the process is."""
        return {"score": float(os.getpid()), "niceness": os.nice(0)}


class StuckLoading:
    """Never gets its data."""

    def load_data(self, request: RetrainRequest) -> None:
        """Wait."""
        time.sleep(3600)

    def __call__(self, trial: RunningTrial, data: object) -> float:
        """Not reached."""
        return 1.0


def niceness(trial: RunningTrial) -> float:
    """The priority of the process that runs this."""
    return float(os.nice(0))


def reporting(trial: RunningTrial) -> None:
    """Returns nothing, but reports on the way."""
    trial.report(0, 0.25)
    trial.report(1, 0.5)


def without_score(trial: RunningTrial, data: object) -> dict[str, float]:
    """A dict that lacks the score."""
    return {"accuracy": 0.5}


class Nested:
    """Holds an objective that is not at the top of its module."""

    @staticmethod
    def objective(trial: RunningTrial, data: object) -> float:
        """Whether companions of the module were wrongly used."""
        return 0.0 if data is None else 1.0


NOT_CALLABLE = 3


class Judged:
    """Its artifact says how often it is right, of a hundred examples."""

    def __call__(self, trial: RunningTrial) -> float:
        """The learning rate is the score."""
        return float(trial.params["lr"] or 0)

    def train(self, params: Params, request: RetrainRequest) -> TrainedModel:
        """The learning rate is the model."""
        return TrainedModel(str(params["lr"]).encode())

    def evaluate(self, artifact: bytes, request: RetrainRequest) -> list[float]:
        """Right on the first ones."""
        return [float(example < float(artifact) * 100) for example in range(100)]
