"""When time alone changes a model's state: halves that wait are given up, versions that went away are forgotten."""

from __future__ import annotations

from agents.monitor.joining import due_at
from agents.monitor.plan import Plans
from agents.monitor.state import MonitorState


def next_due(state: MonitorState, plans: Plans) -> int | None:
    """The model's time, in microseconds, from which something is to be given up; None if nothing ever is."""
    waiting, version = due_at(state.waiting, plans.horizon), version_due(state, plans)
    return waiting if version is None else version if waiting is None else min(waiting, version)


def version_due(state: MonitorState, plans: Plans) -> int | None:
    """The model's time from which the version seen longest ago is forgotten; None where there is but one."""
    return state.versions[0].seen + plans.retention + 1 if len(state.versions) > 1 else None
