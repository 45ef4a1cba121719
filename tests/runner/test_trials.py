"""What a runner makes of a request, and what it sends back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from agents.runner.trials import call_of, messages_of, overdue
from agents.tuner.state import TunerState
from agents.tuner.worker import Ended
from schemas.experiments import EpochEnd
from schemas.retrain import RetrainRequest
from schemas.trial_requests import TrialRequest
from schemas.trials import TrialResult, TrialState
from tests.tuner.making import NOON, apply, request, stage, trials_of


def requested(**changed: object) -> TrialRequest:
    tuner = stage(memory_mb=256, timeout=timedelta(seconds=7))
    state, _ = apply(tuner, TunerState(), request(labels={"country": "it"}))
    return trials_of(tuner, state)[0].model_copy(update=changed)


def test_the_objective_gets_the_request_with_model_version_and_segment() -> None:
    call = call_of(requested())
    cause = RetrainRequest.model_validate_json(call.request)
    assert (cause.model_name, cause.model_version, cause.labels) == ("m", "1", {"country": "it"})
    assert (call.limit_seconds, call.memory_mb, call.maximize) == (7.0, 256, True)


def test_all_trials_of_a_study_share_one_cause_so_that_data_is_loaded_once() -> None:
    tuner = stage(parallel=3)
    state, _ = apply(tuner, TunerState(), request())
    assert len({call_of(trial).request for trial in trials_of(tuner, state)}) == 1


def test_a_trial_that_somebody_else_asked_for_has_a_cause_too() -> None:
    call = call_of(requested(cause=None, bounds={"3": 0.5, "odd": 1.0}, direction="minimize"))
    assert RetrainRequest.model_validate_json(call.request).model_name == "m"
    assert (call.bounds, call.maximize) == ({3: 0.5}, False)


def test_a_trial_taken_after_its_deadline_is_not_run() -> None:
    trial = requested(deadline=NOON)
    assert overdue(trial, NOON) is None
    assert overdue(requested(deadline=None), NOON + timedelta(days=1)) is None
    missed = overdue(trial, NOON + timedelta(seconds=1))
    assert missed is not None
    assert missed.error == "it was taken after its deadline"


def test_reports_come_in_order_before_the_result_and_all_fit_their_schemas() -> None:
    trial = requested()
    ended = Ended(score=0.5, seconds=2.0, reports={1: 0.4, 0: 0.3})
    *reports, result = messages_of(trial, ended)
    assert [(type(report), report.epoch, report.metrics) for report in reports if isinstance(report, EpochEnd)] == [
        (EpochEnd, 0, {"score": 0.3}),
        (EpochEnd, 1, {"score": 0.4}),
    ]
    assert isinstance(result, TrialResult)
    assert (result.state, result.score, result.duration_seconds) == (TrialState.COMPLETE, 0.5, 2.0)
    assert TrialResult.model_validate_json(result.to_json()) == result
    assert len({message.event_id for message in (*reports, result)}) == 3


def test_a_pruned_trial_keeps_its_score_and_a_failed_one_has_none() -> None:
    trial = requested()
    pruned = messages_of(trial, Ended(score=0.5, pruned=True))[-1]
    failed = messages_of(trial, replace(Ended(score=0.5), error="no luck"))[-1]
    assert isinstance(pruned, TrialResult)
    assert isinstance(failed, TrialResult)
    assert (pruned.state, pruned.score) == (TrialState.PRUNED, 0.5)
    assert (failed.state, failed.score, failed.error) == (TrialState.FAILED, None, "no luck")
