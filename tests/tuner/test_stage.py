"""The tuner's step: from a request over its trials to a new version, through repetitions and crashes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.settings import Settings
from agents.tuner.stage import TunerStage
from agents.tuner.state import TunerState
from agents.tuner.work import TrainingWork
from schemas.message import InvalidMessage, Message
from schemas.metrics import Heartbeat
from schemas.models import ModelAlias, ModelVersion
from schemas.trials import StudyFinished, TrialResult, TrialState
from streams.stage import Tick
from tests.tuner.making import (
    NOON,
    SHA256,
    apply,
    ended,
    event,
    only,
    request,
    run_trials,
    score_of,
    stage,
    stepped,
    succeed,
    train,
    trials_of,
    version,
)


def test_one_request_gives_ten_trials_a_finished_study_and_a_new_version() -> None:
    tuner = stage()
    state, began = apply(tuner, TunerState(), request())
    assert began == []
    state, published = run_trials(tuner, state)
    results = only(published, TrialResult)
    assert [result.number for result in results] == list(range(10))
    assert published == results
    assert len({result.event_id for result in results}) == 10
    assert all(result.state is TrialState.COMPLETE and result.timestamp == NOON for result in results)
    best = max(results, key=lambda result: result.score or 0)

    (work,) = tuner.work(state)
    assert isinstance(work, TrainingWork)
    assert work.params == best.params
    state, published = train(tuner, state)
    finished, registered, alias = published
    assert isinstance(finished, StudyFinished)
    assert isinstance(alias, ModelAlias)
    assert (finished.state, finished.best_trial_id, finished.request_id) == ("complete", best.trial_id, "request-1")
    assert isinstance(registered, ModelVersion)
    assert (registered.version, registered.model_version, registered.parent_version) == ("2", "2", "1")
    assert registered.hyperparameters == best.params
    assert registered.metrics == {"score": best.score, "accuracy": 0.95}
    assert (registered.sha256, registered.artifact, registered.request_id) == (
        SHA256,
        "file:///artifacts/x",
        "request-1",
    )
    assert tuner.work(state) == []


def test_outputs_go_to_their_topics_under_their_keys() -> None:
    tuner = stage(trials=1)
    state, outputs = stepped(tuner, TunerState(), event(request()))
    (trial,) = trials_of(tuner, state)
    assert [(output.topic, output.key, output.partition_key) for output in outputs] == [
        ("trial-requests", trial.trial_id, None)
    ]
    state, outputs = tuner.step(state, [event(succeed(trial))])
    assert [(output.topic, output.key, output.partition_key) for output in outputs] == [("trials", "m", None)]
    (work,) = tuner.work(state)
    assert isinstance(work, TrainingWork)
    state, outputs = tuner.step(state, [event(work.result("file:///x", SHA256, {}, None, 1.0))])
    assert [(output.topic, output.key, output.partition_key) for output in outputs] == [
        ("trials", "m", None),
        ("models", "m/2", "m"),
        ("models", "m@challenger", "m"),
    ]


def test_as_many_trials_as_the_rule_allows_run_side_by_side() -> None:
    tuner = stage(parallel=3)
    state, _ = apply(tuner, TunerState(), request())
    assert [work.number for work in trials_of(tuner, state)] == [0, 1, 2]
    state, _ = apply(tuner, state, succeed(trials_of(tuner, state)[1]))
    assert [work.number for work in trials_of(tuner, state)] == [0, 2, 3]


@settings(deadline=None)
@given(st.data())
def test_the_ids_and_the_winner_do_not_depend_on_the_order_in_which_trials_end(data: st.DataObject) -> None:
    tuner = stage(parallel=4)
    state, _ = apply(tuner, TunerState(), request())
    expected = run_trials(tuner, apply(tuner, TunerState(), request())[0])
    published: list[Message] = []
    while pending := trials_of(tuner, state):
        state, more = apply(tuner, state, succeed(data.draw(st.sampled_from(pending))))
        published += more
    assert sorted(published, key=lambda message: message.event_id or "") == sorted(
        expected[1], key=lambda message: message.event_id or ""
    )
    assert tuner.work(state) == tuner.work(expected[0])


@settings(deadline=None)
@given(st.sets(st.integers(0, 9)), st.integers(1, 5))
def test_after_a_crash_exactly_the_rest_is_named_again(told: set[int], parallel: int) -> None:
    tuner = stage(parallel=parallel)
    state, _ = apply(tuner, TunerState(), request())
    for _ in told:
        state, _ = apply(tuner, state, succeed(trials_of(tuner, state)[-1]))
    named = trials_of(tuner, state)
    restored = stage(parallel=parallel)
    data = tuner.encode_state(state)
    assert data is not None
    again = restored.decode_state("m", data)
    assert trials_of(restored, again) == named
    state, rest = run_trials(restored, again)
    assert len(only(rest, TrialResult)) == 10 - len(told)
    assert [type(work) for work in restored.work(state)] == [TrainingWork]


def test_after_a_crash_during_training_the_training_is_named_again() -> None:
    tuner = stage()
    state, _ = run_trials(tuner, apply(tuner, TunerState(), request())[0])
    data = tuner.encode_state(state)
    assert data is not None
    restored = stage()
    assert restored.work(restored.decode_state("m", data)) == tuner.work(state)


def test_a_study_keeps_its_plan_when_the_settings_change_under_it() -> None:
    tuner = stage()
    state, _ = apply(tuner, TunerState(), request())
    data = tuner.encode_state(state)
    assert data is not None
    changed = stage(trials=2, space={"depth": {"type": "int_range", "min": 1, "max": 2}}, objective="other:objective")
    restored = changed.decode_state("m", data)
    assert trials_of(changed, restored) == trials_of(tuner, state)
    assert restored.studies[0].plan.trials == 10


def test_a_result_told_twice_counts_once() -> None:
    tuner = stage()
    state, _ = apply(tuner, TunerState(), request())
    first = succeed(trials_of(tuner, state)[0])
    state, published = apply(tuner, state, first, first, first.model_copy(update={"score": 0.1}))
    assert len(published) == 1
    assert [work.number for work in trials_of(tuner, state)] == [1]


def test_a_late_result_of_an_ended_study_changes_nothing() -> None:
    tuner = stage()
    state, _ = apply(tuner, TunerState(), request())
    late = succeed(trials_of(tuner, state)[0])
    state, _ = run_trials(tuner, state)
    state, _ = train(tuner, state)
    before = tuner.encode_state(state)
    state, published = apply(tuner, state, late)
    assert published == []
    assert tuner.encode_state(state) == before


def test_a_result_of_a_trial_that_was_never_asked_changes_nothing() -> None:
    tuner = stage()
    state, _ = apply(tuner, TunerState(), request())
    before = tuner.encode_state(state)
    invented = succeed(trials_of(tuner, state)[0]).model_copy(update={"number": 7})
    state, published = apply(tuner, state, invented)
    assert published == []
    assert tuner.encode_state(state) == before


def test_a_training_that_ends_before_the_trials_do_changes_nothing() -> None:
    tuner = stage()
    state, _ = run_trials(tuner, apply(tuner, TunerState(), request())[0])
    (work,) = tuner.work(state)
    assert isinstance(work, TrainingWork)
    early = work.result("file:///x", SHA256, {}, None, 1.0)
    fresh, _ = apply(tuner, TunerState(), request())
    fresh, published = apply(tuner, fresh, early)
    assert published == []
    assert len(trials_of(tuner, fresh)) == 1


def test_the_requests_of_a_model_without_a_tune_rule_are_left_to_others() -> None:
    tuner = TunerStage(Settings())
    state, published = apply(tuner, TunerState(), request("a"), request("b"))
    assert published == []
    assert tuner.work(state) == []
    state, _ = apply(stage(), state, request("a"), request("c"))  # a rule was added: only a new request counts
    assert [study.request.event_id for study in state.studies] == ["c"]


def test_a_tombstone_on_the_compacted_topic_is_passed_over() -> None:
    assert stage().decode(None, ()) is None


def test_the_smallest_score_wins_where_the_rule_minimizes() -> None:
    tuner = stage(direction="minimize", parallel=10)
    state, _ = apply(tuner, TunerState(), request())
    worst = min(trials_of(tuner, state), key=score_of)
    state, _ = run_trials(tuner, state)
    (work,) = tuner.work(state)
    assert isinstance(work, TrainingWork)
    assert work.params == worst.params


def test_of_equal_trials_the_earliest_wins() -> None:
    tuner = stage(parallel=10)
    state, _ = apply(tuner, TunerState(), request())
    pending = trials_of(tuner, state)
    for work in reversed(pending):
        state, _ = apply(tuner, state, ended(work, 0.5))
    (training,) = tuner.work(state)
    assert isinstance(training, TrainingWork)
    assert training.params == pending[0].params


def test_two_requests_explore_different_candidates_and_the_same_request_the_same() -> None:
    tuner = stage(parallel=10)
    one, _ = apply(tuner, TunerState(), request("a"))
    same, _ = apply(tuner, TunerState(), request("a"))
    other, _ = apply(tuner, TunerState(), request("b"))
    assert trials_of(tuner, one) == trials_of(tuner, same)
    assert [work.params for work in trials_of(tuner, one)] != [work.params for work in trials_of(tuner, other)]


def test_each_trial_has_a_seed_of_its_own_that_numpy_takes() -> None:
    tuner = stage(parallel=10)
    state, _ = apply(tuner, TunerState(), request())
    seeds = [work.seed for work in trials_of(tuner, state)]
    assert len(set(seeds)) == 10
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_a_tick_changes_nothing() -> None:
    tuner = stage()
    state, outputs = tuner.step(TunerState(), [Tick(5000)])
    assert outputs == []
    assert tuner.encode_state(state) is None
    assert tuner.deadline(state) is None


def test_a_message_of_another_topic_is_refused() -> None:
    tuner = stage()
    beat = Heartbeat(model_name="m", timestamp=NOON)
    with pytest.raises(InvalidMessage, match="heartbeat"):
        tuner.step(TunerState(), [event(beat)])
    with pytest.raises(InvalidMessage, match="type"):
        tuner.decode(beat.to_json(), ())


def test_requests_and_versions_are_decoded_from_their_bytes() -> None:
    tuner = stage()
    for message in (request(), version("1")):
        assert tuner.decode(message.to_json(), ()) == message


def test_a_state_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 49, this version reads 50"):
        stage().decode_state("m", b"1{}")


def test_the_state_is_json_after_its_format_byte() -> None:
    tuner = stage()
    state, _ = apply(tuner, TunerState(), version("1", lr=0.1), request())
    data = tuner.encode_state(state)
    assert data is not None
    assert data[:1] == b"2"
    assert json.loads(data[1:])["latest"] == "1"
    assert tuner.decode_state("m", data) == state
