"""The report's page in a real browser: it draws, and says nothing on the console."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from agents.backtest.report import page
from tests.backtest.events import metrics, quiet
from tests.backtest.test_report_page import EVIL, FALL, report_of, windows_around_the_fall

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--enable-logging=stderr",
         "--window-size=1200,6000", "--virtual-time-budget=3000", "--dump-dom")  # fmt: skip


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_charts_are_drawn_and_the_console_stays_empty(tmp_path: Path) -> None:
    evil = [metrics(second, value, EVIL, extras={EVIL: value}) for second, value in enumerate(quiet(3, 300))]
    outcomes = [
        {"type": "outcomes", "model_name": "o", "timestamp": event["timestamp"], "y_true": [1, 0], "y_pred": [1, 1]}
        for event in FALL
    ]
    file = tmp_path / "report.html"
    file.write_text(page(report_of([*FALL, *evil, *outcomes], windows=windows_around_the_fall())), encoding="utf-8")
    ran = subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()],
        capture_output=True, text=True, encoding="utf-8", timeout=100, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in ran.stderr
    dom = ran.stdout
    names = [unescape(name) for name in re.findall(r"<bdi>(.*?)</bdi>", dom)]
    assert sorted(names) == sorted(["digits", EVIL, "o"])
    # Few models, so that all are open: accuracy twice, the extra, and error.
    titles = [unescape(title) for title in re.findall(r"<h3>(.*?)</h3>", dom)]
    assert sorted(titles) == sorted(["accuracy", "accuracy", f"extras.{EVIL}", "error"])
    assert len(re.findall(r'<path class="mean" d="M[\d.]', dom)) == 4
    assert dom.count('class="labelled"') >= 2  # the shade and its legend
    assert re.search(r'<path d="M-4\.5[^>]*transform="translate\([\d. ]+\)[^>]*var\(--drift\)', dom)
    assert "NaN" not in re.sub(r"<script.*?</script>", "", dom, flags=re.DOTALL)
