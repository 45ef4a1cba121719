"""Runs the monitor's and the retrain policy's own steps over recorded events, without a broker."""

from __future__ import annotations

from agents.backtest.replay import BacktestResult, backtest
from agents.backtest.source import SourceError, read_lines, records_of

__all__ = ["BacktestResult", "SourceError", "backtest", "read_lines", "records_of"]
