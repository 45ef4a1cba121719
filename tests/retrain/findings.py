"""Makes inputs for the retrain policy and drives it as the engine does: state through bytes between steps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from agents.retrain.stage import RetrainStage
from agents.retrain.state import RetrainState
from agents.settings import Settings
from schemas.alerts import Alert
from schemas.drift import Cause, DriftDetected, ExternalDrift, ThresholdBreached, WindowSummary
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.retrain import RetrainRequest
from streams.origin import Origin
from streams.records import Output
from streams.stage import Event

START = datetime(2024, 5, 1, tzinfo=UTC)

M = TypeVar("M", bound=Message)


class Policy:
    """The retrain stage over every model; outputs for `retrain-internal` are fed back, as the engine does."""

    def __init__(self, **rule: Any) -> None:
        budget = rule.pop("budget", None)
        self.stage = RetrainStage(Settings(retrain=[{"name": "policy", **rule}], retrain_budget_per_hour=budget))
        self.data: dict[str, bytes] = {}
        self.outputs: list[Output] = []

    def feed(self, *messages: Message) -> list[Output]:
        """Each message in a step of its own; the outputs of all."""
        before = len(self.outputs)
        for message in messages:
            decoded = self.stage.decode(message.to_json(), ())
            state, outputs = self.stage.step(self.state(decoded.model_name), [Event(decoded, Origin("drift", 0, 0), 0)])
            if (data := self.stage.encode_state(state)) is None:
                self.data.pop(decoded.model_name, None)
            else:
                self.data[decoded.model_name] = data
            for output in outputs:
                if output.topic == "retrain-internal":
                    assert output.message is not None
                    assert output.message.model_name == output.key
                    self.feed(output.message)
                else:
                    self.outputs.append(output)
        return self.outputs[before:]

    def state(self, model: str = "fraud") -> RetrainState:
        data = self.data.get(model)
        return self.stage.new_state(model) if data is None else self.stage.decode_state(model, data)

    @property
    def requests(self) -> list[RetrainRequest]:
        return of_type(RetrainRequest, self.outputs)

    @property
    def alerts(self) -> list[tuple[str, str, str]]:
        return [(alert.kind, alert.severity, alert.state) for alert in of_type(Alert, self.outputs)]


def of_type(kind: type[M], outputs: Iterable[Output]) -> list[M]:
    return [output.message for output in outputs if isinstance(output.message, kind)]


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def _common(minute: float, model: str, version: str) -> dict[str, Any]:
    identity = f"finding at {minute:g}"
    return {"event_id": identity, "model_name": model, "model_version": version, "timestamp": at(minute)}


def _cause(minute: float) -> Cause:
    return Cause(event_id=f"record at {minute:g}", topic="metrics", partition=0, offset=0)


WINDOW = WindowSummary(size=500, count=500, mean=0.93, std=0.01)


def drift(
    minute: float = 0,
    model: str = "fraud",
    version: str = "1",
    direction: Literal["worse", "better"] = "worse",
    severity: Literal["warning", "drift"] = "drift",
    detector: str = "z_score",
    metric: str = "accuracy",
) -> DriftDetected:
    return DriftDetected(
        **_common(minute, model, version),
        metric=metric,
        rule="watch",
        detector=detector,
        statistic=-12.0,
        threshold=3.0,
        direction=direction,
        severity=severity,
        value=0.65,
        window=WINDOW,
        cause=_cause(minute),
    )


def breach(minute: float = 0) -> ThresholdBreached:
    return ThresholdBreached(
        **_common(minute, "fraud", "1"),
        metric="score",
        rule="policy",
        value=0.7,
        threshold=0.8,
        window=WINDOW,
        cause=_cause(minute),
    )


def external(p_value: float, minute: float = 0) -> ExternalDrift:
    return ExternalDrift(**_common(minute, "fraud", "1"), p_value=p_value, cause=_cause(minute))


def order(
    action: Literal["pause", "resume", "mute", "retire", "reset"],
    minute: float = 0,
    model: str = "fraud",
    version: str = "",
) -> OperatorAction:
    return OperatorAction(
        model_name=model, model_version=version, timestamp=at(minute), action=action, actor="ann", note="camera repair"
    )
