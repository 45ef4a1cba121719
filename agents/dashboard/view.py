"""What the topics say of all models, as a fold of their records: `step(view, record) -> view`. Pure.

Bounded: of each model the newest `KEPT` messages of a kind and `KEPT_TRIALS` trials, and over all models the newest
`KEPT_OVERALL` alerts and dead letters; of a dead letter's value the first `PREVIEW` bytes. The registry's versions and
the newest status of a model are kept whole, as their compacted topics do. Records that come twice, as they may where
delivery is at least once, count once.
"""

from __future__ import annotations

from base64 import b64decode
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import count
from typing import Final, TypeVar
from uuid import uuid5

from agents.handling import Handling
from agents.notify.kinds import RECOVERING
from agents.registry.view import RegistryView
from schemas.alerts import Alert
from schemas.audit import ActionTaken
from schemas.dead_letter import DeadLetter
from schemas.drift import DriftDetected, ExternalDrift, ThresholdBreached
from schemas.handling import Acknowledgement, acknowledgement_key
from schemas.ids import NAMESPACE
from schemas.message import Message
from schemas.models import ModelAlias, ModelVersion
from schemas.retrain import RetrainRequest
from schemas.status import ModelState, ModelStatus
from schemas.trials import StudyFinished, TrialResult

TABLES: Final = ("status", "models", "alert-handling")
"""Compacted topics, which are read from their beginning."""

LOGS: Final = ("drift", "retrain", "trials", "alerts", "dead-letter", "audit")
"""Topics of which the recent past is read."""

LATEST: Final = 10_000
"""Changes of which it is known which model they are about, so that nobody need look at all."""

HANDLING: Final = "alert-handling"

KEPT, KEPT_TRIALS, KEPT_OVERALL, PREVIEW = 50, 200, 1_000, 1_500

