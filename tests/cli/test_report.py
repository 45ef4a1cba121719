"""`visutility backtest --report` and `--plot`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from agents.cli.report_options import ReportFiles, sha256_of
from agents.settings import Settings
from streams.stage import Tick
from tests.backtest.events import metrics, quiet, write
from tests.cli.running import visutility


@pytest.fixture
def events(folder: Path) -> Path:
    return write(folder / "events.jsonl", [metrics(second, value) for second, value in enumerate(quiet(2, 60))])


def test_a_report_is_written_beside_the_one_json_document(events: Path, folder: Path) -> None:
    plain = visutility("backtest", events, "--json")
    ran = visutility("backtest", events, "--json", "--report", folder / "r.html")
    timing = {"elapsed_seconds": 0, "events_per_second": 0}
    assert ran.json | timing == plain.json | timing
    html = (folder / "r.html").read_text(encoding="utf-8")
    assert hashlib.sha256(events.read_bytes()).hexdigest() in html
    assert "Backtest of events.jsonl" in html


def test_the_files_are_named_at_the_end(events: Path, folder: Path) -> None:
    pytest.importorskip("matplotlib")
    ran = visutility("backtest", events, "--report", "r.html", "--plot", "p.svg")
    assert ran.out.splitlines()[-2:] == ["written: r.html", "written: p.svg"]
    assert (folder / "p.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--report", "r.pdf"), "visutility: --report r.pdf: expected a file named .html\n"),
        (("--plot", "p.html"), "visutility: --plot p.html: expected a file named .png or .svg\n"),
        (("--report", "no/r.html"), "visutility: --report no/r.html: there is no folder no\n"),
    ],
)
def test_a_file_that_cannot_be_is_told_before_anything_is_read(options: tuple[str, str], reason: str) -> None:
    ran = visutility("backtest", "not-there.jsonl", *options)
    assert (ran.status, ran.err) == (2, reason)


def test_without_matplotlib_a_line_says_how_to_get_it(events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.backtest.report.plot.find_spec", lambda name: None)
    ran = visutility("backtest", events, "--plot", "p.svg")
    assert (ran.status, ran.err) == (
        1,
        "visutility: --plot needs matplotlib: pip install 'visutility-streams[report]'\n",
    )


def test_the_hash_of_a_folder_is_that_of_its_files_hashes(folder: Path) -> None:
    for name in ("b.jsonl", "a/c.jsonl"):
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_text(name)
    lines = [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in ("a/c.jsonl", "b.jsonl")]
    assert sha256_of(folder / "in") == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_report_observes_beside_others(folder: Path) -> None:
    seen: list[object] = []
    none, some = ReportFiles(None, None, Settings()), ReportFiles(folder / "r.html", None, Settings())
    assert none.beside(None) is None
    assert none.beside(seen.append) == seen.append
    assert some.beside(None) == some.observer
    both = some.beside(seen.append)
    assert both is not None
    both([Tick(1)])
    assert seen == [[Tick(1)]]
