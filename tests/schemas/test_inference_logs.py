"""Events as KServe and Seldon write them, over each way to Kafka, and the predictions they tell of."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.backtest import backtest, open_source
from agents.recording.format import Header, header_line, item_line
from agents.recording.items import SourceRecord
from agents.settings import Settings
from schemas.inference_logs import predictions_in
from schemas.message import InvalidMessage
from schemas.metrics import Prediction
from tests.schemas.strategies import JSON_VALUES

WRITTEN = 1_750_000_000_000
TIME = "2025-06-15T15:06:40.5Z"

#: As KServe's logger sets them and Knative's Kafka sink writes them.
KSERVE: dict[str, str] = {
    "ce_specversion": "1.0",
    "ce_id": "36f2b1d8-0a53-4a8f-9c5a-3a4c0a1e2b7d",
    "ce_source": "http://localhost:9081/",
    "ce_type": "org.kubeflow.serving.inference.response",
    "ce_time": TIME,
    "ce_inferenceservicename": "sklearn-iris",
    "ce_namespace": "default",
    "ce_component": "predictor",
    "ce_endpoint": "",
    "ce_metadata": "{}",
    "content-type": "application/json",
}

#: As Seldon's executor writes them to Kafka by itself.
SELDON: dict[str, str] = {
    "type": "io.seldon.serving.inference.response",
    "content-type": "application/json",
    "modelid": "classifier",
    "requestid": "r-1",
    "inferenceservicename": "income",
    "namespace": "seldon",
    "endpoint": "canary",
    "protocol": "seldon",
}

IRIS = [[0.1, 0.9], [0.7, 0.3]]


def read(server: str, headers: dict[str, str], body: Any) -> list[Prediction]:
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    return predictions_in(server, value, [(name, text.encode()) for name, text in headers.items()], WRITTEN)


def found(server: str, headers: dict[str, str], body: Any) -> list[tuple[Any, float | None]]:
    return [(each.y_pred, each.score) for each in read(server, headers, body)]


def test_a_response_of_kserve_is_a_prediction_that_its_label_can_be_joined_to() -> None:
    (prediction,) = read("kserve", KSERVE, {"predictions": [1]})
    assert prediction == Prediction(
        event_id=KSERVE["ce_id"],
        prediction_id=KSERVE["ce_id"],
        model_name="sklearn-iris",
        model_version="",
        timestamp=datetime(2025, 6, 15, 15, 6, 40, 500_000, UTC),
        labels={"namespace": "default"},
        y_pred=1,
    )


def test_several_predictions_of_one_request_are_numbered() -> None:
    ids = [each.prediction_id for each in read("kserve", KSERVE, {"predictions": [1, 0, 1]})]
    assert ids == [f"{KSERVE['ce_id']}/{place}" for place in range(3)]


def test_seldons_own_headers_on_kafka_are_read_and_the_records_time_stands_for_the_events() -> None:
    (prediction,) = read("seldon", SELDON, {"data": {"names": ["t:0", "t:1"], "ndarray": [[0.2, 0.8]]}, "meta": {}})
    assert (prediction.model_name, prediction.model_version, prediction.prediction_id) == ("income", "canary", "r-1")
    assert (prediction.y_pred, prediction.score) == (1, 0.8)
    assert prediction.timestamp == datetime(2025, 6, 15, 15, 6, 40, tzinfo=UTC)


@pytest.mark.parametrize("prefix", ["ce-", "Ce-", "CE_"])
def test_headers_as_http_has_them_are_the_same(prefix: str) -> None:
    renamed = {name.replace("ce_", prefix): text for name, text in KSERVE.items()}
    assert read("kserve", renamed, {"predictions": [1]}) == read("kserve", KSERVE, {"predictions": [1]})


@pytest.mark.parametrize("packed", [False, True])
def test_a_structured_event_is_the_same(packed: bool) -> None:
    data = {"predictions": [1, 0]}
    event: dict[str, Any] = {name.removeprefix("ce_"): text for name, text in KSERVE.items() if name != "content-type"}
    event |= {"data_base64": b64encode(json.dumps(data).encode()).decode()} if packed else {"data": data}
    assert read("kserve", {"content-type": "application/cloudevents+json"}, event) == read("kserve", KSERVE, data)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"predictions": ["cat", True, 3, 2.5]}, [("cat", None), (True, None), (3, None), (2.5, None)]),
        ({"predictions": [[0.2, 0.1, 0.7], [3.5]]}, [(2, None), (3.5, None)]),
        ({"predictions": IRIS}, [(1, 0.9), (0, 0.3)]),
        ({"data": {"tensor": {"shape": [2, 2], "values": [0.1, 0.9, 0.7, 0.3]}}}, [(1, 0.9), (0, 0.3)]),
        ({"outputs": [{"name": "predict", "shape": [2], "datatype": "INT64", "data": [1, 0]}]}, [(1, None), (0, None)]),
        ({"outputs": [{"name": "out", "shape": [2, 1], "data": ["a", "b"]}]}, [("a", None), ("b", None)]),
        ({"outputs": [{"name": "out", "shape": [2, 2], "data": IRIS}]}, [(1, 0.9), (0, 0.3)]),
        ({"outputs": [{"name": "out", "shape": [2, 2], "data": [0.1, 0.9, 0.7, 0.3]}]}, [(1, 0.9), (0, 0.3)]),
        (
            {
                "outputs": [
                    {"name": "predict_proba", "shape": [2, 2], "datatype": "FP64", "data": [0.1, 0.9, 0.7, 0.3]},
                    {"name": "predict", "shape": [2], "datatype": "INT64", "data": [1, 1]},
                ]
            },
            [(1, 0.9), (1, 0.3)],
        ),
        ({"predictions": []}, []),
        ({"outputs": [{"name": ["odd"], "shape": [1], "data": [1]}]}, [(1, None)]),
    ],
    ids=range(11),
)  # fmt: skip
def test_what_was_predicted_is_found_in_each_protocol(body: Any, expected: list[tuple[Any, float | None]]) -> None:
    assert found("kserve", KSERVE, body) == expected


def test_the_version_of_a_v2_response_is_the_models() -> None:
    body = {"model_name": "iris", "model_version": "v3", "outputs": [{"name": "p", "shape": [1], "data": [1]}]}
    (prediction,) = read("kserve", KSERVE, body)
    assert (prediction.model_name, prediction.model_version) == ("sklearn-iris", "v3")


@pytest.mark.parametrize("kind", ["org.kubeflow.serving.inference.request", "io.seldon.serving.feedback"])
def test_requests_and_feedback_are_no_predictions(kind: str) -> None:
    assert read("kserve", KSERVE | {"ce_type": kind}, {"instances": [[6.8, 2.8, 4.8, 1.4]]}) == []


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({}, {"predictions": [1]}, "type: expected an event type that ends with '.inference.response', got ''"),
        ({"ce_type": "x"}, {"predictions": [1]}, "type: expected"),
        (KSERVE, b"{", "data: expected JSON, got invalid JSON"),
        (KSERVE, b"\xff", "data: expected JSON"),
        (KSERVE, [1], "data: expected a JSON object, got a list of 1 items"),
        (KSERVE, {"result": 1}, "data: expected one of predictions (V1), outputs (V2)"),
        (KSERVE, {"predictions": [{"label": "a"}]}, "predictions[0]: expected a value or a row of"),
        (KSERVE, {"predictions": [["a", "b"]]}, "predictions[0]: expected a value or a row of numbers"),
        (KSERVE, {"predictions": [None]}, "predictions[0]: expected a value"),
        (KSERVE, {"outputs": [{"name": "p", "shape": [3], "data": [1]}]}, "'p': expected a list of 1 items to fit"),
        (KSERVE, {"outputs": [{"name": "p", "shape": "x", "data": [1]}]}, "outputs.'p': expected a shape"),
        (KSERVE, {"outputs": [{"name": "p", "parameters": {"binary_data_size": 3}}]}, "a list of values, got null"),
        (KSERVE | {"ce_id": ""}, {"predictions": [1]}, "event_id: String should have at least 1 character"),
        (KSERVE | {"ce_inferenceservicename": ""}, {"predictions": [1]}, "model_name: String should have at least 1"),
        (KSERVE | {"ce_time": "soon"}, {"predictions": [1]}, "time: expected an RFC 3339 time, got 'soon'"),
        (KSERVE, {"specversion": "1.0", "data_base64": "?"}, "data_base64: expected base64, got '?'"),
    ],
    ids=range(16),
)  # fmt: skip
def test_what_is_no_response_is_refused_in_one_line(headers: dict[str, str], body: Any, reason: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        read("kserve", headers, body)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@settings(max_examples=300)
@given(body=JSON_VALUES, member=st.sampled_from(["predictions", "outputs", "data", "ndarray", "shape", "specversion"]))
def test_whatever_is_in_a_response_it_is_predictions_or_a_reason(body: Any, member: str) -> None:
    for document in (body, {member: body}, {"data": {member: body}}, {"outputs": [{"shape": [1], "data": body}]}):
        try:
            assert all(isinstance(each, Prediction) for each in read("seldon", SELDON, document))
        except InvalidMessage as refused:
            assert len(str(refused)) < 1_000  # noqa: PT017 (or a message came out)


def test_a_recording_of_the_logs_can_be_backtested(tmp_path: Path) -> None:
    """Its scores move from 0.9 to 0.4: of the predictions alone, without labels, that is noticed."""
    headers = tuple((name, text.encode()) for name, text in KSERVE.items() if name not in ("ce_id", "ce_time"))
    lines = [header_line(Header(1, {"knative-broker": 1}, ""))]
    for number in range(400):
        score = (0.9 if number < 200 else 0.4) + number % 10 / 100
        body = json.dumps({"predictions": [[1 - score, score]]}).encode()
        own = (*headers, ("ce_id", str(number).encode()))
        lines.append(
            item_line(SourceRecord("knative-broker", 0, 2 * number, WRITTEN + number * 1_000, None, body, own))
        )
    lines.append(item_line(SourceRecord("knative-broker", 0, 900, WRITTEN, None, b"{}", headers)))
    path = tmp_path / "kserve.jsonl"
    path.write_bytes(b"".join(lines))
    rule = {"metric": "predictions.score", "detector": {"name": "ks", "reference": 100, "size": 50}}
    result = backtest(open_source(path, layout="kserve"), Settings.model_validate({"monitor": [rule]})).as_dict()
    assert result["events_read"] == 401
    assert {found["model_name"] for found in result["drift"]} == {"sklearn-iris"}
    assert result["drift"][0]["cause"]["offset"] >= 400
    (letter,) = result["dead_letters"]
    assert "expected one of predictions (V1)" in letter["reason"]
