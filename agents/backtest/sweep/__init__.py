"""Looks for the detector and the parameters with the fewest false alarms over labelled recordings."""

from __future__ import annotations

from agents.backtest.sweep.choice import Candidate
from agents.backtest.sweep.search import Split
from agents.backtest.sweep.space import DEFAULT_SPACES, SpaceError, check_detector, default_space, read_spaces
from agents.backtest.sweep.sweep import NothingToSweep, Scored, SweepResult, Tuned, sweep
from agents.backtest.sweep.written import settings_text

__all__ = [
    "DEFAULT_SPACES",
    "Candidate",
    "NothingToSweep",
    "Scored",
    "SpaceError",
    "Split",
    "SweepResult",
    "Tuned",
    "check_detector",
    "default_space",
    "read_spaces",
    "settings_text",
    "sweep",
]
