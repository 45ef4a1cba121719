"""Messages about models, as the tuner and operators publish them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.ids import output_id
from schemas.models import ModelAlias, ModelVersion
from schemas.retrain import RetrainRequest

MODEL = "digits"
START = datetime(2025, 6, 1, 12, tzinfo=UTC)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def version(name: str, model: str = MODEL, minute: int = 0, **fields: Any) -> ModelVersion:
    common = {
        "event_id": output_id("tuner", model, name, "", "", "", "model_version", 0),
        "model_name": model,
        "model_version": name,
        "timestamp": at(minute),
        "version": name,
        "sha256": "0" * 64,
        "artifact": f"file:///artifacts/{name}",
    }
    return ModelVersion.model_validate(common | fields)


def alias(name: str, to: str, model: str = MODEL, minute: int = 0, **fields: Any) -> ModelAlias:
    common = {
        "event_id": output_id("tuner", model, to, "", "", "", f"alias {name}", 0),
        "model_name": model,
        "model_version": to,
        "timestamp": at(minute),
        "alias": name,
        "version": to,
    }
    return ModelAlias.model_validate(common | fields)


def request_for(model: str = MODEL, **fields: Any) -> RetrainRequest:
    common = {
        "event_id": output_id("retrain", model, "1", "accuracy", "", "rule", "retrain_request", 0),
        "model_name": model,
        "model_version": "1",
        "timestamp": at(0),
        "rule": "rule",
        "reason": "accuracy fell",
        "metric": "accuracy",
        "cause_ids": ["record", "drift"],
    }
    return RetrainRequest.model_validate(common | fields)
