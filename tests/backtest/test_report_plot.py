"""The courses as a picture."""

from __future__ import annotations

import pytest

from agents.backtest.report.plot import plot
from tests.backtest.events import metrics, quiet
from tests.backtest.test_report_page import FALL, report_of, windows_around_the_fall

pytest.importorskip("matplotlib")

#: matplotlib would take what stands between dollars for mathematics.
ODD = "$\\frac$ <b> 模型"


def test_the_same_events_give_the_same_svg_whatever_the_names() -> None:
    events = [*FALL, *[metrics(second, value, ODD) for second, value in enumerate(quiet(3, 60))]]
    first, second = (plot(report_of(events, windows=windows_around_the_fall()), "svg") for _ in range(2))
    assert first == second
    assert first.startswith(b"<?xml")
    assert b"<dc:date>" not in first


def test_a_picture_has_so_many_charts_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.backtest.report.plot.MOST_CHARTS", 2)
    few, many = (plot(report_of([metrics(1, 0.9, f"m{number}") for number in range(count)]), "png") for count in (1, 4))
    heights = [int.from_bytes(png[20:24], "big") for png in (few, many)]
    assert heights == [pytest.approx(110 * (1.1 + 2.1 * charts), abs=2) for charts in (1, 2)]


def test_a_picture_of_nothing_can_be_made() -> None:
    assert plot(report_of([]), "png").startswith(b"\x89PNG")
