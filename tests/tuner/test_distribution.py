"""What the study's owner hands out and takes back: ahead of need, once each, until deadlines, targets and budgets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.runner.trials import epoch_end_of
from agents.tuner.sampler import Told
from agents.tuner.stage import TunerStage
from agents.tuner.state import TunerState
from agents.tuner.study import ATTEMPTS
from agents.tuner.work import SamplingWork, TrainingWork
from schemas.experiments import EpochEnd
from schemas.message import Message
from schemas.models import ModelVersion
from schemas.trial_requests import PruneTrial, TrialRequest
from schemas.trials import StudyFinished, TrialResult, TrialState
from streams.stage import Tick
from tests.tuner.making import (
    NOON,
    SHA256,
    apply,
    asked,
    ended,
    event,
    request,
    run_trials,
    stage,
    stepped,
    succeed,
    tick,
    train,
    trials_of,
)

M = TypeVar("M", bound=Message)


def only(messages: Sequence[Message], kind: type[M]) -> list[M]:
    return [message for message in messages if isinstance(message, kind)]


def reported(trial: TrialRequest, step: int, score: float) -> EpochEnd:
    return epoch_end_of(trial, step, score, NOON)


def begun(**rule: Any) -> tuple[TunerStage, TunerState]:
    """A stage, and its state after one request at tick clock 1000."""
    tuner = stage(**rule)
    state, _ = apply(tuner, TunerState(), request(), clock=1000)
    return tuner, state


def test_a_request_alone_hands_out_nothing_but_names_what_to_choose() -> None:
    tuner = stage(parallel=2, ahead=1)
    state, outputs = tuner.step(TunerState(), [event(request())])
    assert outputs == []
    (work,) = tuner.work(state)
    assert isinstance(work, SamplingWork)
    assert (work.first, work.count) == (0, 3)
    state, outputs = tuner.step(state, [event(asked(work))])
    assert [output.key for output in outputs] == [f"{work.study_id}:0", f"{work.study_id}:1"]
    assert tuner.work(state) == []


def test_a_result_hands_out_at_once_what_was_chosen_ahead() -> None:
    tuner, state = begun(parallel=2, ahead=1)
    state, outputs = tuner.step(state, [event(succeed(trials_of(tuner, state)[0]))])
    assert [output.topic for output in outputs] == ["trials", "trial-requests"]
    assert [trial.number for trial in trials_of(tuner, state)] == [1, 2]
    (work,) = tuner.work(state)
    assert isinstance(work, SamplingWork)
    assert (work.first, work.count) == (3, 1)


def test_a_request_tells_a_runner_all_that_it_needs() -> None:
    tuner = stage(
        objective="cross_validation",
        options={"estimator": "a:B", "data": "c.csv"},
        timeout=timedelta(seconds=9),
        memory_mb=512,
        direction="minimize",
        deadline=timedelta(minutes=5),
    )
    version = ModelVersion(
        event_id="e",
        model_name="m",
        timestamp=NOON,
        version="1",
        sha256=SHA256,
        artifact="file:///x",
        hyperparameters={"lr": 0.2},
    )
    state, _ = apply(tuner, TunerState(), version)
    state, outputs = stepped(tuner, state, event(request(), clock=7000))
    (trial,) = [output.message for output in outputs]
    assert isinstance(trial, TrialRequest)
    assert trial.cause == request()
    assert trial.options == {"estimator": "a:B", "data": "c.csv"}
    assert (trial.objective, trial.timeout_seconds, trial.memory_mb) == ("cross_validation", 9.0, 512)
    assert (trial.direction, trial.incumbent) == ("minimize", {"lr": 0.2})
    assert trial.deadline == NOON + timedelta(minutes=5)
    assert TrialRequest.model_validate_json(trial.to_json()) == trial


def test_the_deadline_on_the_request_is_told_by_the_ticks_since_the_clock_was_last_read() -> None:
    tuner, state = begun(parallel=1, ahead=1, deadline=timedelta(minutes=5))
    state, outputs = tuner.step(state, [event(succeed(trials_of(tuner, state)[0]), clock=61_000)])
    requested = outputs[1].message
    assert isinstance(requested, TrialRequest)
    assert requested.deadline == NOON + timedelta(minutes=6)


def test_what_was_asked_is_never_asked_again_differently() -> None:
    tuner = stage(parallel=3, sampler="tpe")
    state, _ = tuner.step(TunerState(), [event(request())])
    (work,) = tuner.work(state)
    assert isinstance(work, SamplingWork)
    state, first = tuner.step(state, [event(asked(work))])
    other = asked(work).model_copy(update={"params": [{"lr": 0.3}] * 3})
    state, again = tuner.step(state, [event(other)])  # from a worker that had the partition before
    assert again == []
    assert [trial.params for trial in trials_of(tuner, state)] == [
        output.message.params for output in first if isinstance(output.message, TrialRequest)
    ]


def test_what_was_chosen_for_a_number_that_a_lost_trial_took_meanwhile_is_chosen_anew() -> None:
    tuner, state = begun(parallel=1, ahead=1, deadline=timedelta(seconds=10))
    state, _ = tuner.step(state, [event(succeed(trials_of(tuner, state)[0]), clock=5000)])
    (stale,) = tuner.work(state)
    assert isinstance(stale, SamplingWork)
    chosen = asked(stale)
    state, _ = tuner.step(state, [Tick(15_000)])
    before = dict(state.studies[0].asked)
    state, outputs = tuner.step(state, [event(chosen)])
    assert outputs == []
    assert state.studies[0].asked == before


def test_the_sampler_is_shown_what_was_asked_and_told_in_the_order_of_events() -> None:
    tuner, state = begun(parallel=2, ahead=0)
    one, two = trials_of(tuner, state)
    state, _ = apply(tuner, state, ended(two, 0.25), ended(one, error="no luck"))
    study = state.running
    assert study is not None
    events = [(type(each).__name__, each.number) for each in study.history()]
    assert events == [("Trial", 0), ("Trial", 1), ("Told", 1), ("Trial", 2), ("Told", 0), ("Trial", 3)]
    scores = [getattr(each, "score", "-") for each in study.history()]
    assert scores == ["-", "-", 0.25, "-", None, "-"]


def test_a_study_that_minimizes_shows_the_sampler_scores_turned_round() -> None:
    tuner, state = begun(direction="minimize")
    state, _ = apply(tuner, state, ended(trials_of(tuner, state)[0], 0.25))
    assert state.running is not None
    assert [getattr(each, "score", "-") for each in state.running.history()][2:3] == [-0.25]


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_every_trial_counts_once_whatever_is_told_twice_lost_or_late(data: st.DataObject) -> None:
    tuner, state = begun(trials=6, parallel=3, ahead=1, deadline=timedelta(seconds=10))
    sent: list[TrialRequest] = list(trials_of(tuner, state))
    published: list[Message] = []
    clock = 1000
    while (study := state.running) is not None and not study.trials_ended:
        if data.draw(st.booleans(), "tell"):
            trial = data.draw(st.sampled_from(sent), "which")
            state, outputs = stepped(tuner, state, event(succeed(trial), clock))
        else:
            clock += data.draw(st.integers(1, 9)) * 1000
            state, more = tick(tuner, state, clock)
            published += more
            outputs = []
        published += [output.message for output in outputs if output.message is not None]
        sent += [message for message in published if isinstance(message, TrialRequest) and message not in sent]
    results = [result for result in only(published, TrialResult) if not result.late]
    late = [result for result in only(published, TrialResult) if result.late]
    numbers = [result.number for result in results]
    assert len(numbers) == len(set(numbers))
    assert len({result.number for result in late}) == len(late)
    lost = {result.number for result in results if (result.error or "").startswith("lost")}
    assert {result.number for result in late} <= lost
    complete = [result for result in results if result.state is TrialState.COMPLETE]
    given_up = [result for result in results if f"(attempt {ATTEMPTS})" in (result.error or "")]
    assert len(complete) + len(given_up) == 6 or state.running is None
    assert len({message.event_id for message in published}) == len(published)


def test_a_lost_trial_fails_and_is_handed_out_again_under_a_new_number() -> None:
    tuner, state = begun(trials=2, parallel=1, ahead=0, deadline=timedelta(seconds=10))
    (first,) = trials_of(tuner, state)
    assert tuner.deadline(state) == 11_000
    state, nothing = tick(tuner, state, 10_999)
    assert nothing == []
    state, (failed, requested) = tick(tuner, state, 11_000)
    assert isinstance(failed, TrialResult)
    assert (failed.number, failed.state, failed.late) == (0, TrialState.FAILED, False)
    assert failed.error == "lost: nothing was heard of it for 10 s (attempt 1)"
    assert isinstance(requested, TrialRequest)
    assert (requested.number, requested.params) == (1, first.params)
    state, _ = run_trials(tuner, state)
    state, published = train(tuner, state)
    (finished,) = only(published, StudyFinished)
    assert " is the best of 2, 1 lost and asked again: score" in finished.reason


def test_hyperparameters_that_nothing_comes_back_from_are_given_up() -> None:
    tuner, state = begun(trials=1, deadline=timedelta(seconds=10))
    published: list[Message] = []
    for attempt in range(1, ATTEMPTS + 1):
        state, more = tick(tuner, state, 1000 + attempt * 10_000)
        published += more
    results = only(published, TrialResult)
    assert [result.number for result in results] == list(range(ATTEMPTS))
    (finished,) = only(published, StudyFinished)
    assert finished.state == "failed"
    assert finished.reason.startswith("none of 1 trials completed; the last one: lost")


def test_the_result_of_a_lost_trial_is_recorded_once_as_late_and_does_not_count() -> None:
    tuner, state = begun(trials=2, parallel=1, deadline=timedelta(seconds=10))
    (first,) = trials_of(tuner, state)
    state, _ = tick(tuner, state, 11_000)
    told = len(state.studies[0].told)
    state, published = apply(tuner, state, succeed(first), succeed(first))
    (late,) = only(published, TrialResult)
    assert (late.number, late.state, late.late) == (0, TrialState.COMPLETE, True)
    assert len(state.studies[0].told) == told
    assert state.studies[0].best is None


def test_a_target_ends_the_study_and_what_is_still_out_comes_late() -> None:
    tuner, state = begun(trials=10, parallel=3, target_score=0.9)
    poor, good, other = trials_of(tuner, state)
    state, _ = apply(tuner, state, ended(poor, 0.5), ended(good, 0.9))
    (work,) = tuner.work(state)
    assert isinstance(work, TrainingWork)
    assert work.params == good.params
    assert tuner.deadline(state) is None
    state, published = train(tuner, state)
    (finished,) = only(published, StudyFinished)
    assert finished.reason == "trial 1 is the best of 2: score 0.9; trial 1 reached the target of 0.9"
    state, published = apply(tuner, state, succeed(other), succeed(other))
    (late,) = only(published, TrialResult)
    assert (late.number, late.late) == (2, True)


def test_a_target_of_a_study_that_minimizes_is_reached_from_above() -> None:
    tuner, state = begun(direction="minimize", target_score=0.1)
    state, _ = apply(tuner, state, ended(trials_of(tuner, state)[0], 0.2))
    assert state.studies[0].stopped is None
    state, _ = apply(tuner, state, ended(trials_of(tuner, state)[0], 0.1))
    assert state.studies[0].stopped is not None


def test_a_study_whose_time_is_up_trains_the_best_so_far_or_fails() -> None:
    tuner, state = begun(trials=10, time_budget=timedelta(seconds=30))
    assert tuner.deadline(state) == 31_000
    state, _ = apply(tuner, state, ended(trials_of(tuner, state)[0], 0.5), clock=5000)
    timely, _ = tick(tuner, state, 31_000)
    assert [type(work) for work in tuner.work(timely)] == [TrainingWork]
    timely, published = train(tuner, timely)
    assert only(published, StudyFinished)[0].reason.endswith("; its time of 30 s was up")
    tuner, state = begun(trials=10, time_budget=timedelta(seconds=30))
    state, published = tick(tuner, state, 31_000)
    (finished,) = only(published, StudyFinished)
    assert (finished.state, finished.reason) == ("failed", "its time of 30 s was up")


def test_a_study_that_waits_has_its_time_counted_from_its_own_begin() -> None:
    tuner = stage(trials=1, time_budget=timedelta(seconds=30))
    state, _ = apply(tuner, TunerState(), request("a"), request("b"), clock=1000)
    state, _ = tick(tuner, state, 31_000)
    assert [study.request.event_id for study in state.studies] == ["b"]
    assert tuner.deadline(state) == 61_000


def test_an_exhausted_sampler_ends_the_study_with_what_there_is() -> None:
    tuner = stage(sampler="grid", sampler_options={"points": 2}, trials=10, parallel=3, ahead=2)
    state, _ = apply(tuner, TunerState(), request())
    state, published = run_trials(tuner, state)
    assert len(only(published, TrialResult)) == 2
    state, published = train(tuner, state)
    (finished,) = only(published, StudyFinished)
    assert finished.reason.endswith("; all 2 combinations of the grid were asked")


def test_a_grid_loses_no_combination_to_a_lost_trial() -> None:
    tuner, state = begun(
        sampler="grid", sampler_options={"points": 4}, trials=4, ahead=0, deadline=timedelta(seconds=10)
    )
    state, _ = tick(tuner, state, 11_000)
    state, published = run_trials(tuner, state)
    assert len({result.params["lr"] for result in only(published, TrialResult)}) == 4


def test_decay_starts_from_the_version_in_service() -> None:
    tuner = stage(sampler="decay", trials=3)
    version = ModelVersion(
        event_id="e",
        model_name="m",
        timestamp=NOON,
        version="1",
        sha256=SHA256,
        artifact="file:///x",
        hyperparameters={"lr": 0.1, "depth": 4},
    )
    state, _ = apply(tuner, TunerState(), version, request())
    state, published = run_trials(tuner, state)
    found = [result.params for result in only(published, TrialResult)]
    assert [params["lr"] for params in found] == pytest.approx([0.08, 0.064, 0.0512])
    assert {params["depth"] for params in found} == {4}
    assert "no version" not in only(train(tuner, state)[1], StudyFinished)[0].reason


def test_a_study_without_a_version_in_service_begins_from_the_defaults_and_says_so() -> None:
    tuner = stage(sampler="decay", trials=1)
    state, _ = apply(tuner, TunerState(), request(version=""))
    state, _ = run_trials(tuner, state)
    (finished,) = only(train(tuner, state)[1], StudyFinished)
    assert finished.reason.endswith("no version in service is known, so it began from the search space's defaults")


def test_reports_of_trials_that_ended_bound_those_that_are_handed_out_after() -> None:
    tuner, state = begun(pruner="median", pruner_options={"n_startup_trials": 2}, trials=4)
    for level in (0.4, 0.6):
        (trial,) = trials_of(tuner, state)
        assert trial.bounds == {}
        state, published = apply(tuner, state, *[reported(trial, 0, level)] * 2, ended(trial, level))
        assert only(published, PruneTrial) == []
    (trial,) = trials_of(tuner, state)
    assert trial.bounds == {"0": 0.5}
    state, published = apply(tuner, state, ended(trial, 0.7, pruned=True))
    (result,) = only(published, TrialResult)
    assert (result.state, result.score) == (TrialState.PRUNED, 0.7)
    assert state.studies[0].best == 1  # what ended early does not win
    assert Told(trial.number, 0.7) in state.studies[0].history()


@pytest.mark.parametrize(
    "rule",
    [
        {"pruner": "median", "pruner_options": {"n_startup_trials": 2}},
        {"pruner": "hyperband", "pruner_options": {"max_resource": 2}},
    ],
)
def test_a_trial_that_runs_is_ended_by_what_it_reports_meanwhile(rule: dict[str, Any]) -> None:
    tuner, state = begun(**rule, parallel=4)
    one, two, good, poor = trials_of(tuner, state)
    assert [trial.bounds for trial in (good, poor)] == [{}, {}]
    state, _ = apply(tuner, state, reported(one, 0, 0.4), reported(two, 0, 0.6))
    if rule["pruner"] == "median":
        state, _ = apply(tuner, state, ended(one, 0.4), ended(two, 0.6))
    state, published = apply(tuner, state, reported(good, 0, 0.9), reported(poor, 0, 0.1))
    (order,) = published
    assert isinstance(order, PruneTrial)
    assert (order.trial_id, order.number, order.step) == (poor.trial_id, poor.number, 0)
    state, outputs = tuner.step(state, [event(reported(poor, 0, 0.1))])  # by the runner that has it now
    assert [(each.topic, each.key, each.message) for each in outputs] == [("trial-requests", poor.trial_id, order)]
    state, published = apply(tuner, state, reported(poor, 1, 0.95), reported(poor, 0, 0.1))
    assert published == [order]  # it began anew elsewhere, and what it reported later here does not count yet
    state, published = apply(tuner, state, ended(poor, 0.95, pruned=True))
    assert [result.state for result in only(published, TrialResult)] == [TrialState.PRUNED]
    assert [type(message) for message in published] == [TrialResult]
    assert apply(tuner, state, reported(poor, 0, 0.1))[1] == []


@pytest.mark.parametrize("rule", [{"pruner": "none", "parallel": 3}, {"pruner": "median", "parallel": 1}])
def test_no_trial_is_ended_without_a_pruner_or_where_its_own_bounds_say_as_much(rule: dict[str, Any]) -> None:
    tuner, state = begun(**rule, pruner_options={"n_startup_trials": 1} if rule["pruner"] == "median" else {})
    first = trials_of(tuner, state)[0]
    assert first.pruner == rule["pruner"].replace("none", "")
    state, _ = apply(tuner, state, reported(first, 0, 0.9), ended(first, 0.9))
    assert apply(tuner, state, reported(trials_of(tuner, state)[0], 0, 0.1))[1] == []


def test_reports_of_unknown_trials_change_nothing() -> None:
    tuner, state = begun(pruner="median")
    before = tuner.encode_state(state)
    for run_id in ("elsewhere", f"{state.studies[0].id}:7", f"{state.studies[0].id}:x"):
        stray = EpochEnd(model_name="m", timestamp=NOON, run_id=run_id, epoch=0, metrics={"score": 1.0})
        state, published = apply(tuner, state, stray)
        assert published == []
    assert tuner.encode_state(state) == before


def test_what_runners_send_is_decoded_from_its_bytes() -> None:
    tuner, state = begun()
    (trial,) = trials_of(tuner, state)
    assert tuner.decode(succeed(trial).to_json(), ()) == succeed(trial)
