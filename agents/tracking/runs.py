"""What is known of training runs, as a fold of the messages on `experiments`.

TrackingError
├── UnknownRun        no run of this id was ever started
├── RunEnded          the run has ended: nothing can be added
├── RunExists         a run of this id was started before
├── DuplicateMetric   one call names a metric twice
└── StoreError        a store cannot keep or read what it was asked to
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.nearest import did_you_mean
from schemas.experiments import EpochEnd, RunStart, TrainingEnd
from schemas.fields import Labels, Params
from schemas.message import Message

MAX_NAME = 200
"""Characters of model and version in the id of a run; the whole has at most 256."""

Record = RunStart | EpochEnd | TrainingEnd


class TrackingError(ValueError):
    """A run cannot be recorded or read. The text is one line."""


class UnknownRun(TrackingError):
    """No run of this id was ever started."""


class RunEnded(TrackingError):
    """The run has ended: nothing can be added."""


class RunExists(TrackingError):
    """A run of this id was started before."""


class DuplicateMetric(TrackingError):
    """One call names a metric twice, so that it cannot be told which value is meant."""


class StoreError(TrackingError):
    """A store cannot keep or read what it was asked to: a broken file, a name that its format does not take."""


class Run(BaseModel):
    """One training run, immutable. `epochs` has each epoch's metrics, in the order of epochs."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    model_name: str
    model_version: str
    started: datetime
    params: Params = Field(default_factory=dict)
    tags: Labels = Field(default_factory=dict)
    epochs: dict[int, dict[str, float]] = Field(default_factory=dict)
    state: Literal["running", "ended"] = "running"
    final_metrics: dict[str, float] = Field(default_factory=dict)
    ended: datetime | None = None
    duration_seconds: float | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """The newest value of each metric: of the epochs in their order, then of the end."""
        merged: dict[str, float] = {}
        for epoch in self.epochs.values():
            merged |= epoch
        return merged | self.final_metrics


def run_id_of(model_name: str, model_version: str, unique: str) -> str:
    """`{model}_{version}_{hex}`; of long names the beginning, for an id has at most 256 characters.

    >>> run_id_of("digits", "3", "9f2c")
    'digits_3_9f2c'
    """
    return f"{model_name}_{model_version}"[:MAX_NAME] + f"_{unique}"


def metrics_of(metrics: Mapping[str, float] | Iterable[tuple[str, float]]) -> dict[str, float]:
    """Metrics given as a mapping or as pairs. Raises `DuplicateMetric` for a name that is there twice."""
    pairs = list(metrics.items()) if isinstance(metrics, Mapping) else list(metrics)
    found: dict[str, float] = {}
    for name, value in pairs:
        if name in found:
            raise DuplicateMetric(f"metric {name!r} is given twice in one call: {found[name]!r} and {value!r}")
        found[name] = float(value)
    return found


class Runs:
    """All runs, in the order in which they began."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runs

    def all(self) -> list[Run]:
        """Every run, in the order in which they began."""
        return list(self._runs.values())

    def get(self, run_id: str) -> Run:
        """One run. Raises `UnknownRun`."""
        if run_id not in self._runs:
            raise UnknownRun(f"no run {run_id!r}{did_you_mean(run_id, self._runs)}")
        return self._runs[run_id]

    def check(self, message: Record) -> None:
        """Whether a message may be added now. Raises `UnknownRun`, `RunEnded`, `RunExists`."""
        if isinstance(message, RunStart):
            if message.run_id in self._runs:
                raise RunExists(f"run {message.run_id!r} was started before")
        elif self.get(message.run_id).state == "ended":
            raise RunEnded(f"run {message.run_id!r} has ended: {message.type} cannot be added")

    def apply(self, message: Message) -> bool:
        """Take a message in the order of the log; False if it changes nothing.

        What two writers wrote at the same time may not pass `check`: then the first start and the first end count, and
        what comes after an end is left out. A run whose start is no longer in the log begins with what there is.
        """
        if not isinstance(message, RunStart | EpochEnd | TrainingEnd):
            return False
        run = self._runs.get(message.run_id)
        if run is None:
            run = _begun(message)
        elif run.state == "ended" or isinstance(message, RunStart):
            return False
        if isinstance(message, EpochEnd):
            merged = run.epochs.get(message.epoch, {}) | message.metrics
            run = run.model_copy(update={"epochs": dict(sorted({**run.epochs, message.epoch: merged}.items()))})
        elif isinstance(message, TrainingEnd):
            update = {
                "state": "ended",
                "final_metrics": dict(message.final_metrics),
                "ended": message.timestamp,
                "duration_seconds": message.duration_seconds,
            }
            run = run.model_copy(update=update)
        self._runs[message.run_id] = run
        return True


def _begun(message: Record) -> Run:
    start = message if isinstance(message, RunStart) else None
    return Run(
        run_id=message.run_id,
        model_name=message.model_name,
        model_version=message.model_version,
        started=message.timestamp,
        params=dict(start.params) if start else {},
        tags=dict(start.tags) if start else {},
    )
