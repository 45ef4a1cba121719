"""Messages as the stages publish them, and records of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from agents.dashboard.view import DashboardView, Record, step, study_id_of
from schemas.alerts import Alert
from schemas.dead_letter import DeadLetter, dead_letter_of
from schemas.drift import DriftDetected
from schemas.message import Message
from schemas.retrain import RetrainRequest
from schemas.status import ModelStatus
from schemas.trials import StudyFinished, TrialResult

MODEL = "digits"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WINDOW = {"size": 60, "count": 60, "mean": 0.9, "std": 0.01}
_NUMBERS = count()
M = TypeVar("M", bound=Message)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def made(message: type[M], /, model: str = MODEL, minutes: float = 0, **fields: Any) -> M:
    common = {"event_id": f"id-{next(_NUMBERS)}", "model_name": model, "timestamp": ago(minutes)}
    return message.model_validate_json(json.dumps(common | fields, default=lambda value: value.isoformat()))


def status(state: str = "ok", model: str = MODEL, mean: float = 0.9, **fields: Any) -> ModelStatus:
    rules = [
        {
            "rule": "r",
            "metric": "accuracy",
            "state": "ok" if state == "silent" else state,
            "window": WINDOW | {"mean": mean},
        }
    ]
    return made(ModelStatus, model, **{"state": state, "rules": rules, "counts": {"metrics": 60}} | fields)


def drift(model: str = MODEL, **fields: Any) -> DriftDetected:
    cause = {"event_id": "e", "topic": "metrics", "partition": 0, "offset": 7}
    found: dict[str, Any] = {
        "metric": "accuracy", "rule": "r", "detector": "z_score", "statistic": -5.0, "threshold": 3.0,
        "direction": "worse", "severity": "drift", "value": 0.6, "window": WINDOW, "cause": cause,
    }  # fmt: skip
    return made(DriftDetected, model, **found | fields)


def request(model: str = MODEL, **fields: Any) -> RetrainRequest:
    found: dict[str, Any] = {"rule": "r", "reason": "it fell", "metric": "accuracy", "cause_ids": []}
    return made(RetrainRequest, model, **found | fields)


def trial(of: RetrainRequest, number: int, **fields: Any) -> TrialResult:
    found: dict[str, Any] = {
        "trial_id": f"t{number}", "study_id": study_id_of(of.event_id), "number": number, "params": {"depth": number},
        "score": 0.5, "state": "complete", "duration_seconds": 1.5,
    }  # fmt: skip
    return made(TrialResult, of.model_name, **found | fields)


def finished(of: RetrainRequest, **fields: Any) -> StudyFinished:
    found = {"study_id": study_id_of(of.event_id), "request_id": of.event_id, "state": "complete"}
    return made(StudyFinished, of.model_name, **found | fields)


def alert(kind: str = "silence", state: str = "firing", model: str = MODEL, **fields: Any) -> Alert:
    return made(Alert, model, **{"kind": kind, "severity": "error", "state": state, "message": "nothing came"} | fields)


def letter(offset: int, value: bytes | None = b"{", topic: str = "v.metrics", key: bytes = b"digits") -> DeadLetter:
    return dead_letter_of(
        reason=f"reason {offset}", stage="monitor", topic=topic, partition=0, offset=offset,
        timestamp=int(NOW.timestamp() * 1000), key=key, value=value, headers=[("h", b"1")],
    )  # fmt: skip


def record(topic: str, message: Message | None, key: str | None = None, offset: int = 0) -> Record:
    return Record(topic, 0, offset, key if key is not None else message.model_name if message else "", message)


def folded(*records: Record) -> DashboardView:
    view = DashboardView()
    for each in records:
        view = step(view, each)
    return view
