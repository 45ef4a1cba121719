"""The monitor as a stage: metrics in; drift, status and alerts out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Annotated, cast

from pydantic import Field

from agents.monitor.batch import Batch
from agents.monitor.encoded.steps import EncodedSteps
from agents.monitor.encoded.steps import load as encoded_kernel
from agents.monitor.expiry import next_due
from agents.monitor.idle import clock_at, idle_deadline
from agents.monitor.outputs import STAGE, retirement
from agents.monitor.plan import Baselines, Plans
from agents.monitor.quick import LONGEST, take_quietly
from agents.monitor.segments import discard_parts
from agents.monitor.state import Model, MonitorState, decode_state, encode_state
from agents.monitor.upgrade import EARLIER, upgraded
from agents.settings import Settings
from schemas.columns.columns import MetricColumns
from schemas.columns.decoder import LateColumnDecoder
from schemas.compact import CompactMessage, compact_parser
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
from streams.parts import Parts
from streams.records import Headers, Output
from streams.run import EventRun
from streams.stage import Event, Input, Tick

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

    def __init__(self, settings: Settings, baselines: Baselines | None = None) -> None:
        """`baselines`: what series begin with (`agents.backtest.baselines` reads them); they are no inputs."""
        self._plans = Plans(settings, baselines)
        self._timeout = settings.heartbeat_timeout // timedelta(milliseconds=1)
        # An attribute rather than a method: it is called for each record.
        self.decode: Callable[[bytes | None, Headers], Message | CompactMessage]
        self.decode = compact_parser(parser_for(MonitorInput))
        self._encoded = EncodedSteps(self._plans)
        self._columns = LateColumnDecoder(self.decode)

    def decode_columns(self, values: Sequence[bytes | None]) -> tuple[Sequence[MetricColumns], list[int]] | None:
        """What `decode` gives for records without headers, as far as it can be had in columns."""
        return self._columns.decode(values)

    def load(self) -> None:
        """Decode in columns from now on, rather than after many records; it takes a few seconds. Needs numba."""
        self._columns.load()

    @property
    def encoded_steps(self) -> EncodedSteps | None:
        """Where columns are decoded by kernels, which are loaded with this one's."""
        return self._encoded if encoded_kernel.done else None

    def hasten(self, seconds: float) -> None:
        """Have columns soon, for much will come; waits for them, but no longer than this."""
        self._columns.hasten(seconds)

    def new_state(self, key: str, parts: Parts) -> Model:
        """A model nothing is known of."""
        return Model(MonitorState(key), parts)

    def step(self, state: Model, inputs: Sequence[Input]) -> tuple[Model, list[Output]]:
        """Apply inputs in order. `state` is changed and returned; outputs do not depend on how inputs are batched.

        A retired model's state is dropped: what is returned then is that of a model nothing is known of.
        """
        if isinstance(inputs, EventRun):
            if len(inputs) <= LONGEST:
                taken = take_quietly(state, inputs, self._plans)
                if taken == len(inputs):
                    return state, []
                inputs = inputs[taken:]
        elif self._plans.may_idle and any(isinstance(each, Tick) for each in inputs):
            return self._step_by_moments(state, inputs)
        return self._step(state, inputs)

    def _step_by_moments(self, state: Model, inputs: Sequence[Input]) -> tuple[Model, list[Output]]:
        """Each tick by itself, and before it one for each moment at which it completes windows.

        So what is said, and in which order, is the same whether a tick is long or is several short ones.
        """
        outputs: list[Output] = []
        for are_ticks, group in groupby(inputs, lambda each: isinstance(each, Tick)):
            if not are_ticks:
                state, said = self._step(state, [*group])
                outputs += said
                continue
            for tick in cast("Iterator[Tick]", group):
                while (moment := idle_deadline(state.state, self._plans)) is not None and moment < tick.clock:
                    state, said = self._step(state, [Tick(moment)])
                    outputs += said
                state, said = self._step(state, [tick])
                outputs += said
        return state, outputs

    def _step(self, state: Model, inputs: Sequence[Input]) -> tuple[Model, list[Output]]:
        batch = Batch(state, inputs, self._plans, self._timeout)
        outputs = batch.run()
        if batch.retired is None:
            return state, outputs
        order = cast(OperatorAction, cast(Event, inputs[batch.retired]).message)
        outputs += retirement(state, order)
        discard_parts(state)
        state, rest = self.new_state(state.state.model, state.parts), inputs[batch.retired + 1 :]
        if not rest:
            return state, outputs
        state, later = self.step(state, rest)
        return state, outputs + later

    def encode_state(self, state: Model) -> bytes | None:
        """Versioned bytes: of each series what does not fill a pane, whatever the size of its window.

        None for a model nothing has come of (any more).
        """
        return encode_state(state.state) if state.state.counts else None

    def decode_state(self, key: str, data: bytes, parts: Parts) -> Model:
        """What `encode_state` wrote, now or in an earlier release; raises ValueError for anything else."""
        state = upgraded(data, parts) if data[:1] in EARLIER else decode_state(data)
        return Model(state, parts)

    def deadline(self, state: Model) -> int | None:
        """When something happens without a record, in milliseconds of the tick clock; None if nothing would.

        Of a model that sends heartbeats: silence begins, or something is to be given up (`expiry`). Others would make
        a backtest step through time record by record for what their next record brings about as well. Of any model: a
        window is complete, where the settings say that no record is needed for that (`idle`).
        """
        model = state.state
        deadlines = [] if (idle := idle_deadline(model, self._plans)) is None else [idle]
        if not model.sends_heartbeats:
            return min(deadlines, default=None)
        if not model.silent:
            deadlines.append(model.clock + self._timeout)
        if (due := next_due(model, self._plans)) is not None:
            at = clock_at(due, model.event_time, model.clock)
            deadlines.append(max(at, model.waiting.resume if model.waiting else 0))
        return min(deadlines, default=None)
