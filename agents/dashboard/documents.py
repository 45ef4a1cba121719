"""What the API says, as documents with a schema: OpenAPI is made from these. Times are RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.dashboard.states import State
from schemas.alerts import Alert
from schemas.audit import ActionTaken
from schemas.drift import DriftDetected, ExternalDrift, ThresholdBreached
from schemas.handling import Acknowledgement, Mute
from schemas.models import ModelAlias, ModelVersion
from schemas.retrain import RetrainRequest
from schemas.status import ModelState, RuleStatus
from schemas.trials import StudyFinished, TrialResult


class Document(BaseModel):
    """Base of what the API answers with."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Error(Document):
    """What was wrong, and what to do, in one line."""

    error: str


class ModelRow(Document):
    """One model in the list. `metric` is that of its worst rule; its window's mean, and how full the window is.

    `changed` is when its state changed last; `findings` counts the findings that are kept (at most 50).
    """

    model_name: str
    model_version: str
    state: State
    changed: datetime | None = None
    metric: str | None = None
    mean: float | None = None
    std: float | None = None
    count: int | None = None
    size: int | None = None
    champion: str | None = None
    findings: int = 0
    alerts: int = 0


class ModelPage(Document):
    """Some of the models that a search found: from `offset` at most `limit` of `total`; `states` counts all of them."""

    total: int
    offset: int
    limit: int
    states: dict[State, int]
    models: list[ModelRow]


class StateChange(Document):
    """The monitor's state of a model from `timestamp` on."""

    timestamp: datetime
    model_version: str
    state: ModelState


class Handled(Document):
    """What people said of something that is open."""

    muted: Mute | None = None
    acknowledged: Acknowledgement | None = None


class AlertRow(Alert):
    """An alert; of one that is `open`, the mute that keeps it from being told, and who knows of it, if any."""

    open: bool = False
    muted: Mute | None = None
    acknowledged: Acknowledgement | None = None


class ModelDetail(Document):
    """One model: its row, each rule with its window, counts of events by type, its states, alerts that fire.

    `drift` says whether nobody is told of its drift, or somebody knows of it; null if there is none.
    """

    model: ModelRow
    rules: list[RuleStatus]
    counts: dict[str, int]
    states: list[StateChange]
    firing: list[AlertRow]
    drift: Handled | None = None
    mutes: list[Mute]
    aliases: list[ModelAlias]
    versions: list[ModelVersion]


class Point(Document):
    """One value of a metric, and mean and standard deviation of the window that ends with it."""

    timestamp: datetime
    model_version: str
    value: float
    mean: float
    std: float


class Points(Document):
    """A metric's newest values, oldest first. `size` is the window's; `metrics` are all that came.

    `complete` is false where more came than are read: then some values between these are left out.
    """

    model_name: str
    metric: str | None
    metrics: list[str]
    size: int
    complete: bool
    points: list[Point]


class Findings(Document):
    """What the monitor found, newest first."""

    findings: list[Annotated[DriftDetected | ThresholdBreached | ExternalDrift, Field(discriminator="type")]]


class StudyDocument(Document):
    """A request, and the study made of it: its trials by number, and how it ended. What has gone is null."""

    study_id: str
    request: RetrainRequest | None
    trials: list[TrialResult]
    finished: StudyFinished | None
    running: bool


class Studies(Document):
    """Requests with their studies, newest first."""

    studies: list[StudyDocument]


class Alerts(Document):
    """Alerts, newest first."""

    total: int
    alerts: list[AlertRow]


class Mutes(Document):
    """Mutes that have not ended, those that end first first."""

    mutes: list[Mute]


class DeadLetterRow(Document):
    """A record that was set aside. `preview` is the beginning of its value; only a `whole` one can be retried."""

    event_id: str
    timestamp: datetime
    model_name: str
    reason: str
    stage: str
    topic: str
    partition: int
    offset: int
    value_size: int
    preview: str
    whole: bool


class DeadLetters(Document):
    """Dead letters, newest first: from `offset` at most `limit` of `total`."""

    total: int
    offset: int
    limit: int
    dead_letters: list[DeadLetterRow]


class Actions(Document):
    """What people did through the dashboard or on the command line, newest first."""

    actions: list[ActionTaken]


class StageFlow(Document):
    """One stage: records a second that it worked off, and how many wait for it. Null where its group is unknown."""

    stage: str
    records_per_second: float | None
    lag: int | None


class Flow(Document):
    """What comes in on `metrics`, in records a second, and how the stages keep up; measured `seconds_ago`."""

    records_per_second: float | None
    stages: list[StageFlow]
    seconds_ago: float | None


class Health(Document):
    """Whether the dashboard works, and if not, why."""

    status: Literal["ok", "not ready"]
    reasons: list[str] = Field(default_factory=list)


class Me(Document):
    """Who asks, as the dashboard knows them, and what they may do."""

    name: str
    role: Literal["read", "operate"]
    access: Literal["open", "token", "proxy", "cli"]
