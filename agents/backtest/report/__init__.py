"""The report of a backtest: one HTML page that needs no network, or a plot as PNG or SVG."""

from __future__ import annotations

from agents.backtest.report.document import Report
from agents.backtest.report.history import History
from agents.backtest.report.labelled import Window, score_row, windows_of
from agents.backtest.report.page import page
from agents.backtest.report.settings_text import settings_text

__all__ = ["History", "Report", "Window", "page", "score_row", "settings_text", "windows_of"]