Finding = DriftDetected | ThresholdBreached | ExternalDrift
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Record:
    """A record of one of these topics: the topic's name without prefix, where it was, its key, and its message.

    `message` is None for a tombstone, `time` when it was written, in milliseconds since 1970.
    """

    topic: str
    partition: int
    offset: int
    key: str
    message: Message | None
    time: int = 0


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without its value, and where it is on its topic, so as to be read again when it is retried."""

    message: DeadLetter
    preview: str
    whole: bool
    partition: int
    offset: int


@dataclass(slots=True)
class Study:
    """The trials of one request, by number, and how the study ended, if it has."""

    study_id: str
    trials: dict[int, TrialResult] = field(default_factory=dict)
    finished: StudyFinished | None = None


@dataclass(slots=True)
class ModelView:
    """What is known of one model, newest last. `revision` grows with every change of it.

    `ended` is when each kind of alert resolved last, in milliseconds since 1970.
    """

    name: str
    status: ModelStatus | None = None
    statuses: deque[ModelStatus] = field(default_factory=lambda: deque(maxlen=KEPT))
    findings: deque[Finding] = field(default_factory=lambda: deque(maxlen=KEPT))
    requests: deque[RetrainRequest] = field(default_factory=lambda: deque(maxlen=KEPT))
    alerts: deque[Alert] = field(default_factory=lambda: deque(maxlen=KEPT))
    firing: dict[str, Alert] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    studies: dict[str, Study] = field(default_factory=dict)
    registered: bool = False
    revision: int = 0


_NUMBERS = count()


class DashboardView:
    """All models, and the newest dead letters by their ids.

    `taken` counts messages by type and the state or severity they tell of; `revision` grows with every record that told
    something, `revisions` with those of each topic; `latest` are the newest of them with the models they tell of.
    `handling` is what people said of alerts, `acknowledged` when. No two views have the same `number`.
    """

    def __init__(self) -> None:
        self.number = next(_NUMBERS)
        self.models: dict[str, ModelView] = {}
        self.registry = RegistryView()
        self.alerts: deque[Alert] = deque(maxlen=KEPT_OVERALL)
        self.letters: dict[str, Letter] = {}
        self.actions: deque[ActionTaken] = deque(maxlen=KEPT_OVERALL)
        self.handling = Handling()
        self.taken: Counter[tuple[str, str]] = Counter()
        self.revision = 0
        self.revisions: Counter[str] = Counter()
        self.latest: deque[tuple[int, str]] = deque(maxlen=LATEST)
        self.acknowledged: dict[str, int] = {}


def step(view: DashboardView, record: Record) -> DashboardView:
    """Take one record; `view` is changed and returned. What belongs to none of the topics changes nothing."""
    message, before = record.message, view.revision
    if record.topic == HANDLING:
        view.revision += _take_handling(view, record)
    elif isinstance(message, DeadLetter | ActionTaken):  # their model need not be one: a record's key may be anything
        taken = (
            _take_letter(view, message, record) if isinstance(message, DeadLetter) else _append(view.actions, message)
        )
        view.revision += taken
    elif (name := model_of(record)) is not None:
        model = view.models.get(name) or ModelView(name)
        if _take(view, model, record):
            view.models[name] = model
            model.revision += 1
            view.revision += 1
            view.latest.append((view.revision, name))
    if view.revision != before:
        view.revisions[record.topic] += 1
        if message is not None:
            view.taken[message.type, _outcome(message)] += 1
        else:
            view.revisions["alerts"] += 1  # those of a model that was retired are over
    return view


def open_alert(view: DashboardView, model: str, kind: str) -> Message | None:
    """The alert of this kind that has not resolved, or for "drift" the status that says so; None if there is none."""
    found = view.models.get(model)
    if found is None:
        return None
    if kind == RECOVERING and found.status is not None and found.status.state is ModelState.DRIFT:
        return found.status
    return found.firing.get(kind)


def _outcome(message: Message) -> str:
    match message:
        case ModelStatus() | TrialResult():
            return message.state.value
        case StudyFinished() | Alert():
            return message.state
        case DriftDetected():
            return message.severity
        case _:
            return ""


def study_id_of(request_id: str) -> str:
    """The id of the study that the tuner makes of a request."""
    return str(uuid5(NAMESPACE, f"study {request_id}"))


def model_of(record: Record) -> str | None:
    """The model that a record is about; None if it tells of none."""
    if record.message is not None:
        return record.message.model_name
    if record.topic == "status":
        return record.key
    if record.topic == "models":
        # Versions and aliases hold neither separator, names may hold both: the last one divides.
        at = max(record.key.rfind("/"), record.key.rfind("@"))
        return record.key[:at] if at > 0 else None
    return None


def _take(view: DashboardView, model: ModelView, record: Record) -> bool:
    """Apply a record to its model; False if it changed nothing."""
    message = record.message
    match message:
        case None:
            return _remove(view, model, record)
        case ModelStatus():
            return _take_status(view, model, message, record.time)
        case DriftDetected() | ThresholdBreached() | ExternalDrift():
            return _append(model.findings, message)
        case RetrainRequest():
            return _append(model.requests, message)
        case TrialResult():
            return _take_trial(model, message)
        case StudyFinished():
            study = _study(model, message.study_id)
            known, study.finished = study.finished, message
            return known != message
        case Alert():
            return _take_alert(view, model, message, record.time)
        case ModelVersion() | ModelAlias():
            model.registered = True
            return view.registry.apply(record.key, message)
        case _:
            return False


def _remove(view: DashboardView, model: ModelView, record: Record) -> bool:
    """A tombstone: of a status it means that the model was retired, and its former life is over."""
    if record.topic == "models":
        return view.registry.apply(record.key, None)
    if model.name not in view.models:
        return False
    model.status = None
    model.statuses.clear()
    model.firing.clear()
    return True


def _take_status(view: DashboardView, model: ModelView, message: ModelStatus, time: int) -> bool:
    if model.status is not None and model.status.event_id == message.event_id:
        return False
    model.status = message
    model.statuses.append(message)
    if message.state not in (ModelState.DRIFT, ModelState.SILENT):
        _end(view, model, RECOVERING, time)
    return True


def _take_handling(view: DashboardView, record: Record) -> bool:
    """An acknowledgement that is older than the end of its alert, as may be read at the start, is over."""
    if isinstance(record.message, Acknowledgement):
        model = view.models.get(record.message.model_name)
        if model is not None and record.time < model.ended.get(record.message.kind, 0):
            return False
        view.acknowledged[record.key] = record.time
    return view.handling.apply(record.key, record.message)


def _end(view: DashboardView, model: ModelView, kind: str, time: int) -> None:
    key = acknowledgement_key(model.name, kind)
    model.ended[kind] = max(time, model.ended.pop(kind, 0))
    if len(model.ended) > KEPT:
        del model.ended[next(iter(model.ended))]
    if view.acknowledged.get(key, time) < time:
        view.handling.apply(key, None)


def _take_trial(model: ModelView, message: TrialResult) -> bool:
    study = _study(model, message.study_id)
    if message.late or study.trials.get(message.number) == message:
        return False
    study.trials[message.number] = message
    while sum(len(each.trials) for each in model.studies.values()) > KEPT_TRIALS:
        oldest = next(each for each in model.studies.values() if each.trials)
        del oldest.trials[next(iter(oldest.trials))]
    return True


def _study(model: ModelView, study_id: str) -> Study:
    if study_id not in model.studies:
        model.studies[study_id] = Study(study_id)
        if len(model.studies) > KEPT:
            del model.studies[next(iter(model.studies))]
    return model.studies[study_id]


def _take_alert(view: DashboardView, model: ModelView, message: Alert, time: int) -> bool:
    if not _append(model.alerts, message):
        return False
    view.alerts.append(message)
    if message.state == "firing":
        model.firing.pop(message.kind, None)
        model.firing[message.kind] = message
        if len(model.firing) > KEPT:
            del model.firing[next(iter(model.firing))]
    else:
        model.firing.pop(message.kind, None)
        _end(view, model, message.kind, time)
    return True


def _take_letter(view: DashboardView, message: DeadLetter, record: Record) -> bool:
    if message.event_id in view.letters:
        return False
    start = (message.value or "")[: PREVIEW * 4 // 3]  # base64 has four characters for three bytes
    view.letters[message.event_id] = Letter(
        message.model_copy(update={"value": None, "key": None, "headers": {}}),
        b64decode(start).decode("utf-8", "backslashreplace"),
        message.value_sha256 is None,
        record.partition,
        record.offset,
    )
    if len(view.letters) > KEPT_OVERALL:
        del view.letters[next(iter(view.letters))]
    return True


def _append(kept: deque[M], message: M) -> bool:
    if message.event_id is not None and any(each.event_id == message.event_id for each in kept):
        return False
    kept.append(message)
    return True
