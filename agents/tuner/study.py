"""A study: the trials for one retrain request, and which of them won.

Everything the tuner must know after a crash is here, and nothing else: what was asked and told, and in which order; and
what is out with runners, until when.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from uuid import uuid5

from pydantic import BaseModel, ConfigDict, Field

from agents.registry.known import KnownVersion
from agents.tuner.plan import Plan
from agents.tuner.pruners import Bounds, Reported, falls_short, make_pruner
from agents.tuner.sampler import Told as ToldEvent
from agents.tuner.sampler import Trial
from agents.tuner.samplers import takes_incumbent
from agents.tuner.work import TRAINING_TIMEOUTS, SamplingWork, TrainingWork, Work
from schemas.fields import Params as ParamsField
from schemas.ids import NAMESPACE, output_id
from schemas.retrain import RetrainRequest
from schemas.trial_requests import PruneTrial, TrialRequest

STAGE = "tuner"

ATTEMPTS = 3
"""How often the same hyperparameters are handed out where nothing is heard of them."""

MAX_CHOSEN = 100
"""Trials that are chosen in one go."""


class Told(BaseModel):
    """How a trial ended: with a finite score, perhaps early (`pruned`), or with an error."""

    model_config = ConfigDict(frozen=True)

    score: float | None = None
    error: str | None = None
    pruned: bool = False


class Study(BaseModel):
    """One retrain request's trials. `first` is the first of the key's sequence numbers that the study's outputs use.

    By number: `asked` has the hyperparameters; `knew` how many results the sampler knew when it chose them; `told` how
    trials ended, in the order in which they did; `handed` until when (tick clock, milliseconds) a result is waited for;
    `again` which trial takes the place of a lost one; `attempt` which attempt at the same hyperparameters it is, if not
    the first; `reports` what it reported on the way. `began` is the tick clock at the study's begin, and `wall` the
    time at the tick clock `wall_clock`. `exhausted` and `stopped` are reasons.
    """

    request: RetrainRequest
    plan: Plan
    first: int
    incumbent: ParamsField = Field(default_factory=dict)
    champion: KnownVersion | None = None
    asked: dict[int, ParamsField] = Field(default_factory=dict)
    knew: list[int] = Field(default_factory=list)
    told: dict[int, Told] = Field(default_factory=dict)
    handed: dict[int, int] = Field(default_factory=dict)
    again: dict[int, int] = Field(default_factory=dict)
    attempt: dict[int, int] = Field(default_factory=dict)
    reports: dict[int, dict[int, float]] = Field(default_factory=dict)
    began: int = 0
    wall: datetime | None = None
    wall_clock: int = 0
    exhausted: str | None = None
    stopped: str | None = None

    @property
    def id(self) -> str:
        """The same for the same request, on every run and every replay."""
        return str(uuid5(NAMESPACE, f"study {self.request.event_id}"))

    @property
    def counted(self) -> int:
        """How many trials ended, those not counted that were asked again."""
        return len(self.told) - len(self.again)

    @property
    def out(self) -> list[int]:
        """The numbers of the trials that runners have."""
        return [number for number in self.handed if number not in self.told]

    @property
    def ready(self) -> list[int]:
        """The numbers of the trials that were chosen and not handed out yet."""
        return [number for number in self.asked if number not in self.handed]

    @property
    def to_ask(self) -> int:
        """How many more trials the sampler should choose now."""
        if self.exhausted is not None or self.trials_ended:
            return 0
        wanted = min(self.counted + self.plan.parallel + self.plan.ahead, self.plan.trials)
        return min(max(wanted - (len(self.asked) - len(self.again)), 0), MAX_CHOSEN)

    @property
    def trials_ended(self) -> bool:
        """Whether only the final training is left."""
        if self.stopped is not None or self.counted >= self.plan.trials:
            return True
        return self.exhausted is not None and len(self.told) == len(self.asked)

    @property
    def best(self) -> int | None:
        """The number of the best trial that went to its end, the earliest of equals; None if there is none."""
        scores = {
            number: self.plan.sign * told.score
            for number, told in self.told.items()
            if told.score is not None and not told.pruned
        }
        return min(scores, key=lambda number: (-scores[number], number)) if scores else None

    @property
    def deadline(self) -> int | None:
        """The tick clock at which the study wants to be woken; None once only the training is left."""
        if self.trials_ended:
            return None
        deadlines = [self.handed[number] for number in self.out]
        if self.plan.time_budget_ms is not None:
            deadlines.append(self.began + self.plan.time_budget_ms)
        return min(deadlines, default=None)

    def trial_id(self, number: int) -> str:
        """The id of one of its trials."""
        return f"{self.id}:{number}"

    def ask(self, params: ParamsField, attempt: int = 0) -> int:
        """Note that a trial was asked; its number."""
        number = len(self.asked)
        self.asked[number] = params
        self.knew.append(len(self.told))
        if attempt:
            self.attempt[number] = attempt
        return number

    def lose(self, number: int) -> None:
        """Nothing was heard of a trial: it has failed, and its hyperparameters are asked again, if not too often."""
        attempt = self.attempt.get(number, 0) + 1
        seconds = self.plan.deadline_ms / 1000
        self.told[number] = Told(error=f"lost: nothing was heard of it for {seconds:g} s (attempt {attempt})")
        if attempt < ATTEMPTS:
            self.again[number] = self.ask(self.asked[number], attempt)

    def hand_out(self, clock: int) -> list[TrialRequest]:
        """Requests for as many of the chosen trials as may be out at once."""
        if self.trials_ended:
            return []
        free = max(self.plan.parallel - len(self.out), 0)
        requests = []
        for number in self.ready[:free]:
            self.handed[number] = clock + self.plan.deadline_ms
            requests.append(self.request_of(number, clock))
        return requests

    def history(self) -> list[Trial | ToldEvent]:
        """What was asked and told, in that order; scores are the higher the better."""
        told = [ToldEvent(n, None if t.score is None else self.plan.sign * t.score) for n, t in self.told.items()]
        events: list[Trial | ToldEvent] = []
        known = 0
        for number, knew in enumerate(self.knew):
            events += told[known:knew]
            events.append(Trial(number, self.asked[number]))
            known = max(known, knew)
        return events + told[known:]

    def work(self) -> list[Work]:
        """What should be done for this study now, off the event loop: choose trials; after them, the final training."""
        if self.trials_ended:
            return [] if self.best is None else [self._training(self.best)]
        return [self._sampling()] if self.to_ask else []

    def output_id(self, kind: str, sequence: int) -> str:
        """The id of an output of this study; `sequence` counts from 0 within it."""
        cause = self.request
        return output_id(
            STAGE, cause.model_name, cause.model_version, cause.metric, "", self.plan.rule, kind, self.first + sequence
        )

    @property
    def seed(self) -> int:
        """Each request explores other candidates, and the same request always the same ones."""
        return _number_of(f"{self.plan.seed} {self.id}")

    def _sampling(self) -> SamplingWork:
        options = dict(self.plan.sampler_options)
        if takes_incumbent(self.plan.sampler) and self.incumbent:
            options["incumbent"] = self.incumbent
        return SamplingWork(
            id=f"{self.id}:ask:{len(self.asked)}",
            event_id=self.output_id("trials_asked", len(self.asked)),
            study_id=self.id,
            request=self.request,
            sampler=self.plan.sampler,
            space=self.plan.space,
            seed=self.seed,
            options=options,
            first=len(self.asked),
            count=self.to_ask,
            history=self.history,
        )

    def request_of(self, number: int, clock: int) -> TrialRequest:
        """What a runner is sent for a trial that is handed out at this tick clock."""
        plan, cause = self.plan, self.request
        deadline = None
        if self.wall is not None:
            deadline = self.wall + timedelta(milliseconds=clock - self.wall_clock + plan.deadline_ms)
        return TrialRequest(
            event_id=self.output_id("trial_request", number),
            model_name=cause.model_name,
            model_version=cause.model_version,
            timestamp=cause.timestamp,
            labels=cause.labels,
            study_id=self.id,
            trial_id=self.trial_id(number),
            number=number,
            params=self.asked[number],
            objective=plan.objective,
            deadline=deadline,
            options=plan.options,
            seed=_number_of(f"{self.seed} {number}") % 2**32,  # numpy and scikit-learn take 32 bits
            incumbent=self.incumbent,
            cause=cause,
            timeout_seconds=plan.timeout_seconds,
            memory_mb=plan.memory_mb,
            direction=plan.direction,
            bounds={str(step): bound for step, bound in self._bounds_of(number).items()},
            pruner="" if plan.pruner == "none" else plan.pruner,
        )

    def prune_request_of(self, number: int, step: int) -> PruneTrial:
        """What a runner is sent for a trial that is to end early."""
        cause = self.request
        return PruneTrial(
            event_id=self.output_id(f"prune_trial {step}", number),
            model_name=cause.model_name,
            model_version=cause.model_version,
            timestamp=cause.timestamp,
            labels=cause.labels,
            study_id=self.id,
            trial_id=self.trial_id(number),
            number=number,
            step=step,
        )

    def falls_short(self, number: int, step: int) -> bool:
        """Whether a trial that runs is not worth finishing, by what it reported up to a step.

        Where trials run one at a time, its own bounds say all that is known.
        """
        if number not in self.out or self.plan.parallel == 1 or self.plan.pruner == "none":
            return False
        curve = {at: value for at, value in self.reports[number].items() if at <= step}
        return falls_short(curve, self._bounds_of(number), self.plan.maximizes)

    def _bounds_of(self, number: int) -> Bounds:
        """What the pruner wants a trial to reach, by the reports of the others up to now."""
        pruner = make_pruner(self.plan.pruner, **self.plan.pruner_options)
        complete = {n for n, told in self.told.items() if told.error is None and not told.pruned}
        others = [Reported(n, curve, n in complete) for n, curve in self.reports.items() if n != number]
        return pruner.bounds(number, others, self.plan.maximizes)

    def _training(self, best: int) -> TrainingWork:
        return TrainingWork(
            id=f"{self.id}:training",
            event_id=self.output_id("training_finished", 0),
            study_id=self.id,
            request=self.request,
            objective=self.plan.objective,
            options=self.plan.options,
            params=self.asked[best],
            timeout_seconds=self.plan.timeout_seconds * TRAINING_TIMEOUTS,
            champion=self.champion,
            promotion=self.plan.promotion,
        )


def _number_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
