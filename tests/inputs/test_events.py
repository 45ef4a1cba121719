"""What is published for one logged event, and which settings name topics of others."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agents.inputs.events import outputs_of
from agents.rights import rights_of
from agents.settings import Settings
from schemas.dead_letter import DeadLetter
from schemas.metrics import Prediction
from streams.grants import Grant
from streams.records import StoredRecord
from tests.inputs.making import Logged, kserve, seldon

INPUT = {"topic": "kserve-logs", "layout": "kserve"}


def record(logged: Logged) -> StoredRecord:
    return StoredRecord("logs", 3, 17, 1_750_000_000_000, None, logged.value, logged.headers)


def test_a_response_becomes_a_prediction_on_metrics_keyed_by_its_model_whatever_the_records_key() -> None:
    for layout, logged in (("kserve", kserve("iris", 5)), ("seldon", seldon("iris", 5))):
        (output,) = outputs_of(record(logged), layout)
        assert isinstance(output.message, Prediction)
        assert (output.topic, output.key, output.message.prediction_id) == ("metrics", "iris", "iris-5")


def test_a_request_is_no_prediction_and_no_dead_letter() -> None:
    assert outputs_of(record(kserve("iris", 5, "request")), "kserve") == []


def test_what_is_no_such_event_is_a_dead_letter_that_says_where_it_was() -> None:
    (output,) = outputs_of(record(Logged(b"{", [])), "seldon")
    letter = output.message
    assert isinstance(letter, DeadLetter)
    assert (output.topic, letter.stage, letter.topic) == ("dead-letter", "inputs", "logs")
    assert (letter.partition, letter.offset) == (3, 17)
    assert "invalid JSON" in letter.reason


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([INPUT, INPUT], "expected topics that differ, but entries 0 and 1 are alike"),
        ([{"topic": "p.metrics", "layout": "kserve"}], "expected topics of others, but p.metrics is one of this"),
        ([{"topic": "p.monitor-internal", "layout": "kserve"}], "expected topics of others"),
        ([{"topic": "logs", "layout": "nab"}], "'kserve' or 'seldon'"),
        ([{"topic": "a topic", "layout": "kserve"}], "pattern"),
    ],
    ids=["twice", "ours", "internal", "layout", "name"],
)
def test_inputs_that_cannot_be_are_refused(inputs: list[dict[str, str]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(topic_prefix="p.", inputs=inputs)


def test_a_worker_with_inputs_may_read_them_and_write_what_they_hold() -> None:
    settings = Settings(topic_prefix="p.", inputs=[INPUT], agents="monitor")
    more = set(rights_of("worker", settings)) - set(rights_of("worker", Settings(topic_prefix="p.", agents="monitor")))
    assert more == {
        Grant("topic", "Read", "kserve-logs"),
        Grant("topic", "Write", "p.metrics"),
        Grant("topic", "Read", "p.inputs-changelog"),
        Grant("topic", "Write", "p.inputs-changelog"),
        Grant("group", "Read", "p.inputs"),
        Grant("transactional-id", "Write", "p.inputs-", prefixed=True),
    }
    assert rights_of("worker", Settings(inputs=[INPUT], agents="tuner")) == rights_of(
        "worker", Settings(agents="tuner")
    )
