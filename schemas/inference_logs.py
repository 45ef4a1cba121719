"""What inference servers log, as messages: responses of KServe and Seldon become `prediction` messages.

Sources: KServe's `pkg/logger` (events `org.kubeflow.serving.inference.request` and `…response`, one id for both, over
HTTP and from there through Knative's Kafka sink or channel), Seldon Core 1's `executor/logger` (events
`io.seldon.serving.inference…`, over HTTP, or on Kafka itself with the attributes as plain headers), the V1 protocol
(`predictions`), the Open Inference Protocol V2 (`outputs`), and Seldon's own (`data.ndarray`, `data.tensor`).

Which attribute becomes which field: docs/formats.md.
"""

from __future__ import annotations

import math
import sys
from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from schemas.fields import EPOCH, MAX_ITEMS, described
from schemas.message import InvalidMessage
from schemas.metrics import Prediction
from schemas.parse import MAX_SIZE

#: By the server's name, which attribute tells a request from all others and is the same in its response.
IDS: Final = {"kserve": "id", "seldon": "requestid"}

_RESPONSE: Final = ".inference.response"
_OTHERS: Final = (".inference.request", ".feedback")

#: Attributes that Seldon writes as Kafka headers without a prefix.
_PLAIN: Final = {"type", "requestid", "inferenceservicename", "namespace", "endpoint"}

#: Names of a V2 output that has probabilities rather than what was predicted.
_PROBABILITIES: Final = {"predict_proba", "probabilities", "probability", "scores"}

Headers = Sequence[tuple[str, bytes | None]]
Predicted = tuple[Any, float | None]


def predictions_in(server: str, value: bytes | None, headers: Headers, written_ms: int) -> list[Prediction]:
    """The predictions that a logged event tells of; none for requests and feedback.

    `server` is a key of `IDS`; `written_ms` the record's own time, in milliseconds since the epoch. Raises
    `InvalidMessage` for what is no such event, or a response of a form that is not known.
    """
    if not value or len(value) > MAX_SIZE:
        raise InvalidMessage(f"value: expected 1 to {MAX_SIZE} bytes, got {len(value or b'')}")
    attributes, data = _event(value, headers)
    kind = attributes.get("type", "")
    if kind.endswith(_OTHERS):
        return []
    if not kind.endswith(_RESPONSE):
        raise InvalidMessage(f"type: expected an event type that ends with {_RESPONSE!r}, got {described(kind)}")
    if not isinstance(data, dict):
        raise InvalidMessage(f"data: expected a JSON object, got {described(data)}")
    predicted = _predicted(data)
    if len(predicted) > MAX_ITEMS:
        raise InvalidMessage(f"data: expected at most {MAX_ITEMS} predictions, got {len(predicted)}")
    name = attributes.get(IDS[server], "")
    version = data.get("model_version") if isinstance(data.get("model_version"), str) else attributes.get("endpoint")
    common: dict[str, Any] = {
        "model_name": attributes.get("inferenceservicename", ""),
        "model_version": version or "",
        "timestamp": _time(attributes.get("time"), written_ms),
        "labels": {"namespace": attributes["namespace"]} if attributes.get("namespace") else {},
    }
    ids = [name] if len(predicted) == 1 else [f"{name}/{place}" for place in range(len(predicted))]
    try:
        return [
            Prediction(**common, event_id=each, prediction_id=each, y_pred=y_pred, score=score)
            for each, (y_pred, score) in zip(ids, predicted, strict=True)
        ]
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        raise InvalidMessage(f"{'.'.join(map(str, first['loc']))}: {first['msg'][:500]}") from None


def _event(value: bytes, headers: Headers) -> tuple[dict[str, str], Any]:
    """Attributes and data, of binary or structured mode."""
    attributes = _attributes(headers)
    body = _json(value)
    if isinstance(body, dict) and "specversion" in body:
        attributes |= {name: each for name, each in body.items() if isinstance(each, str)}
        body = _json(_base64(body["data_base64"])) if "data_base64" in body else body.get("data")
    return attributes, body


def _attributes(headers: Headers) -> dict[str, str]:
    """Of headers such as `ce_id`, `ce-id` and `Ce-Id`, and Seldon's own."""
    found: dict[str, str] = {}
    for written, content in headers:
        name = written.lower()
        known = name[3:] if name.startswith(("ce_", "ce-")) else name if name in _PLAIN else ""
        if known and content is not None:
            found[known] = content.decode("utf-8", "replace")
    return found


