"""The tuner's step: from a request over its trials to a new version, through failures, repetitions and crashes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.settings import Settings
from agents.tuner.stage import MAX_WAITING, TunerStage
from agents.tuner.state import TunerState
from agents.tuner.work import TrainingWork
from schemas.alerts import Alert
from schemas.internal import OperatorAction
from schemas.message import InvalidMessage, Message
from schemas.metrics import Heartbeat
from schemas.models import ModelAlias, ModelVersion, Promotion
from schemas.trials import StudyFinished, TrialResult, TrialState
from streams.stage import Tick
from tests.tuner.making import (
    NOON,
    SHA256,
    apply,
    ended,
    event,
    request,
    run_trials,
    score_of,
    stage,
    stepped,
    succeed,
    train,
    trials_of,
)

M = TypeVar("M", bound=Message)


def only(messages: Sequence[Message], kind: type[M]) -> list[M]:
    """The messages of one kind."""
    return [message for message in messages if isinstance(message, kind)]


def version(
    name: str, event_id: str = "e", model: str = "m", **hyperparameters: bool | float | str | None
) -> ModelVersion:
    """A version that somebody registered."""
    return ModelVersion(
        event_id=event_id,
        model_name=model,
        timestamp=NOON,
        version=name,
        sha256=SHA256,
        artifact="file:///x",
        hyperparameters=hyperparameters,
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


@pytest.mark.parametrize(
    ("known", "drifted", "expected", "parent"),
    [
        ([], "", "1", None),
        ([], "1", "2", "1"),
        (["1", "2", "3"], "1", "4", "1"),
        (["3", "1", "2"], "", "4", "3"),
        ([], "v1", "v2", "v1"),
        (["v1", "v2"], "v1", "v3", "v1"),
        ([], "1.4", "1.4-r1", "1.4"),
        (["1.4", "1.4-r1"], "1.4-r1", "1.4-r2", "1.4-r1"),
        (["1.4", "1.4-r1"], "1.4", "1.4-r2", "1.4"),
        ([], "2026-05-01", "2026-05-01-r1", "2026-05-01"),
        ([], "team/model@5", "team-model-5-r1", None),
    ],
)
def test_new_versions_are_numbered_in_their_parents_line(
    known: list[str], drifted: str, expected: str, parent: str | None
) -> None:
    tuner = stage(trials=1)
    state, _ = apply(tuner, TunerState(), *(version(name, f"e{name}") for name in known), request(version=drifted))
    state, _ = run_trials(tuner, state)
    state, published = train(tuner, state)
    (registered,) = only(published, ModelVersion)
    assert (registered.version, registered.parent_version) == (expected, parent)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["C"]), max_size=128), st.integers(1, 4))
def test_versions_made_one_from_the_other_are_all_different_and_valid(first: str, count: int) -> None:
    tuner = stage(trials=1)
    state, made = TunerState(), [first]
    for number in range(count):
        state, _ = apply(tuner, state, request(f"r{number}", version=made[-1]))
        state, _ = run_trials(tuner, state)
        state, published = train(tuner, state)
        (registered,) = only(published, ModelVersion)
        made.append(ModelVersion.model_validate_json(registered.to_json()).version)
    assert all(one != other for one, other in pairwise(made))
    assert len(set(made)) == len(made)


def test_its_own_version_read_back_changes_nothing() -> None:
    tuner = stage(trials=1)
    state, _ = run_trials(tuner, apply(tuner, TunerState(), request())[0])
    state, published = train(tuner, state)
    before = tuner.encode_state(state)
    state, again = apply(tuner, state, *only(published, ModelVersion), *only(published, ModelVersion))
    assert again == []
    assert tuner.encode_state(state) == before


def test_trials_know_the_hyperparameters_of_the_version_in_service() -> None:
    tuner = stage()
    state, _ = apply(tuner, TunerState(), version("1", lr=0.2), request(version="1"))
    assert trials_of(tuner, state)[0].incumbent == {"lr": 0.2}
    state, _ = apply(tuner, TunerState(), version("2", lr=0.2), request(version="1"))
    assert trials_of(tuner, state)[0].incumbent == {}


def test_a_tick_changes_nothing() -> None:
    tuner = stage()
    state, outputs = tuner.step(TunerState(), [Tick(5000)])
    assert outputs == []
    assert tuner.encode_state(state) is None
    assert tuner.deadline(state) is None


def champion(version: str, *previous: str) -> ModelAlias:
    return ModelAlias(
        event_id="e", model_name="m", timestamp=NOON, alias="champion", version=version, previous=list(previous)
    )


def trained(tuner: TunerStage, state: TunerState, promoted: bool) -> tuple[TunerState, list[Message]]:
    """Finish the training that should be running, compared with the champion as said."""
    (work,) = tuner.work(state)
    assert isinstance(work, TrainingWork)
    made = Promotion(promoted=promoted, reason="as the test says")
    return apply(tuner, state, work.result("file:///artifacts/x", SHA256, {}, None, 2.0, made))


def test_a_training_is_given_the_champion_to_beat() -> None:
    tuner = stage(trials=1, promotion={"margin": 0.02})
    state, _ = apply(tuner, TunerState(), version("1", lr=0.2), champion("1"), version("2", lr=0.3), request())
    assert trials_of(tuner, state)[0].incumbent == {"lr": 0.2}
    state, _ = run_trials(tuner, state)
    (work,) = tuner.work(state)
    assert isinstance(work, TrainingWork)
    assert work.champion is not None
    assert (work.champion.version, work.promotion.margin) == ("1", 0.02)
    state, _ = apply(tuner, state, champion("2", "1"))
    (work,) = tuner.work(state)
    assert isinstance(work, TrainingWork)
    assert work.champion is not None
    assert work.champion.version == "2"


@pytest.mark.parametrize(("promoted", "alias", "previous"), [(True, "champion", ["1"]), (False, "challenger", [])])
def test_a_version_is_registered_and_gets_the_alias_it_earned(promoted: bool, alias: str, previous: list[str]) -> None:
    tuner = stage(trials=1)
    state, _ = apply(tuner, TunerState(), version("1", lr=0.2), champion("1"), request())
    state, _ = run_trials(tuner, state)
    study = state.studies[0].id
    state, published = trained(tuner, state, promoted)
    (registered,), (pointed,) = only(published, ModelVersion), only(published, ModelAlias)
    assert registered.promotion is not None
    assert (registered.study_id, registered.promotion.promoted) == (study, promoted)
    assert (pointed.alias, pointed.version, pointed.previous) == (alias, "2", previous)
    assert pointed.reason == "as the test says"
    assert state.known.champion is not None
    assert state.known.champion.version == ("2" if promoted else "1")


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


def test_a_state_of_another_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="layout"):
        stage().decode_state("m", b"9{}")


BEFORE_PROMOTION = (
    b'2{"latest":"1","hyperparameters":{"lr":0.2},"numbers":{"":1},"studies":[{"request":{"event_id":"request-1",'
    b'"model_name":"m","model_version":"1","timestamp":"2026-05-01T12:00:00Z","rule":"r","reason":"drift","metric":'
    b'"accuracy","cause_ids":["cause"]},"plan":{"rule":"t","objective":"tests.tuner.objectives:objective","sampler":'
    b'"random","trials":1,"parallel":1,"ahead":1,"timeout_seconds":60.0,"deadline_ms":3600000,"direction":"maximize",'
    b'"space":{"lr":{"type":"float_range","min":0.001,"max":0.3,"log":true}},"seed":0},"first":0,"incumbent":{"lr":0.2}'
    b',"asked":{"0":{"lr":0.005904757770647105}},"knew":[0],"told":{"0":{"score":0.9559047577706471}},"handed":'
    b'{"0":3600000},"wall":"2026-05-01T12:00:00Z"}],"sequence":4}'
)
"""A state written before versions were promoted, with a study that is being trained."""


def test_a_state_of_before_promotion_goes_on_and_a_champion_set_meanwhile_is_to_be_beaten() -> None:
    tuner = stage()
    state = tuner.decode_state("m", BEFORE_PROMOTION)
    assert [type(work) for work in tuner.work(state)] == [TrainingWork]
    state, _ = apply(tuner, state, champion("1"))
    (work,) = tuner.work(state)
    assert isinstance(work, TrainingWork)
    assert work.champion is not None
    assert (work.champion.version, work.champion.artifact) == ("1", "")
    state, published = trained(tuner, state, promoted=True)
    assert [each.version for each in only(published, ModelVersion)] == ["2"]


def test_trials_know_the_newest_hyperparameters_where_those_of_the_champion_are_not_remembered() -> None:
    tuner = stage()
    state, _ = apply(tuner, TunerState(), version("2", lr=0.3), champion("1"), request(version="2"))
    assert trials_of(tuner, state)[0].incumbent == {"lr": 0.3}


def test_the_state_is_json_after_its_format_byte() -> None:
    tuner = stage()
    state, _ = apply(tuner, TunerState(), version("1", lr=0.1), request())
    data = tuner.encode_state(state)
    assert data is not None
    assert data[:1] == b"2"
    assert json.loads(data[1:])["latest"] == "1"
    assert tuner.decode_state("m", data) == state
