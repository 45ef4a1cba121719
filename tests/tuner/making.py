"""Requests, settings and results that the tests of the tuner are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from agents.settings import Settings, TuneRule
from agents.tuner.stage import TunerStage
from agents.tuner.study import TunerState
from agents.tuner.work import TrainingWork, TrialWork
from schemas.message import Message
from schemas.retrain import RetrainRequest
from schemas.trials import TrialResult
from streams.origin import Origin
from streams.stage import Event

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SHA256 = "ab" * 32
SPACE: dict[str, Any] = {"lr": {"type": "float_range", "min": 1e-3, "max": 0.3, "log": True}}


def request(event_id: str = "request-1", model: str = "m", version: str = "1", **fields: Any) -> RetrainRequest:
    """A retrain request of noon."""
    common: dict[str, Any] = {"rule": "r", "reason": "drift", "metric": "accuracy", "cause_ids": ["cause"]}
    return RetrainRequest(
        event_id=event_id, model_name=model, model_version=version, timestamp=NOON, **{**common, **fields}
    )


def stage(**rule: Any) -> TunerStage:
    """A stage with one tune rule for all models: ten trials, one at a time, unless told otherwise."""
    fields = {"name": "t", "objective": "tests.tuner.objectives:objective", "space": SPACE, **rule}
    return TunerStage(Settings(tune=[TuneRule(**fields)]))


def event(message: Message) -> Event:
    """A message as the engine hands it to a step."""
    return Event(message, Origin("retrain", 0, 0), 0)


def apply(tuner: TunerStage, state: TunerState, *messages: Message) -> tuple[TunerState, list[Message]]:
    """Step once for each message, with a round trip of the state before each; the messages that came out."""
    published: list[Message] = []
    for message in messages:
        data = tuner.encode_state(state)
        state = tuner.new_state("m") if data is None else tuner.decode_state("m", data)
        state, outputs = tuner.step(state, [event(message)])
        published += [output.message for output in outputs if output.message is not None]
    return state, published


def trials_of(tuner: TunerStage, state: TunerState) -> list[TrialWork]:
    """The trials that should be running."""
    return [work for work in tuner.work(state) if isinstance(work, TrialWork)]


def score_of(work: TrialWork) -> float:
    """A score with its peak at lr = 0.05."""
    return 1.0 - abs(float(work.params["lr"] or 0) - 0.05)


def succeed(work: TrialWork, seconds: float = 0.5) -> TrialResult:
    """The result of a trial that was run."""
    return work.result(score_of(work), None, seconds)


def run_trials(tuner: TunerStage, state: TunerState) -> tuple[TunerState, list[Message]]:
    """Run all trials of the study whose turn it is, up to its training."""
    published: list[Message] = []
    study = state.studies[0].id
    while state.studies and state.studies[0].id == study and (pending := trials_of(tuner, state)):
        state, more = apply(tuner, state, succeed(pending[0]))
        published += more
    return state, published


def train(tuner: TunerStage, state: TunerState) -> tuple[TunerState, list[Message]]:
    """Finish the training that should be running."""
    (work,) = tuner.work(state)
    assert isinstance(work, TrainingWork)
    finished = work.result("file:///artifacts/x", SHA256, {"accuracy": 0.95}, None, 2.0)
    return apply(tuner, state, finished)
