"""A run as one JSON-ready document. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agents.demo.history import History
from agents.demo.plan import FIRST_VERSION
from schemas.message import Message
from schemas.models import ModelAlias, ModelVersion


def document(history: History, broker: str, elapsed: float) -> dict[str, Any]:
    """The whole run; messages are as they were on the topics.

    `retrain`, `trials` and `models` are what the drift led to, under `refused` they are what the mistake led to.
    `deployed` are the versions that the fleets began with, `aliases` what was promoted or not, and why.
    """
    return {
        "broker": broker,
        "elapsed_seconds": round(elapsed, 2),
        "records": history.records,
        "dead_letters": len(history.messages["dead-letter"]),
        "drift": _documents(history.messages["drift"]),
        "retrain": _documents(history.of_loop("retrain")),
        "trials": _documents(history.of_loop("trials")),
        "models": _documents(_made(history.of_loop("models"))),
        "refused": {
            "retrain": _documents(history.of_mistake("retrain")),
            "trials": _documents(history.of_mistake("trials")),
            "models": _documents(_made(history.of_mistake("models"))),
        },
        "deployed": _documents(each for each in _versions(history.messages["models"]) if each.version == FIRST_VERSION),
        "aliases": _documents(each for each in history.messages["models"] if isinstance(each, ModelAlias)),
        "accuracy": history.accuracy(),
    }


def _versions(models: Iterable[Message]) -> list[ModelVersion]:
    return [message for message in models if isinstance(message, ModelVersion)]


def _made(models: Iterable[Message]) -> list[ModelVersion]:
    return [version for version in _versions(models) if version.version != FIRST_VERSION]


def _documents(messages: Iterable[Message]) -> list[dict[str, Any]]:
    return [message.to_dict() for message in messages]
