"""From a version back to the fleet's records and forward to what it led to, with whatever of it is still there."""

from __future__ import annotations

from typing import Any
from uuid import uuid5

import pytest

from agents.registry.lineage import Lineage
from agents.registry.view import RegistryView, VersionNotFound
from schemas.drift import Cause, DriftDetected, ExternalDrift, WindowSummary
from schemas.ids import NAMESPACE
from schemas.message import Message
from schemas.models import alias_key, version_key
from schemas.retrain import RetrainRequest
from schemas.trials import StudyFinished, TrialResult, TrialState
from tests.registry.making import MODEL, alias, at, request_for, version

CAUSE = Cause(event_id="record-601", topic="visutility.metrics", partition=2, offset=601)
WINDOW = WindowSummary(size=500, count=480, mean=0.9, std=0.01)


def drift(event_id: str = "drift-1", of: str = "1") -> DriftDetected:
    return DriftDetected(
        event_id=event_id,
        model_name=MODEL,
        model_version=of,
        timestamp=at(1),
        metric="accuracy",
        rule="watch",
        detector="z_score",
        statistic=-4.2,
        threshold=3.0,
        direction="worse",
        severity="drift",
        value=0.6,
        window=WINDOW,
        cause=CAUSE,
    )


def request(event_id: str = "request-1", of: str = "1", **fields: Any) -> RetrainRequest:
    return request_for(event_id=event_id, model_version=of, **{"cause_ids": ["record-601", "drift-1"], **fields})


def study_id(request_id: str = "request-1") -> str:
    return str(uuid5(NAMESPACE, f"study {request_id}"))


def trial(number: int, request_id: str = "request-1") -> TrialResult:
    return TrialResult(
        event_id=f"trial-{request_id}-{number}",
        model_name=MODEL,
        timestamp=at(2),
        trial_id=f"{study_id(request_id)}:{number}",
        study_id=study_id(request_id),
        number=number,
        params={"lr": 0.1},
        score=number / 10,
        state=TrialState.COMPLETE,
        duration_seconds=1.0,
    )


def finished(request_id: str = "request-1") -> StudyFinished:
    return StudyFinished(
        event_id=f"end-{request_id}",
        model_name=MODEL,
        timestamp=at(3),
        study_id=study_id(request_id),
        request_id=request_id,
        state="complete",
        best_trial_id=f"{study_id(request_id)}:1",
        reason="trial 1 is the best of 2",
    )


VIEW = RegistryView(
    [
        *((version_key(MODEL, each.version), each) for each in (
            version("1"),
            version("2", parent_version="1", request_id="request-1"),
            version("3", parent_version="2", request_id="request-2"),
        )),
        (alias_key(MODEL, "champion"), alias("champion", "2", previous=["1"])),
    ]
)  # fmt: skip
EVERYTHING: list[Message] = [drift(), request(), trial(1), trial(0), finished()]


def test_a_version_is_traced_back_to_the_record_in_the_fleets_topic() -> None:
    document = Lineage(VIEW, EVERYTHING).of(MODEL, "2")
    origin = document["origin"]
    assert origin["request"] == request().to_dict()
    (cause,) = origin["causes"]
    assert cause["finding"]["window"]["count"] == 480
    assert cause["input"] == {
        "event_id": "record-601", "topic": "visutility.metrics", "partition": 2, "offset": 601,
    }  # fmt: skip
    assert origin["study"]["study_id"] == study_id()
    assert [each["number"] for each in origin["study"]["trials"]] == [0, 1]
    assert origin["study"]["finished"]["best_trial_id"] == f"{study_id()}:1"
    assert [each["alias"] for each in document["aliases"]] == ["champion"]


def test_and_forward_to_what_it_led_to() -> None:
    later = Lineage(VIEW, EVERYTHING).of(MODEL, "1")["later"]
    assert [each["event_id"] for each in later["findings"]] == ["drift-1"]
    assert [(each["request_id"], each["version"]) for each in later["requests"]] == [("request-1", "2")]
    assert later["versions"] == ["2"]


def test_ancestors_are_followed_as_far_as_they_are_known() -> None:
    assert Lineage(VIEW, []).of(MODEL, "3")["ancestors"] == ["2", "1"]
    looped = RegistryView(
        (version_key(MODEL, each), version(each, parent_version=parent)) for each, parent in (("a", "b"), ("b", "a"))
    )
    assert Lineage(looped, []).of(MODEL, "a")["ancestors"] == ["b"]
    orphan = RegistryView([(version_key(MODEL, "9"), version("9", parent_version="8"))])
    assert Lineage(orphan, []).of(MODEL, "9")["ancestors"] == ["8"]


def test_what_has_gone_from_its_topic_is_said_to_be_missing() -> None:
    origin = Lineage(VIEW, []).of(MODEL, "2")["origin"]
    assert origin == {"request_id": "request-1", "request": None, "causes": [], "study": None}
    origin = Lineage(VIEW, [request()]).of(MODEL, "2")["origin"]
    assert origin["causes"] == [
        {"event_id": "record-601", "finding": None, "input": None},
        {"event_id": "drift-1", "finding": None, "input": None},
    ]


def test_trials_are_found_by_the_request_while_the_study_is_not_known_to_have_ended() -> None:
    study = Lineage(VIEW, [request(), trial(0)]).of(MODEL, "2")["origin"]["study"]
    assert (study["study_id"], study["finished"], len(study["trials"])) == (study_id(), None, 1)


def test_a_version_registered_by_hand_has_no_origin() -> None:
    document = Lineage(VIEW, EVERYTHING).of(MODEL, "1")
    assert (document["origin"], document["parent"], document["ancestors"]) == (None, None, [])
    with pytest.raises(VersionNotFound):
        Lineage(VIEW, EVERYTHING).of(MODEL, "7")


def test_another_monitors_finding_is_a_cause_too() -> None:
    external = ExternalDrift(event_id="p-1", model_name=MODEL, timestamp=at(1), p_value=0.01, cause=CAUSE)
    (cause,) = Lineage(VIEW, [external, request(cause_ids=["record-601", "p-1"])]).of(MODEL, "2")["origin"]["causes"]
    assert (cause["finding"]["p_value"], cause["input"]["offset"]) == (0.01, 601)
