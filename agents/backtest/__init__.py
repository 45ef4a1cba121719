"""Runs the monitor's and the retrain policy's own steps over recorded events, without a broker."""

from __future__ import annotations

from agents.backtest.replay import backtest
from agents.backtest.result import BacktestResult
from agents.backtest.sources import ColumnMapping, SourceError, open_source, parse_mapping, read_lines, records_of

__all__ = [
    "BacktestResult",
    "ColumnMapping",
    "SourceError",
    "backtest",
    "open_source",
    "parse_mapping",
    "read_lines",
    "records_of",
]
