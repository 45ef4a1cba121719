"""What the view says about one model, and about alerts, dead letters and actions, as the API's documents. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase
from heapq import nlargest

from agents.dashboard.documents import (
    Actions,
    AlertRow,
    Alerts,
    DeadLetterRow,
    DeadLetters,
    Findings,
    Handled,
    ModelDetail,
    ModelRow,
    Mutes,
    StateChange,
    Studies,
    StudyDocument,
)
from agents.dashboard.states import is_running
from agents.dashboard.view import DashboardView, Letter, ModelView, Study, open_alert, study_id_of
from agents.handling import concerns
from agents.notify.kinds import RECOVERING
from agents.registry.lineage import Document, Lineage
from agents.registry.view import ModelNotFound
from schemas.alerts import Alert
from schemas.audit import ActionTaken
from schemas.message import Message
from schemas.trials import TrialResult


def model_in(view: DashboardView, name: str) -> ModelView:
    """The model of this name. Raises `ModelNotFound`."""
    found = view.models.get(name)
    if found is None:
        raise ModelNotFound(f"nothing is known of a model {name!r}")
    return found


def detail(view: DashboardView, model: ModelView, row: ModelRow, now: datetime) -> ModelDetail:
    """Everything about one model but its findings, studies and values."""
    status = model.status
    return ModelDetail(
        model=row,
        rules=status.rules if status else [],
        counts=status.counts if status else {},
        states=[
            StateChange(timestamp=each.timestamp, model_version=each.model_version, state=each.state)
            for each in model.statuses
        ],
        firing=[_alert_row(view, each, now) for each in model.firing.values()],
        drift=_handled(view, model.name, RECOVERING, now) if open_alert(view, model.name, RECOVERING) else None,
        mutes=[each for each in view.handling.mutes(now) if concerns(each, model.name, each.kind, each.rule)],
        aliases=list(view.registry.aliases(model.name).values()),
        versions=view.registry.registered(model.name),
    )


def findings(models: Iterable[ModelView], limit: int) -> Findings:
    """The newest findings about these models."""
    every = (finding for model in models for finding in reversed(model.findings))
    return Findings(findings=nlargest(limit, every, key=lambda finding: finding.timestamp))


def studies(view: DashboardView, model: ModelView, now: datetime) -> Studies:
    """A model's requests and studies: each request with its study, and studies whose request has gone."""
    documents, told = [], set[str]()
    for request in reversed(model.requests):
        study_id = study_id_of(request.event_id)
        study = model.studies.get(study_id)
        study = study or next((each for each in model.studies.values() if _is_of(each, request.event_id)), None)
        study = study or Study(study_id)
        told.add(study.study_id)
        documents.append(
            StudyDocument(
                study_id=study.study_id,
                request=request,
                trials=_trials(study),
                finished=study.finished,
                running=is_running(view, model, request, now),
            )
        )
    documents += [
        StudyDocument(study_id=each.study_id, request=None, trials=_trials(each), finished=each.finished, running=False)
        for each in reversed(model.studies.values())
        if each.study_id not in told
    ]
    return Studies(studies=documents)


def alerts(view: DashboardView, model: ModelView | None, firing: bool, limit: int, now: datetime) -> Alerts:
    """The newest alerts, of all models or of one; with `firing` those alone that have not been resolved."""
    if firing:
        models = view.models.values() if model is None else [model]
        chosen = sorted((each for one in models for each in one.firing.values()), key=lambda each: each.timestamp)
    else:
        chosen = list(view.alerts if model is None else model.alerts)
    return Alerts(total=len(chosen), alerts=[_alert_row(view, each, now) for each in chosen[::-1][:limit]])


def mutes(view: DashboardView, now: datetime) -> Mutes:
    """The mutes that have not ended."""
    return Mutes(mutes=view.handling.mutes(now))


def _alert_row(view: DashboardView, alert: Alert, now: datetime) -> AlertRow:
    model = view.models.get(alert.model_name)
    fires = alert.state == "firing" and model is not None and model.firing.get(alert.kind) == alert
    if not fires or not view.handling:
        return AlertRow.model_construct(**dict(alert), open=fires)
    return AlertRow.model_construct(**dict(alert), open=True, **dict(_handled(view, alert.model_name, alert.kind, now)))


def _handled(view: DashboardView, model: str, kind: str, now: datetime) -> Handled:
    muted = view.handling.mute_of(model, kind, "", now)
    return Handled(muted=muted, acknowledged=view.handling.acknowledgement_of(model, kind, now))


def dead_letters(
    view: DashboardView, *, model: str | None, stage: str | None, reason: str, offset: int, limit: int
) -> DeadLetters:
    """The newest dead letters: about a model, of a stage, whose reason holds a text (case does not count)."""
    chosen = [
        each
        for each in reversed(view.letters.values())
        if (model is None or each.message.model_name == model)
        and (stage is None or each.message.stage == stage)
        and reason.casefold() in each.message.reason.casefold()
    ]
    rows = [_letter_row(each) for each in chosen[offset : offset + limit]]
    return DeadLetters(total=len(chosen), offset=offset, limit=limit, dead_letters=rows)


def actions(view: DashboardView, model: str | None, limit: int) -> Actions:
    """What people did, to all models or to one."""
    chosen = [each for each in reversed(view.actions) if model is None or _is_about(each, model)]
    return Actions(actions=chosen[:limit])


def lineage(view: DashboardView, model: ModelView, version: str) -> Document:
    """Where a version comes from, from what is kept. Raises `ModelNotFound`, `VersionNotFound`."""
    messages: list[Message] = [*model.findings, *model.requests]
    for study in model.studies.values():
        messages += [*study.trials.values(), *([study.finished] if study.finished else [])]
    return Lineage(view.registry, messages).of(model.name, version)


def _is_about(action: ActionTaken, model: str) -> bool:
    """Of a mute, the model's name is a pattern."""
    return action.model_name == model or (action.action in ("mute", "unmute") and fnmatchcase(model, action.model_name))


def _is_of(study: Study, request_id: str) -> bool:
    return study.finished is not None and study.finished.request_id == request_id


def _trials(study: Study) -> list[TrialResult]:
    return [study.trials[number] for number in sorted(study.trials)]


def _letter_row(letter: Letter) -> DeadLetterRow:
    message = letter.message
    return DeadLetterRow(
        event_id=message.event_id,
        timestamp=message.timestamp,
        model_name=message.model_name,
        reason=message.reason,
        stage=message.stage,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        value_size=message.value_size,
        preview=letter.preview,
        whole=letter.whole,
    )
