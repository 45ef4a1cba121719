"""A study: the trials for one retrain request, and which of them won. And the tuner's whole state for one model.

Everything the tuner must know after a crash is here, and nothing else: what was asked, what was told, what is next.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal
from uuid import uuid5

from pydantic import BaseModel, ConfigDict, Field

from agents.settings import TuneRule
from agents.tuner.sampler import Trial
from agents.tuner.samplers import make_sampler
from agents.tuner.versions import split_version
from agents.tuner.work import TRAINING_TIMEOUTS, TrainingWork, TrialWork, Work
from schemas.fields import Params as ParamsField
from schemas.ids import NAMESPACE, output_id
from schemas.retrain import RetrainRequest

STAGE = "tuner"
KNOWN_LINES = 64  # lines of versions whose highest number is remembered for a model
KNOWN_REQUESTS = 64  # ended requests that are remembered, so that one delivered again starts nothing


class Plan(BaseModel):
    """What the settings said when the request came; a study keeps its plan when the settings change under it."""

    model_config = ConfigDict(frozen=True)

    rule: str
    objective: str
    sampler: str
    trials: int
    parallel: int
    timeout_seconds: float
    direction: Literal["maximize", "minimize"]
    space: dict[str, Any]
    seed: int

    @classmethod
    def of(cls, rule: TuneRule) -> Plan:
        """The plan that a settings rule describes."""
        return cls(
            rule=rule.name,
            objective=rule.objective,
            sampler=rule.sampler,
            trials=rule.trials,
            parallel=rule.parallel,
            timeout_seconds=rule.timeout.total_seconds(),
            direction=rule.direction,
            space=rule.space,
            seed=rule.seed,
        )


class Told(BaseModel):
    """How a trial ended: with a finite score, or with an error."""

    model_config = ConfigDict(frozen=True)

    score: float | None = None
    error: str | None = None


class Study(BaseModel):
    """One retrain request's trials. `first` is the first of the key's sequence numbers that the study's outputs use."""

    request: RetrainRequest
    plan: Plan
    first: int
    incumbent: ParamsField = Field(default_factory=dict)
    asked: dict[int, ParamsField] = Field(default_factory=dict)
    told: dict[int, Told] = Field(default_factory=dict)

    @property
    def id(self) -> str:
        """The same for the same request, on every run and every replay."""
        return str(uuid5(NAMESPACE, f"study {self.request.event_id}"))

    @property
    def trials_ended(self) -> bool:
        """Whether only the final training is left."""
        return len(self.told) >= self.plan.trials

    @property
    def best(self) -> int | None:
        """The number of the best trial, the earliest of equals; None if none completed."""
        sign = 1 if self.plan.direction == "maximize" else -1
        scores = {number: sign * told.score for number, told in self.told.items() if told.score is not None}
        return min(scores, key=lambda number: (-scores[number], number)) if scores else None

    def trial_id(self, number: int) -> str:
        """The id of one of its trials."""
        return f"{self.id}:{number}"

    def ask_ahead(self) -> None:
        """Ask for as many trials as may run side by side. They are in the state before they run, so none is lost."""
        while len(self.asked) < self.plan.trials and len(self.asked) - len(self.told) < self.plan.parallel:
            sampler = make_sampler(self.plan.sampler, self.plan.space, self._seed())
            sampler.replay([Trial(number, params) for number, params in sorted(self.asked.items())])
            trial = sampler.ask()
            self.asked[trial.number] = trial.params

    def work(self) -> list[Work]:
        """What should be running for this study now: the trials asked and not told; after those, the final training."""
        if self.trials_ended:
            return [] if self.best is None else [self._training(self.best)]
        return [self._trial(number) for number in sorted(self.asked) if number not in self.told]

    def output_id(self, kind: str, sequence: int) -> str:
        """The id of an output of this study; `sequence` counts from 0 within it."""
        cause = self.request
        return output_id(
            STAGE, cause.model_name, cause.model_version, cause.metric, "", self.plan.rule, kind, self.first + sequence
        )

    def _seed(self) -> int:
        # Each request explores other candidates, and the same request always the same ones.
        return _number_of(f"{self.plan.seed} {self.id}")

    def _trial(self, number: int) -> TrialWork:
        return TrialWork(
            id=self.trial_id(number),
            event_id=self.output_id("trial_result", number),
            study_id=self.id,
            request=self.request,
            objective=self.plan.objective,
            number=number,
            params=self.asked[number],
            seed=_number_of(f"{self._seed()} {number}") % 2**32,  # numpy and scikit-learn take 32 bits
            incumbent=self.incumbent,
            timeout_seconds=self.plan.timeout_seconds,
        )

    def _training(self, best: int) -> TrainingWork:
        return TrainingWork(
            id=f"{self.id}:training",
            event_id=self.output_id("training_finished", self.plan.trials),
            study_id=self.id,
            request=self.request,
            objective=self.plan.objective,
            params=self.asked[best],
            timeout_seconds=self.plan.timeout_seconds * TRAINING_TIMEOUTS,
        )


class TunerState(BaseModel):
    """All that the tuner knows about one model.

    `latest` is the newest version seen on `models`, with its `hyperparameters`; `numbers` the highest number taken in
    each line of versions; `studies` the running one and then those that wait; `ended` the requests dealt with;
    `sequence` the next of the key's sequence numbers; `firing` the alerts not resolved.
    """

    latest: str = ""
    hyperparameters: ParamsField = Field(default_factory=dict)
    numbers: dict[str, int] = Field(default_factory=dict)
    studies: list[Study] = Field(default_factory=list)
    ended: list[str] = Field(default_factory=list)
    sequence: int = 0
    firing: list[str] = Field(default_factory=list)

    def know_version(self, version: str, hyperparameters: dict[str, Any]) -> None:
        """A version exists. Read back or delivered twice it changes nothing."""
        stem, number = split_version(version)
        highest = self.numbers.pop(stem, -1)
        if number > highest or not self.latest:
            self.latest, self.hyperparameters = version, hyperparameters
        self.numbers[stem] = max(number, highest)
        for forgotten in list(self.numbers)[:-KNOWN_LINES]:
            del self.numbers[forgotten]

    def knows_request(self, request_id: str) -> bool:
        """Whether a request runs, waits or was dealt with."""
        return request_id in self.ended or any(study.request.event_id == request_id for study in self.studies)

    def end_request(self, request_id: str) -> None:
        """Remember a request as dealt with."""
        self.ended = [*self.ended, request_id][-KNOWN_REQUESTS:]

    def take_sequence(self, count: int = 1) -> int:
        """The first of the key's next `count` sequence numbers, which are used up by that."""
        first, self.sequence = self.sequence, self.sequence + count
        return first


def _number_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
