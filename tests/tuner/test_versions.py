"""The versions that studies make, those they know, and the champion that is to be beaten."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.tuner.stage import TunerStage
from agents.tuner.state import TunerState
from agents.tuner.work import TrainingWork
from schemas.message import Message
from schemas.models import ModelAlias, ModelVersion, Promotion
from tests.tuner.making import (
    NOON,
    SHA256,
    apply,
    only,
    request,
    run_trials,
    stage,
    train,
    trials_of,
    version,
)


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
