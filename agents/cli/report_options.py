"""The options of `visutility backtest` that write a report: `--report FILE.html` and `--plot FILE.png|svg`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agents.cli.failures import BadInput, CommandFailed

if TYPE_CHECKING:
    from agents.backtest.labels import Labels
    from agents.backtest.replay import Observer
    from agents.backtest.report import Report
    from agents.backtest.result import BacktestResult
    from agents.backtest.scores import Scores
    from agents.backtest.timeline import Timelines
    from agents.settings import Settings
    from streams.stage import Input

ReportFile = Annotated[
    Path | None,
    typer.Option("--report", help="Write a page with every metric's course and what was found.", metavar="FILE.html"),
]
PlotFile = Annotated[
    Path | None,
    typer.Option("--plot", help="Draw the courses (needs the extra 'report').", metavar="FILE.png|svg"),
]


class ReportFiles:
    """What `--report` and `--plot` ask for, checked before a long backtest begins. Raises BadInput, CommandFailed.

    `observer` goes into `agents.backtest.backtest`; None where nothing is asked for.
    """

    def __init__(self, report: Path | None, plot: Path | None, settings: Settings) -> None:
        self._report, self._plot, self._settings = report, plot, settings
        self.observer: Observer | None = None
        if report is not None:
            _check(report, "--report", ".html")
        if plot is not None:
            _check(plot, "--plot", ".png", ".svg")
            from agents.backtest.report.plot import can_plot

            if not can_plot():
                raise CommandFailed("--plot needs matplotlib: pip install 'visutility-streams[report]'")
        if report is not None or plot is not None:
            from agents.backtest.report import History

            self._history = History(settings)
            self.observer = self._history.observe

    def beside(self, other: Observer | None) -> Observer | None:
        """`observer` and another one as one."""
        own = self.observer
        if own is None or other is None:
            return own or other

        def both(inputs: Sequence[Input]) -> None:
            own(inputs)
            other(inputs)

        return both

    def write(
        self,
        source: str,
        result: BacktestResult,
        known: Labels | None,
        timelines: Timelines,
        scores: Mapping[str, Scores | None],
    ) -> list[Path]:
        """Write what was asked for, and return the files. `source` is a path, or else a name that has no hash.

        `known` changes are shaded, `scores` listed by the settings' names.
        """
        if self.observer is None:
            return []
        from agents.backtest.report import Report, settings_text
        from agents.backtest.report.labelled import score_row, windows_of

        shaded = {} if known is None else {name: known.of(name) or () for name in timelines}

        path = Path(source)
        report = Report(
            source=path.name or source,
            sha256=sha256_of(path) if path.exists() else "",
            settings=settings_text(self._settings),
            result=result,
            history=self._history,
            windows={name: windows_of(labels, timelines[name].time_of) for name, labels in shaded.items()},
            scores=[score_row(name, each.total.as_dict()) for name, each in scores.items() if each is not None],
        )
        return [*self._write_page(report), *self._write_plot(report)]

    def _write_page(self, report: Report) -> list[Path]:
        if self._report is None:
            return []
        from agents.backtest.report import page

        self._report.write_text(page(report), encoding="utf-8")
        return [self._report]

    def _write_plot(self, report: Report) -> list[Path]:
        if self._plot is None:
            return []
        from agents.backtest.report.plot import plot

        kind: Literal["png", "svg"] = "svg" if self._plot.suffix == ".svg" else "png"
        self._plot.write_bytes(plot(report, kind))
        return [self._plot]


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file; of a folder, that of the list of its files as `sha256sum` prints it, sorted by name."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        listing = "".join(f"{sha256_of(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
        return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path, option: str, *endings: str) -> None:
    if path.suffix not in endings:
        raise BadInput(f"{option} {path}: expected a file named {' or '.join(endings)}")
    if not path.parent.is_dir():
        raise BadInput(f"{option} {path}: there is no folder {path.parent}")
