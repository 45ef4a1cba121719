"""The tuner as a pure stage: retrain requests in; trial results, finished studies and new model versions out.

The step runs no trial and asks no sampler. After each step `work(state)` names what should be done for the study; a
shell does it and feeds back `TrialsAsked` and `TrainingFinished`, which the step takes as events. After a crash `work`
of the restored state names it again. Trials go out as `TrialRequest`s, once they are in the state; runners send their
`EpochEnd`s and `TrialResult`s to the stage's internal topic, as often as they like: what is told counts once, and is
then published on `trials`. A trial of which nothing is heard by its deadline has failed, and is asked again.

A study takes a block of the key's sequence numbers, and each trial has one of them. So the ids of its outputs do not
depend on which of two trials that run side by side ends first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from agents.registry.promotion import alias_of
from agents.settings import Settings
from agents.tuner.alerts import end_all, fire, resolve
from agents.tuner.outcomes import finished, late, published, told_of, version_of, why_nothing_won
from agents.tuner.plan import Plan
from agents.tuner.state import TunerState
from agents.tuner.study import ATTEMPTS, STAGE, Study
from agents.tuner.work import Work
from schemas.experiments import EpochEnd
from schemas.internal import OperatorAction, TrainingFinished, TrialsAsked
from schemas.message import InvalidMessage, Message
from schemas.models import CHALLENGER, CHAMPION, ModelAlias, ModelVersion, alias_key, version_key
from schemas.parse import parser_for
from schemas.retrain import RetrainRequest
from schemas.trials import TrialResult
from streams.parts import Parts
from streams.records import Headers, Output
from streams.stage import Input, Tick
from streams.state_format import check_format

MAX_WAITING = 16
"""Requests of one model that may wait behind the running study; one more is refused with an alert."""

_FORMAT = b"2"  # first byte of an encoded state; raise it when the layout changes

TunerInput = Annotated[
    RetrainRequest | ModelVersion | ModelAlias | TrialResult | EpochEnd | OperatorAction, Field(discriminator="type")
]
"""What is on `retrain` and `models`; and on `tuner-internal` what runners send, and orders of operators."""

SCORE = "score"
"""The metric of an `EpochEnd` that pruners look at."""


class TunerStage:
    """The tuner's logic, with the tune rules of the settings."""

    name = STAGE
    topics = ("retrain", "models")
    encoded_steps = None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parse = parser_for(TunerInput)

    def decode(self, value: bytes | None, headers: Headers) -> Message | None:
        """The message in a record; None for a tombstone. Raises `InvalidMessage`."""
        return None if value is None else self._parse(value, headers)

    def decode_columns(self, values: Sequence[bytes | None]) -> None:
        """One by one: they are few."""

    def new_state(self, key: str, parts: Parts | None = None) -> TunerState:
        """The state of a model never heard of."""
        return TunerState()

    def encode_state(self, state: TunerState) -> bytes | None:
        """Versioned JSON; None while there is nothing to remember."""
        return None if state == TunerState() else _FORMAT + state.model_dump_json(exclude_defaults=True).encode()

    def decode_state(self, key: str, data: bytes, parts: Parts | None = None) -> TunerState:
        """The state again. Raises `ValueError` for a format of another release."""
        check_format(self.name, data, _FORMAT)
        return TunerState.model_validate_json(data[1:])

    def deadline(self, state: TunerState) -> int | None:
        """When the next result is overdue, or the study's time is up."""
        return None if state.running is None else state.running.deadline

    def work(self, state: TunerState) -> list[Work]:
        """What should be done for this model now; each piece has the same `id` whenever it is named again."""
        return [] if state.running is None else state.running.work()

    def step(self, state: TunerState, inputs: Sequence[Input]) -> tuple[TunerState, list[Output]]:
        """Apply requests, versions, results and ticks in their order."""
        outputs: list[Output] = []
        for item in inputs:
            if isinstance(item, Tick):
                outputs += self._tick(state, item.clock)
            else:
                outputs += self._apply(state, item.message, item.clock)
            outputs += _go_on(state, item.clock)
        return state, outputs

    def _apply(self, state: TunerState, message: Message, clock: int) -> list[Output]:
        match message:
            case RetrainRequest():
                return self._request(state, message, clock)
            case ModelVersion():
                state.know_version(message.version, dict(message.hyperparameters))
                state.known.take(message)
            case TrialsAsked():
                _trials_asked(state, message, clock)
            case EpochEnd():
                return _epoch_end(state, message)
            case TrialResult():
                return self._trial_result(state, message)
            case TrainingFinished():
                return self._training_finished(state, message, clock)
            case ModelAlias():
                state.known.take(message)
                if state.running is not None:
                    state.running.champion = state.known.champion
            case OperatorAction():
                return _retire(state, message, clock) if message.action == "retire" else []
            case _:
                raise InvalidMessage(f"type: the tuner has no use for {message.type!r}")
        return []

    def _tick(self, state: TunerState, clock: int) -> list[Output]:
        """Give up what is overdue."""
        study, outputs = state.running, list[Output]()
        if study is None or study.trials_ended:
            return []
        budget = study.plan.time_budget_ms
        if budget is not None and clock >= study.began + budget:
            study.stopped = f"its time of {budget / 1000:g} s was up"
            return []
        for number in study.out:
            if clock >= study.handed[number]:
                study.lose(number)
                state.owe(study.id, [number])
                outputs.append(published(study, number, 0.0))
        return outputs

    def _request(self, state: TunerState, request: RetrainRequest, clock: int) -> list[Output]:
        if state.knows_request(request.event_id):
            return []
        rule = self._settings.tune_rule(request.model_name)
        if rule is None:
            state.end_request(request.event_id)
            return []  # its retrain requests are left to others
        if len(state.studies) > MAX_WAITING:
            state.end_request(request.event_id)
            text = f"{MAX_WAITING} requests of {request.model_name!r} wait for its running study: one more was refused"
            return fire(state, request, "tuner_queue_full", "warning", text)
        plan = Plan.of(rule)
        # A trial may be handed out several times, each time with a number of its own.
        study = Study(request=request, plan=plan, first=state.take_sequence(plan.trials * ATTEMPTS + 1))
        state.studies.append(study)
        if len(state.studies) == 1:
            _begin(state, clock)
        return []

    def _trial_result(self, state: TunerState, result: TrialResult) -> list[Output]:
        study = state.study(result.study_id)
        if study is None or result.number in study.told or result.number not in study.handed:
            return late(state, result)  # or told before, or never handed out
        study.told[result.number] = told = told_of(result)
        if told.score is not None and not told.pruned and study.plan.reaches_target(told.score):
            study.stopped = f"trial {result.number} reached the target of {study.plan.target_score:g}"
        return [published(study, result.number, result.duration_seconds)]

    def _training_finished(self, state: TunerState, training: TrainingFinished, clock: int) -> list[Output]:
        study = state.study(training.study_id)
        if study is None or not study.trials_ended or study.best is None:
            return []
        if training.error is not None or training.sha256 is None:
            reason = training.error or "it left no artifact"
            return _end(state, study, f"training with the best trial's parameters failed: {reason}", clock)
        name, version = training.model_name, version_of(state, study, training)
        state.know_version(version.version, dict(version.hyperparameters))
        promoted = version.promotion is not None and version.promotion.promoted
        alias = alias_of(version, state.known.previous(CHAMPION if promoted else CHALLENGER))
        for message in (version, alias):
            state.known.take(message)
        return [
            *_end(state, study, None, clock),
            Output("models", version_key(name, version.version), version, partition_key=name),
            Output("models", alias_key(name, alias.alias), alias, partition_key=name),
        ]


