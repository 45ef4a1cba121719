"""Requests, settings and results that the tests of the tuner are made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from agents.runner.trials import result_of
from agents.settings import Settings, TuneRule
from agents.tuner.sampling import SamplingCall, choose
from agents.tuner.stage import TunerStage
from agents.tuner.state import TunerState
from agents.tuner.work import SamplingWork, TrainingWork
from agents.tuner.worker import Ended
from schemas.message import Message
from schemas.models import ModelVersion
from schemas.retrain import RetrainRequest
from schemas.trial_requests import TrialRequest
from schemas.trials import TrialResult
from streams.origin import Origin
from streams.records import Output
from streams.stage import Event, Input, Tick

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SHA256 = "ab" * 32
SPACE: dict[str, Any] = {"lr": {"type": "float_range", "min": 1e-3, "max": 0.3, "log": True}}

M = TypeVar("M", bound=Message)


def only(messages: Sequence[Message], kind: type[M]) -> list[M]:
    """The messages of one kind."""
    return [message for message in messages if isinstance(message, kind)]


def version(
    name: str, event_id: str = "e", model: str = "m", **hyperparameters: bool | float | str | None
) -> ModelVersion:
    """A version that somebody registered."""
    return ModelVersion(
        event_id=event_id,
        model_name=model,
        timestamp=NOON,
        version=name,
        sha256=SHA256,
        artifact="file:///x",
        hyperparameters=hyperparameters,
    )


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


def event(message: Message, clock: int = 0) -> Event:
    """A message as the engine hands it to a step."""
    return Event(message, Origin("retrain", 0, 0), clock)


def stepped(tuner: TunerStage, state: TunerState, item: Input) -> tuple[TunerState, list[Output]]:
    """Step once, with a round trip of the state before, and then whatever the sampler has to do."""
    data = tuner.encode_state(state)
    state = tuner.new_state("m") if data is None else tuner.decode_state("m", data)
    state, outputs = tuner.step(state, [item])
    while sampling := [work for work in tuner.work(state) if isinstance(work, SamplingWork)]:
        state, more = tuner.step(state, [event(asked(sampling[0]), item.clock)])
        outputs += more
    return state, outputs


def asked(work: SamplingWork) -> Message:
    """What the study's sampler chooses now."""
    call = SamplingCall(
        work.study_id, work.sampler, work.space, work.seed, work.options, list(work.history()), work.count
    )
    chosen = choose(call)
    return work.result(NOON, chosen.params, chosen.exhausted)


def apply(tuner: TunerStage, state: TunerState, *messages: Message, clock: int = 0) -> tuple[TunerState, list[Message]]:
    """Step once for each message; the messages that came out, but for the trials that were handed out."""
    published: list[Message] = []
    for message in messages:
        state, outputs = stepped(tuner, state, event(message, clock))
        published += [output.message for output in outputs if output.message is not None]
    return state, [message for message in published if not isinstance(message, TrialRequest)]


def tick(tuner: TunerStage, state: TunerState, clock: int) -> tuple[TunerState, list[Message]]:
    """Let the tick clock come to `clock`; everything that came out."""
    state, outputs = stepped(tuner, state, Tick(clock))
    return state, [output.message for output in outputs if output.message is not None]


def trials_of(tuner: TunerStage, state: TunerState) -> list[TrialRequest]:
    """The trials that runners have, as they were handed out."""
    study = state.running
    return [] if study is None or study.trials_ended else [study.request_of(number, 0) for number in study.out]


def score_of(trial: TrialRequest) -> float:
    """A score with its peak at lr = 0.05."""
    return 1.0 - abs(float(trial.params.get("lr") or 0) - 0.05)


def ended(trial: TrialRequest, score: float | None = None, **how: Any) -> TrialResult:
    """The result of a trial that ended as said."""
    return result_of(trial, Ended(score=score, seconds=0.5, **how))


def succeed(trial: TrialRequest) -> TrialResult:
    """The result of a trial that was run."""
    return ended(trial, score_of(trial))


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
