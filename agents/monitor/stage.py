"""The monitor as a stage: metrics in; drift, status and alerts out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from agents.monitor.batch import Batch
from agents.monitor.outputs import STAGE
from agents.monitor.plan import Plans
from agents.monitor.state import MonitorState, decode_state, encode_state
from agents.settings import Settings
from schemas.compact import CompactMetrics, CompactParser
from schemas.drift import ExternalDrift
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.metrics import (
    DataQualityIssue,
    Heartbeat,
    InferenceFailure,
    Label,
    Metrics,
    Outcomes,
    Prediction,
    SchemaDrift,
    ValidationScore,
)
from schemas.parse import parser_for
from streams.records import Headers, Output
from streams.stage import Input

MonitorInput = Annotated[
    Metrics
    | ValidationScore
    | Outcomes
    | Prediction
    | Label
    | ExternalDrift
    | InferenceFailure
    | Heartbeat
    | SchemaDrift
    | DataQualityIssue
    | OperatorAction,
    Field(discriminator="type"),
]
"""What is on `metrics`, and orders of operators on `monitor-internal`."""


class MonitorStage:
    """Implements `streams.stage.Stage` over `MonitorState`.

    Every number that arrives is kept in a window of its (model, version, metric); the first monitor rule that matches
    watches it, the first retrain rule that matches sets its minimum. Silence is told from ticks, and only of models
    that have sent a heartbeat; any record of the model ends it.
    """

    name = STAGE
    topics: tuple[str, ...] = ("metrics",)

    def __init__(self, settings: Settings) -> None:
        self._plans = Plans(settings)
        self._timeout = settings.heartbeat_timeout // timedelta(milliseconds=1)
        # An attribute rather than a method: it is called for each record.
        self.decode: Callable[[bytes | None, Headers], Message | CompactMetrics]
        self.decode = CompactParser(parser_for(MonitorInput))

    def new_state(self, key: str) -> MonitorState:
        """A model nothing is known of."""
        return MonitorState(key)

    def step(self, state: MonitorState, inputs: Sequence[Input]) -> tuple[MonitorState, list[Output]]:
        """Apply inputs in order. `state` is changed and returned; outputs do not depend on how inputs are batched."""
        return state, Batch(state, inputs, self._plans, self._timeout).run()

    def encode_state(self, state: MonitorState) -> bytes:
        """Versioned bytes; about 4 KB for a window of 500."""
        return encode_state(state)

    def decode_state(self, key: str, data: bytes) -> MonitorState:
        """What `encode_state` wrote; raises ValueError for anything else."""
        return decode_state(data)

    def deadline(self, state: MonitorState) -> int | None:
        """When silence would begin, in milliseconds of the tick clock; None for a model that sends no heartbeats."""
        if state.silent or not state.sends_heartbeats:
            return None
        return state.clock + self._timeout
