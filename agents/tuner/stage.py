"""The tuner as a pure stage: retrain requests in; trial results, finished studies and new model versions out.

The step runs no trial. After each step `work(state)` names what should be running; a shell runs it and feeds back
`TrialResult` and `TrainingFinished`, which the step takes as events. After a crash `work` of the restored state names
the rest again, so what was lost is run anew; what was told counts once, whoever tells it again.

A study takes a block of the key's sequence numbers: one for each trial, then training, end and version. So the ids of
its outputs do not depend on which of two trials that run side by side ends first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, cast

from pydantic import Field

from agents.settings import Settings
from agents.tuner.study import STAGE, Plan, Study, Told, TunerState
from agents.tuner.versions import next_version, split_version
from agents.tuner.work import Work
from schemas.alerts import Alert
from schemas.ids import output_id
from schemas.internal import TrainingFinished
from schemas.message import InvalidMessage, Message
from schemas.models import ModelAlias, ModelVersion, version_key
from schemas.parse import parser_for
from schemas.retrain import RetrainRequest
from schemas.trials import StudyFinished, TrialResult, TrialState
from streams.parts import Parts
from streams.records import Headers, Output
from streams.stage import Input, Tick

MAX_WAITING = 16
"""Requests of one model that may wait behind the running study; one more is refused with an alert."""

_FORMAT = b"1"  # first byte of an encoded state; raise it when the layout changes

TunerInput = Annotated[RetrainRequest | ModelVersion | ModelAlias, Field(discriminator="type")]
Severity = Literal["info", "warning", "error"]


class TunerStage:
    """The tuner's logic, with the tune rules of the settings."""

    name = STAGE
    topics = ("retrain", "models")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parse = parser_for(TunerInput)

    def decode(self, value: bytes | None, headers: Headers) -> Message | None:
        """A retrain request, a model version or an alias; None for a tombstone. Raises `InvalidMessage`."""
        return None if value is None else self._parse(value, headers)

    def new_state(self, key: str, parts: Parts | None = None) -> TunerState:
        """The state of a model never heard of."""
        return TunerState()

    def encode_state(self, state: TunerState) -> bytes | None:
        """Versioned JSON; None while there is nothing to remember."""
        return None if state == TunerState() else _FORMAT + state.model_dump_json(exclude_defaults=True).encode()

    def decode_state(self, key: str, data: bytes, parts: Parts | None = None) -> TunerState:
        """The state again. Raises `ValueError` for a layout of another release."""
        if data[:1] != _FORMAT:
            raise ValueError(f"the tuner's state of {key!r} has layout {data[:1]!r}, this release reads {_FORMAT!r}")
        return TunerState.model_validate_json(data[1:])

    def deadline(self, state: TunerState) -> int | None:
        """The tuner waits for results, never for time."""
        return None

    def work(self, state: TunerState) -> list[Work]:
        """What should be running for this model now; each piece has the same `id` whenever it is named again."""
        return state.studies[0].work() if state.studies else []

    def step(self, state: TunerState, inputs: Sequence[Input]) -> tuple[TunerState, list[Output]]:
        """Apply requests, versions and results in their order."""
        outputs: list[Output] = []
        for item in inputs:
            if not isinstance(item, Tick):
                outputs += self._apply(state, item.message)
        return state, outputs

    def _apply(self, state: TunerState, message: Message) -> list[Output]:
        match message:
            case RetrainRequest():
                return self._request(state, message)
            case ModelVersion():
                state.know_version(message.version, dict(message.hyperparameters))
            case TrialResult():
                return self._trial_result(state, message)
            case TrainingFinished():
                return self._training_finished(state, message)
            case ModelAlias():
                pass
            case _:
                raise InvalidMessage(f"type: the tuner has no use for {message.type!r}")
        return []

    def _request(self, state: TunerState, request: RetrainRequest) -> list[Output]:
        if state.knows_request(request.event_id):
            return []
        rule = self._settings.tune_rule(request.model_name)
        if rule is None:
            state.end_request(request.event_id)
            return []  # its retrain requests are left to others
        if len(state.studies) > MAX_WAITING:
            state.end_request(request.event_id)
            text = f"{MAX_WAITING} requests of {request.model_name!r} wait for its running study: one more was refused"
            return _fire(state, request, "tuner_queue_full", "warning", text)
        plan = Plan.of(rule)
        study = Study(request=request, plan=plan, first=state.take_sequence(plan.trials + 3))
        state.studies.append(study)
        if len(state.studies) == 1:
            _begin(state)
        return []

    def _trial_result(self, state: TunerState, result: TrialResult) -> list[Output]:
        study = _running(state, result.study_id)
        if study is None or result.number not in study.asked or result.number in study.told:
            return []  # late, or told before
        error = _error_of(result)
        study.told[result.number] = Told(score=result.score if error is None else None, error=error)
        published = {
            "event_id": study.output_id("trial_result", result.number),
            "model_version": study.request.model_version,
            "timestamp": study.request.timestamp,
            "labels": study.request.labels,
            "trial_id": study.trial_id(result.number),
            "params": study.asked[result.number],
            "score": study.told[result.number].score,
            "state": TrialState.COMPLETE if error is None else TrialState.FAILED,
            "error": error,
        }
        outputs = [Output("trials", result.model_name, result.model_copy(update=published))]
        study.ask_ahead()
        if study.trials_ended and study.best is None:
            last = study.told[max(study.told)].error
            outputs += _end(state, study, f"none of {study.plan.trials} trials completed; the last one: {last}")
        return outputs

    def _training_finished(self, state: TunerState, training: TrainingFinished) -> list[Output]:
        study = _running(state, training.study_id)
        if study is None or not study.trials_ended or study.best is None:
            return []
        if training.error is not None or training.sha256 is None:
            reason = training.error or "it left no artifact"
            return _end(state, study, f"training with the best trial's parameters failed: {reason}")
        version = _version_of(state, study, training)
        state.know_version(version.version, dict(version.hyperparameters))
        key = version_key(version.model_name, version.version)
        return [*_end(state, study, None), Output("models", key, version, partition_key=version.model_name)]


