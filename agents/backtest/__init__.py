"""Runs the monitor's and the retrain policy's own steps over recorded events, without a broker."""

from __future__ import annotations

from agents.backtest.labels import Label, Labels, LabelsError, parse_labels, read_labels
from agents.backtest.replay import backtest, compare_settings
from agents.backtest.result import BacktestResult
from agents.backtest.scores import Scores, score_alarms
from agents.backtest.scoring import Rules, Score
from agents.backtest.sources import ColumnMapping, SourceError, open_source, parse_mapping, read_lines, records_of
from agents.backtest.summary import summarise
from agents.backtest.timeline import Timelines

__all__ = [
    "BacktestResult",
    "ColumnMapping",
    "Label",
    "Labels",
    "LabelsError",
    "Rules",
    "Score",
    "Scores",
    "SourceError",
    "Timelines",
    "backtest",
    "compare_settings",
    "open_source",
    "parse_labels",
    "parse_mapping",
    "read_labels",
    "read_lines",
    "records_of",
    "score_alarms",
    "summarise",
]
