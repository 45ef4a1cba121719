"""Makes inputs for the monitor and drives it as the engine does: state through bytes between steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from agents.monitor.stage import MonitorStage
from agents.monitor.state import Model, MonitorState
from agents.settings import Settings
from schemas.alerts import Alert
from schemas.message import Message
from schemas.metrics import Heartbeat, Metrics, ValidationScore
from schemas.status import ModelStatus
from streams.origin import Origin
from streams.parts import MemoryTable, Parts
from streams.records import Output
from streams.stage import Event, Input, Tick

START = datetime(2024, 5, 1, tzinfo=UTC)
MODEL = "fraud"
SMALL: dict[str, Any] = {"window": {"size": 20, "min_samples": 5}}

M = TypeVar("M", bound=Message)


class Driven:
    """One model under a monitor, from nothing; `feed` is one step."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.stage = MonitorStage(settings or Settings())
        self.table = MemoryTable()
        self.data: bytes | None = None
        self.outputs: list[Output] = []
        self._offset = 0
        self.clock = 0

    def feed(self, *items: Message | Tick) -> list[Output]:
        """One step over these; its outputs."""
        return self.step([item if isinstance(item, Tick) else self.event(item) for item in items])

    def event(self, message: Message) -> Event:
        self._offset += 1
        return Event(message, Origin("metrics", 0, self._offset - 1), self.clock)

    def step(self, inputs: Sequence[Input]) -> list[Output]:
        model, outputs = self.stage.step(self._model, inputs)
        self.data = self.stage.encode_state(model)
        model.parts.write()
        self.outputs += outputs
        return outputs

    @property
    def deadline(self) -> int | None:
        return self.stage.deadline(self._model)

    @property
    def state(self) -> MonitorState:
        """What the monitor remembers."""
        return self._model.state

    @property
    def _model(self) -> Model:
        parts = Parts(self.table)
        if self.data is None:
            return self.stage.new_state(MODEL, parts)
        return self.stage.decode_state(MODEL, self.data, parts)

    def states(self) -> list[str]:
        """The states that were published, in order."""
        return [str(status.state) for status in of_type(ModelStatus, self.outputs)]


def small(**monitor: Any) -> Settings:
    """A monitor rule with a window of 20 and a warm-up of 5; `monitor` adds to its table."""
    return Settings(monitor=[SMALL | monitor])


def of_type(kind: type[M], outputs: Iterable[Output]) -> list[M]:
    return [output.message for output in outputs if isinstance(output.message, kind)]


def alerts(outputs: Iterable[Output]) -> list[tuple[str, str, str]]:
    return [(alert.kind, alert.severity, alert.state) for alert in of_type(Alert, outputs)]


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def metrics(second: float = 0, version: str = "1", **values: Any) -> Metrics:
    """A `metrics` message; without values an accuracy of 0.9."""
    given = values or {"accuracy": 0.9}
    return Metrics(model_name=MODEL, model_version=version, timestamp=at(second), **given)


def accuracies(values: Iterable[float], version: str = "1", begin: float = 0) -> list[Metrics]:
    """One message a second."""
    return [metrics(begin + second, version, accuracy=float(value)) for second, value in enumerate(values)]


def score(value: float, second: float = 0) -> ValidationScore:
    return ValidationScore(model_name=MODEL, timestamp=at(second), score=value)


def heartbeat(second: float = 0) -> Heartbeat:
    return Heartbeat(model_name=MODEL, timestamp=at(second))


#: Ten calm values with a standard deviation of 0.01.
CALM = [0.90, 0.92, 0.91, 0.90, 0.92, 0.91, 0.92, 0.90, 0.91, 0.92]