def _begin(state: TunerState) -> None:
    """Start the study whose turn it is."""
    if state.studies:
        study = state.studies[0]
        if study.request.model_version in ("", state.latest):
            study.incumbent = state.hyperparameters
        study.ask_ahead()


def _running(state: TunerState, study_id: str) -> Study | None:
    return state.studies[0] if state.studies and state.studies[0].id == study_id else None


def _error_of(result: TrialResult) -> str | None:
    """Why a trial has no score; None if it has one."""
    if result.state is TrialState.COMPLETE and result.score is not None and math.isfinite(result.score):
        return None
    return result.error or "ended without a score"


def _end(state: TunerState, study: Study, failure: str | None) -> list[Output]:
    """Close the running study and begin the next; it failed if there is a `failure`."""
    request, best = study.request, study.best
    state.studies.pop(0)
    state.end_request(request.event_id)
    reason = failure or _success(study)
    finished = StudyFinished(
        event_id=study.output_id("study_finished", study.plan.trials + 1),
        model_name=request.model_name,
        model_version=request.model_version,
        timestamp=request.timestamp,
        labels=request.labels,
        study_id=study.id,
        request_id=request.event_id,
        state="complete" if failure is None else "failed",
        best_trial_id=None if best is None else study.trial_id(best),
        reason=reason,
    )
    outputs = [Output("trials", request.model_name, finished)]
    if failure is None:
        outputs += _resolve(state, request, "study_failed", f"a later study of {request.model_name!r} succeeded")
    else:
        text = f"the study of {request.model_name!r} for request {request.event_id} failed: {failure}"
        outputs += _fire(state, request, "study_failed", "error", text)
    outputs += _resolve(state, request, "tuner_queue_full", "there is room for requests again")
    _begin(state)
    return outputs


def _success(study: Study) -> str:
    failed = sum(told.score is None for told in study.told.values())
    best = cast(int, study.best)
    also = f", {failed} failed" if failed else ""
    return f"trial {best} is the best of {study.plan.trials}{also}: score {study.told[best].score:.6g}"


def _version_of(state: TunerState, study: Study, training: TrainingFinished) -> ModelVersion:
    request, best = study.request, cast(int, study.best)
    parent = request.model_version or state.latest
    version = next_version(parent, state.numbers.get(split_version(parent)[0], 0))
    return ModelVersion(
        event_id=study.output_id("model_version", study.plan.trials + 2),
        model_name=request.model_name,
        model_version=version,
        timestamp=request.timestamp,
        labels=request.labels,
        version=version,
        sha256=training.sha256 or "",
        artifact=training.artifact,
        hyperparameters=study.asked[best],
        metrics={"score": cast(float, study.told[best].score), **training.metrics},
        parent_version=parent if parent and not {"/", "@"} & set(parent) else None,
        request_id=request.event_id,
    )


def _fire(state: TunerState, cause: RetrainRequest, kind: str, severity: Severity, text: str) -> list[Output]:
    """An alert, if it is not firing for this model already; a failed study is an event and fires each time."""
    if kind in state.firing and kind != "study_failed":
        return []
    if kind not in state.firing:
        state.firing.append(kind)
    return [_alert(state, cause, kind, severity, "firing", text)]


def _resolve(state: TunerState, cause: RetrainRequest, kind: str, text: str) -> list[Output]:
    if kind not in state.firing:
        return []
    state.firing.remove(kind)
    return [_alert(state, cause, kind, "info", "resolved", text)]


def _alert(
    state: TunerState,
    cause: RetrainRequest,
    kind: str,
    severity: Severity,
    status: Literal["firing", "resolved"],
    text: str,
) -> Output:
    name, version = cause.model_name, cause.model_version
    alert = Alert(
        event_id=output_id(STAGE, name, version, cause.metric, "", cause.rule, "alert", state.take_sequence()),
        model_name=name,
        model_version=version,
        timestamp=cause.timestamp,
        labels=cause.labels,
        kind=kind,
        severity=severity,
        state=status,
        message=text,
    )
    return Output("alerts", name, alert)
