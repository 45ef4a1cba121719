"""Experiment tracking: training runs with their hyperparameters, tags and metrics, epoch by epoch.

`Tracker` is what trainers call; behind it one of the stores keeps the messages:

    agents.tracking.kafka    the topic `experiments`, which `visutility runs` reads
    agents.tracking.jsonl    a file, one message a line
    agents.tracking.mlflow   MLflow 3, its server or a database (visutility-streams[mlflow])
    agents.tracking.memory   memory
"""

from __future__ import annotations

from agents.tracking.jsonl import JsonlStore
from agents.tracking.memory import MemoryStore
from agents.tracking.runs import (
    DuplicateMetric,
    Run,
    RunEnded,
    RunExists,
    StoreError,
    TrackingError,
    UnknownRun,
)
from agents.tracking.store import RunStore
from agents.tracking.tracker import Tracker

__all__ = [
    "DuplicateMetric",
    "JsonlStore",
    "MemoryStore",
    "Run",
    "RunEnded",
    "RunExists",
    "RunStore",
    "StoreError",
    "Tracker",
    "TrackingError",
    "UnknownRun",
]
