"""How studies end: with failed trials, a failed training, behind others, retired; and what is said of it."""

from __future__ import annotations

import pytest

from agents.tuner.stage import MAX_WAITING
from agents.tuner.state import TunerState
from agents.tuner.work import TrainingWork
from schemas.alerts import Alert
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.models import ModelVersion
from schemas.trials import StudyFinished, TrialResult, TrialState
from tests.tuner.making import (
    NOON,
    apply,
    ended,
    only,
    request,
    run_trials,
    stage,
    succeed,
    train,
    trials_of,
    version,
)


def test_failed_trials_are_published_and_the_best_of_the_others_wins() -> None:
    tuner = stage(trials=3)
    state, _ = apply(tuner, TunerState(), request())
    state, failed = apply(tuner, state, ended(trials_of(tuner, state)[0], error="timed out after 1 s"))
    (result,) = only(failed, TrialResult)
    assert (result.state, result.score, result.error) == (TrialState.FAILED, None, "timed out after 1 s")
    state, _ = run_trials(tuner, state)
    state, published = train(tuner, state)
    (finished,) = only(published, StudyFinished)
    assert finished.state == "complete"
    assert "1 failed" in finished.reason


@pytest.mark.parametrize("score", [None, float("nan"), float("inf")])
def test_a_result_without_a_finite_score_is_a_failed_trial(score: float | None) -> None:
    tuner = stage()
    state, _ = apply(tuner, TunerState(), request())
    odd = succeed(trials_of(tuner, state)[0]).model_copy(update={"score": score})
    state, published = apply(tuner, state, odd)
    (result,) = only(published, TrialResult)
    assert (result.state, result.score, result.error) == (TrialState.FAILED, None, "ended without a score")
    assert result.to_json()


def test_a_study_whose_trials_all_fail_ends_failed_with_the_last_reason_and_an_alert() -> None:
    tuner = stage(trials=3)
    state, _ = apply(tuner, TunerState(), request())
    published: list[Message] = []
    while pending := trials_of(tuner, state):
        state, more = apply(tuner, state, ended(pending[0], error=f"no luck in {pending[0].number}"))
        published += more
    (finished,) = only(published, StudyFinished)
    assert (finished.state, finished.best_trial_id) == ("failed", None)
    assert finished.reason == "none of 3 trials completed; the last one: no luck in 2"
    (alert,) = only(published, Alert)
    assert (alert.kind, alert.severity, alert.state) == ("study_failed", "error", "firing")
    assert only(published, ModelVersion) == []
    assert tuner.work(state) == []


def test_a_failed_training_ends_the_study_with_its_reason_and_the_next_success_resolves_the_alert() -> None:
    tuner = stage(trials=2)
    state, _ = run_trials(tuner, apply(tuner, TunerState(), request())[0])
    (work,) = tuner.work(state)
    assert isinstance(work, TrainingWork)
    state, published = apply(tuner, state, work.result("", None, {}, "RuntimeError: no memory", 3.0))
    finished, alert = published
    assert isinstance(finished, StudyFinished)
    assert finished.state == "failed"
    assert "RuntimeError: no memory" in finished.reason
    assert isinstance(alert, Alert)

    state, _ = run_trials(tuner, apply(tuner, state, request("request-2"))[0])
    state, published = train(tuner, state)
    (resolved,) = only(published, Alert)
    assert (resolved.kind, resolved.state) == ("study_failed", "resolved")
    assert [found.version for found in only(published, ModelVersion)] == ["2"]


def test_a_second_request_waits_for_the_running_study() -> None:
    tuner = stage(trials=2)
    state, _ = apply(tuner, TunerState(), request("a"), request("b"))
    first = {trial.study_id for trial in trials_of(tuner, state)}
    state, _ = run_trials(tuner, state)
    assert {work.study_id for work in tuner.work(state)} == first
    state, one = train(tuner, state)
    second = {trial.study_id for trial in trials_of(tuner, state)}
    assert len(second) == 1
    assert second != first
    state, _ = run_trials(tuner, state)
    state, two = train(tuner, state)
    assert [found.version for found in only([*one, *two], ModelVersion)] == ["2", "3"]
    assert [found.request_id for found in only([*one, *two], StudyFinished)] == ["a", "b"]


def test_a_request_delivered_twice_is_one_study() -> None:
    tuner = stage(trials=2)
    state, _ = apply(tuner, TunerState(), request(), request())
    assert len(state.studies) == 1
    state, _ = run_trials(tuner, state)
    state, _ = train(tuner, state)
    state, published = apply(tuner, state, request())
    assert published == []
    assert tuner.work(state) == []


def test_more_requests_than_may_wait_are_refused_with_one_alert_until_there_is_room() -> None:
    tuner = stage(trials=1)
    crowd = [request(f"r{number}") for number in range(MAX_WAITING + 4)]
    state, published = apply(tuner, TunerState(), *crowd)
    assert len(state.studies) == MAX_WAITING + 1
    (alert,) = published
    assert isinstance(alert, Alert)
    assert (alert.kind, alert.state) == ("tuner_queue_full", "firing")
    state, _ = run_trials(tuner, state)
    state, published = train(tuner, state)
    assert [(found.kind, found.state) for found in only(published, Alert)] == [("tuner_queue_full", "resolved")]


def retire() -> OperatorAction:
    return OperatorAction(model_name="m", timestamp=NOON, action="retire", actor="ann", note="replaced")


def test_a_retired_models_studies_and_alerts_end_and_no_version_number_is_used_again() -> None:
    tuner = stage(trials=2)
    state, _ = apply(tuner, TunerState(), version("7", lr=0.2), request("a", version="7"), request("b", version="7"))
    assert tuner.decode(retire().to_json(), ()) == retire()
    state, published = apply(tuner, state, retire())
    (finished,) = only(published, StudyFinished)
    assert (finished.state, finished.reason) == ("failed", "the model was retired by ann: replaced")
    assert [(alert.kind, alert.state) for alert in only(published, Alert)][-1] == ("study_failed", "resolved")
    assert (state.studies, state.firing, tuner.work(state)) == ([], [], [])
    state, _ = apply(tuner, state, request("b", version="7"))
    assert state.studies == []
    state, _ = run_trials(tuner, apply(tuner, state, request("c", version="7"))[0])
    assert [each.version for each in only(train(tuner, state)[1], ModelVersion)] == ["8"]


def test_other_orders_are_for_other_stages() -> None:
    tuner = stage()
    state, published = apply(tuner, TunerState(), retire().model_copy(update={"action": "pause"}))
    assert (published, tuner.encode_state(state)) == ([], None)
