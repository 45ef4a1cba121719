"""How a model is doing, as people are told: what the monitor says, and whether it is being retrained. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, get_args

from agents.dashboard.view import DashboardView, ModelView, latest_sign

State = Literal["drift", "silent", "retraining", "warning", "recovered", "ok", "warming", "retired", "unknown"]
"""`unknown`: registered or told of, but the monitor has published no status of it."""

STATES: Final[tuple[State, ...]] = get_args(State)
"""What needs a person most comes first."""

RETRAINING_FOR: Final = timedelta(hours=1)
"""A request of which nothing was heard for so long is not worked on: nobody tunes this model, or somebody else does."""


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
    request = model.requests[-1]
    sign = latest_sign(model, request)
    if sign is None or now - sign > RETRAINING_FOR:
        return False
    return not any(each.request_id == request.event_id for each in view.registry.registered(model.name))