def _begin(state: TunerState, clock: int) -> None:
    """Start the study whose turn it is."""
    if state.running is not None:
        study = state.running
        study.began = clock
        study.champion = champion = state.known.champion
        if champion is not None and champion.artifact and study.request.model_version in ("", champion.version):
            study.incumbent = dict(champion.hyperparameters)
        elif study.request.model_version in ("", state.latest):
            study.incumbent = state.hyperparameters


def _trials_asked(state: TunerState, asked: TrialsAsked, clock: int) -> None:
    study = state.study(asked.study_id)
    if study is None or asked.first != len(study.asked):
        return  # a lost trial took the number meanwhile: the sampler is asked again, with that in its history
    for params in asked.params[: study.to_ask]:
        study.ask(params)
    if asked.error is None:
        study.wall, study.wall_clock = asked.timestamp, clock
    else:
        study.exhausted = f"the sampler failed: {asked.error}"
    study.exhausted = study.exhausted or asked.exhausted


def _epoch_end(state: TunerState, report: EpochEnd) -> list[Output]:
    """Note what a trial reported; end it early if it falls short."""
    study_id, _, digits = report.run_id.rpartition(":")
    study, number = state.study(study_id), int(digits) if digits.isdecimal() else -1
    if study is None or number not in study.handed or SCORE not in report.metrics:
        return []
    study.reports.setdefault(number, {})[report.epoch] = report.metrics[SCORE]
    if not study.falls_short(number, report.epoch):
        return []
    order = study.prune_request_of(number, report.epoch)
    return [Output("trial-requests", order.trial_id, order)]


def _go_on(state: TunerState, clock: int) -> list[Output]:
    """Hand out what may be handed out; end the study where nothing is left to do but nothing is won."""
    study = state.running
    if study is None:
        return []
    outputs = [Output("trial-requests", request.trial_id, request) for request in study.hand_out(clock)]
    if study.trials_ended and study.best is None:
        return outputs + _end(state, study, why_nothing_won(study), clock)
    return outputs


def _end(state: TunerState, study: Study, failure: str | None, clock: int) -> list[Output]:
    """Close the running study and begin the next; it failed if there is a `failure`."""
    request = study.request
    state.studies.pop(0)
    state.owe(study.id, study.out)
    state.end_request(request.event_id)
    outputs = [finished(study, failure)]
    if failure is None:
        outputs += resolve(state, request, "study_failed", f"a later study of {request.model_name!r} succeeded")
    else:
        text = f"the study of {request.model_name!r} for request {request.event_id} failed: {failure}"
        outputs += fire(state, request, "study_failed", "error", text)
    outputs += resolve(state, request, "tuner_queue_full", "there is room for requests again")
    _begin(state, clock)
    return [*outputs, *_go_on(state, clock)]


def _retire(state: TunerState, action: OperatorAction, clock: int) -> list[Output]:
    """Give up the studies of a retired model and end its alerts; what its versions are called is kept."""
    text = f"the model was retired by {action.actor}" + (f": {action.note}" if action.note else "")
    for waiting in state.studies[1:]:
        state.end_request(waiting.request.event_id)
    del state.studies[1:]
    outputs = [] if state.running is None else _end(state, state.running, text, clock)
    return outputs + end_all(state, action, text)