def _json(text: bytes) -> Any:
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as problem:
        raise InvalidMessage(f"data: expected JSON, got invalid JSON ({str(problem)[:200]})") from None


def _base64(text: object) -> bytes:
    try:
        return b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        raise InvalidMessage(f"data_base64: expected base64, got {described(text)}") from None


def _time(text: str | None, written_ms: int) -> datetime | float:
    if text is None:
        return written_ms / 1_000
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidMessage(f"time: expected an RFC 3339 time, got {described(text)}") from None
    return time if time.tzinfo else time.replace(tzinfo=EPOCH.tzinfo)


def _predicted(data: Mapping[str, Any]) -> list[Predicted]:
    if isinstance(rows := data.get("predictions"), list):
        return [_row(f"predictions[{place}]", row) for place, row in enumerate(rows)]
    if isinstance(outputs := data.get("outputs"), list) and outputs:
        return _of_outputs(outputs)
    if isinstance(inner := data.get("data"), dict):
        if isinstance(rows := inner.get("ndarray"), list):
            return [_row(f"data.ndarray[{place}]", row) for place, row in enumerate(rows)]
        if isinstance(tensor := inner.get("tensor"), dict):
            rows = _shaped("data.tensor", tensor.get("shape"), tensor.get("values"))
            return [_row(f"data.tensor[{place}]", row) for place, row in enumerate(rows)]
    known = "predictions (V1), outputs (V2), data.ndarray or data.tensor (Seldon)"
    raise InvalidMessage(f"data: expected one of {known}, got {', '.join(sorted(data)[:5])[:200] or 'nothing'}")


def _row(where: str, row: Any) -> Predicted:
    """What one row says: a value as it is; of several numbers, which are probabilities, the place of the greatest."""
    if isinstance(row, list):
        if len(row) == 1:
            return _row(where, row[0])
        if not row or not all(isinstance(each, int | float) and not isinstance(each, bool) for each in row):
            raise InvalidMessage(f"{where}: expected a value or a row of numbers, got {described(row)}")
        return row.index(max(row)), _finite(row[1]) if len(row) == 2 else None
    if isinstance(row, bool | int | float | str):
        return row, None
    raise InvalidMessage(f"{where}: expected a value or a row of numbers, got {described(row)}")


def _finite(number: float) -> float | None:
    """The number as a score; None for an integer that no score can be."""
    return float(number) if abs(number) <= sys.float_info.max else None


def _of_outputs(outputs: Sequence[Any]) -> list[Predicted]:
    """Of a V2 response: the first output that is not probabilities, with their second column as the score."""
    named = [output for output in outputs if isinstance(output, dict)]
    values = [output for output in named if str(output.get("name")) not in _PROBABILITIES]
    others = [output for output in named if str(output.get("name")) in _PROBABILITIES]
    chosen = (values or others)[:1]
    if not chosen:
        raise InvalidMessage(f"outputs: expected objects, got {described(list(outputs))}")
    rows = _tensor(chosen[0])
    if not (values and others):
        return rows
    scores = [score for _, score in _tensor(others[0])]
    return (
        [(y_pred, score) for (y_pred, _), score in zip(rows, scores, strict=True)] if len(scores) == len(rows) else rows
    )


def _tensor(output: Mapping[str, Any]) -> list[Predicted]:
    where = f"outputs.{str(output.get('name'))[:60]!r}"
    rows = _shaped(where, output.get("shape"), output.get("data"))
    return [_row(f"{where}[{place}]", row) for place, row in enumerate(rows)]


def _shaped(where: str, shape: Any, values: Any) -> list[Any]:
    """The rows of a tensor, whose values may be flat or nested."""
    if not isinstance(values, list):
        raise InvalidMessage(f"{where}: expected a list of values, got {described(values)}")
    if not isinstance(shape, list) or not shape or not all(type(each) is int and each >= 0 for each in shape):
        raise InvalidMessage(f"{where}: expected a shape of whole numbers, got {described(shape)}")
    count = shape[0]
    if len(values) == count and (len(shape) == 1 or any(isinstance(each, list) for each in values)):
        return values
    width = math.prod(shape[1:])
    if width < 1 or len(values) != count * width:
        raise InvalidMessage(f"{where}: expected {described(shape)} to fit, got {len(values)} values")
    return [values[at : at + width] for at in range(0, len(values), width)]
