"""The retrain policy as a stage: findings in; requests and alerts out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from agents.retrain.budget import ALL_MODELS, RetrainCandidate, candidate_of, spend
from agents.retrain.reasons import Reason, reason_for
from agents.retrain.state import RetrainState, decode_state, encode_state
from agents.settings import RetrainRule, Settings
from schemas.alerts import Alert
from schemas.drift import DriftDetected, ExternalDrift, ThresholdBreached
from schemas.fields import EPOCH
from schemas.ids import output_id
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.parse import parser_for
from schemas.retrain import RetrainRequest
from streams.parts import Parts
from streams.records import Headers, Output
from streams.stage import Input, Tick

STAGE: Final = "retrain"

_MICROSECOND: Final = timedelta(microseconds=1)

#: A release that lies further in the future than this came of a wrong clock, and holds nothing up.
_DAY: Final = timedelta(days=1) // _MICROSECOND

RetrainInput = Annotated[
    DriftDetected | ThresholdBreached | ExternalDrift | OperatorAction | RetrainCandidate, Field(discriminator="type")
]
"""What is on `drift`; and on `retrain-internal` orders of operators and requests that wait for the budget."""


class RetrainStage:
    """Implements `streams.stage.Stage` over `RetrainState`.

    A finding that calls for retraining under the first rule that matches the model is released as a request unless it
    lies within the rule's cooldown (event time of its cause, per version) or the model is paused. What is suppressed is
    counted, and told by one alert per cooldown or pause. A request that the budget refuses is gone, and its cooldown
    runs all the same: the model asks again if it is still in drift after that.
    """

    name = STAGE
    topics: tuple[str, ...] = ("drift",)
    encoded_steps = None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parse: Callable[[bytes | None, Headers], Message] = parser_for(RetrainInput)

    def decode(self, value: bytes | None, headers: Headers) -> Message:
        """The message in a record; raises InvalidMessage with the reason."""
        return self._parse(value, headers)

    def decode_columns(self, values: Sequence[bytes | None]) -> None:
        """One by one: they are few."""

    def new_state(self, key: str, parts: Parts | None = None) -> RetrainState:
        """A model that has never been retrained."""
        return RetrainState(key)

    def step(self, state: RetrainState, inputs: Sequence[Input]) -> tuple[RetrainState, list[Output]]:
        """Apply inputs in order. `state` is changed and returned; of a retired model, a new one."""
        outputs: list[Output] = []
        for item in inputs:
            if isinstance(item, Tick):
                continue
            if isinstance(item.message, OperatorAction) and item.message.action == "retire":
                outputs += _retire(state, item.message)
                state = self.new_state(state.model)
            elif output := self._apply(state, item.message):
                outputs.append(output)
        return state, outputs

    def encode_state(self, state: RetrainState) -> bytes | None:
        """Versioned bytes, about 50; None while there is nothing to remember."""
        return None if state == RetrainState(state.model) else encode_state(state)

    def decode_state(self, key: str, data: bytes, parts: Parts | None = None) -> RetrainState:
        """What `encode_state` wrote; raises ValueError for anything else."""
        return decode_state(data)

    def deadline(self, state: RetrainState) -> None:
        """Cooldowns run in event time: no key waits for ticks."""

    def _apply(self, state: RetrainState, message: Message) -> Output | None:
        if isinstance(message, RetrainCandidate):
            return self._spend(state, message.request)
        if isinstance(message, OperatorAction):
            return _obey(state, message)
        rule = self._settings.retrain_rule(message.model_name)
        reason = None if rule is None else reason_for(rule, message)
        return None if rule is None or reason is None else self._decide(state, rule, message, reason)

    def _decide(self, state: RetrainState, rule: RetrainRule, message: Message, reason: Reason) -> Output | None:
        """Release or suppress what a rule asks for."""
        cooldown, time = state.cooldown(message.model_version), _microseconds(message)
        if state.paused:
            state.suppressed += 1
            told, state.pause_told = state.pause_told, True
            text = f"not retrained while paused: {reason.text}"
            return None if told else _alert(state, message, "retrain_suppressed", "warning", text)
        if cooldown.released is not None and -_DAY < time - cooldown.released < rule.cooldown // _MICROSECOND:
            state.suppressed += 1
            cooldown.suppressed += 1
            told, cooldown.told = cooldown.told, True
            text = f"not retrained again within {_minutes(rule.cooldown)}: {reason.text}"
            return None if told else _alert(state, message, "retrain_suppressed", "warning", text)
        cooldown.released, cooldown.suppressed, cooldown.told = time, 0, False
        if rule.dry_run:
            return _alert(state, message, "retrain_dry_run", "info", f"would be retrained: {reason.text}")
        request = _request(state, rule, message, reason)
        if self._settings.retrain_budget_per_hour is None:
            return Output("retrain", state.model, request)
        return Output(f"{STAGE}-internal", ALL_MODELS, candidate_of(request))

    def _spend(self, state: RetrainState, request: RetrainRequest) -> Output:
        """Release a request from the budget, or say that it is used up. No budget (any more): release."""
        budget = self._settings.retrain_budget_per_hour
        if state.paused:
            text = f"not retrained while all models are paused: {request.reason}"
            return _alert(state, request, "retrain_suppressed", "warning", text)
        if budget is None or spend(state.releases, budget, _microseconds(request)):
            return Output("retrain", request.model_name, request)
        state.refused += 1
        text = f"not retrained, {budget} requests were released within an hour: {request.reason}"
        return _alert(state, request, "retrain_budget_exceeded", "warning", text)


def _obey(state: RetrainState, action: OperatorAction) -> Output | None:
    """Pause, resume, or `reset` cooldowns (of one version, if the order names it); others concern other stages."""
    if action.action == "reset":
        for version in [action.model_version] if action.model_version else list(state.versions):
            state.versions.pop(version, None)
        return None
    paused = {"pause": True, "resume": False}.get(action.action, state.paused)
    if paused is state.paused:
        return None
    state.paused, state.pause_told = paused, False
    text = f"{'paused' if paused else 'resumed'} by {action.actor}" + (f": {action.note}" if action.note else "")
    return _alert(state, action, "retrain_paused", "info", text, "firing" if paused else "resolved")


def _retire(state: RetrainState, action: OperatorAction) -> list[Output]:
    """End the alerts of a model; its state is dropped after this."""
    text = f"the model was retired by {action.actor}" + (f": {action.note}" if action.note else "")
    suppressed = state.pause_told or any(cooldown.told for cooldown in state.versions.values())
    firing = {"retrain_paused": state.paused, "retrain_suppressed": suppressed}
    return [_alert(state, action, kind, "info", text, "resolved") for kind, fires in firing.items() if fires]


def _request(state: RetrainState, rule: RetrainRule, message: Message, reason: Reason) -> RetrainRequest:
    return RetrainRequest(
        **_common(state, message, reason.metric, rule.name, "retrain_request"),
        rule=rule.name,
        reason=reason.text,
        metric=reason.metric,
        value=reason.value,
        threshold=reason.threshold,
        window=reason.window,
        cause_ids=reason.cause_ids,
    )


def _alert(
    state: RetrainState,
    message: Message,
    kind: str,
    severity: Literal["info", "warning", "error"],
    text: str,
    firing: Literal["firing", "resolved"] = "firing",
) -> Output:
    common = _common(state, message, "", "", f"alert {kind}")
    alert = Alert(**common, kind=kind, severity=severity, state=firing, message=text[:10_000])
    return Output("alerts", message.model_name, alert)


def _common(state: RetrainState, message: Message, metric: str, rule: str, kind: str) -> dict[str, Any]:
    """The fields of every output: about the message's model and time, with an id from the counter of this key."""
    state.sequence += 1
    version, time = message.model_version, message.timestamp
    identity = output_id(STAGE, state.model, version, metric, "", rule, kind, state.sequence)
    return {"event_id": identity, "model_name": message.model_name, "model_version": version, "timestamp": time}


def _microseconds(message: Message) -> int:
    return (message.timestamp - EPOCH) // _MICROSECOND


def _minutes(duration: timedelta) -> str:
    return f"{duration.total_seconds() / 60:g} min"
