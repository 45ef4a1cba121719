"""How a model is doing, as people are told: what the monitor says, and whether it is being retrained. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, get_args

from agents.dashboard.view import DashboardView, ModelView, study_id_of
from schemas.retrain import RetrainRequest

State = Literal["drift", "silent", "retraining", "warning", "recovered", "ok", "warming", "retired", "unknown"]
"""`unknown`: registered or told of, but the monitor has published no status of it."""

STATES: Final[tuple[State, ...]] = get_args(State)
"""What needs a person most comes first."""

NO_TRIAL_YET, NO_MORE_TRIALS = timedelta(minutes=10), timedelta(hours=1)
"""A request of which nothing was heard for so long, since it was made or since the newest trial of its study, is not
worked on: nobody tunes this model, or somebody else does."""


def state_of(view: DashboardView, model: ModelView, now: datetime) -> State:
    """The state at `now`. A silent model is silent whatever else goes on."""
    if model.status is None:
        return "retired" if view.registry.is_retired(model.name) else "unknown"
    state: State = model.status.state.value
    return "retraining" if state != "silent" and is_retraining(view, model, now) else state


def is_retraining(view: DashboardView, model: ModelView, now: datetime) -> bool:
    """Whether a request has been made that led to no version and no end of a study yet."""
    if not model.requests:
        return False
    return is_running(view, model, model.requests[-1], now)


def is_running(view: DashboardView, model: ModelView, request: RetrainRequest, now: datetime) -> bool:
    """Whether a request is being worked on: its study has not ended, and led to no version."""
    study = model.studies.get(study_id_of(request.event_id))
    ends = (each.finished for each in model.studies.values())
    if any(end is not None and end.request_id == request.event_id for end in ends):
        return False
    if any(each.request_id == request.event_id for each in view.registry.registered(model.name)):
        return False
    if study is None or not study.trials:
        return now - request.timestamp <= NO_TRIAL_YET
    return now - max(trial.timestamp for trial in study.trials.values()) <= NO_MORE_TRIALS
