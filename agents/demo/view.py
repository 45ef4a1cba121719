"""Shows a run as it happens: a live picture on a terminal, plain lines elsewhere, nothing where JSON is wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Protocol, Self

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agents.demo.history import History
from schemas.status import ModelStatus

BARS = "▁▂▃▄▅▆▇█"
SPARKLINE_BATCHES, MEAN_BATCHES, KEPT_LINES, FRAMES_PER_SECOND = 48, 10, 30, 8

AROUND_LINES, AROUND_TEXT = 11, 4
"""Rows of the picture that are not the story's, with three fleets; columns of its frame."""

STYLES = {"ok": "green", "recovered": "green", "warming": "dim", "warning": "yellow", "drift": "bold red"}


class View(Protocol):
    """Where a run is shown. Use it as a context manager."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *failure: object) -> None: ...
    def tell(self, line: str, /) -> None:
        """Add a line to the story."""
        ...

    def refresh(self, history: History) -> None:
        """Show the newest figures."""
        ...


def make_view(json_output: bool) -> View:
    """The view that fits: silent for JSON, live on a terminal, else plain lines on standard output."""
    if json_output:
        return PlainView(None)
    console = Console()
    return LiveView(console) if console.is_terminal else PlainView(console)


class PlainView:
    """Writes each line as it comes; without a console, to nowhere."""

    def __init__(self, console: Console | None) -> None:
        self._console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        return None

    def tell(self, line: str, /) -> None:
        """Write one line at once."""
        if self._console is not None:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
            self._console.file.flush()

    def refresh(self, history: History) -> None:
        """Figures change too often for lines; only the story is told."""


class LiveView:
    """Draws the fleets' table and the newest lines of the story, as many as fit, again and again in place.

    At the end all lines stay, whatever the terminal's height.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._history: History | None = None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._live = Live(console=console, refresh_per_second=FRAMES_PER_SECOND)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *failure: object) -> None:
        if self._history is not None:
            self._live.update(picture(self._history, self._lines))
        self._live.stop()

    def tell(self, line: str, /) -> None:
        """Put a line under the others; the oldest makes room. It is drawn after the next `refresh`."""
        self._lines.append(line)

    def refresh(self, history: History) -> None:
        """Have the next frame show this."""
        self._history = history
        size = self._console.size
        self._live.update(picture(history, newest(self._lines, size.height - AROUND_LINES, size.width - AROUND_TEXT)))


def newest(lines: Iterable[str], height: int, width: int) -> list[str]:
    """The last of some lines that fit into so many rows, where long ones are broken; at least one."""
    kept: list[str] = []
    for line in reversed(list(lines)):
        height -= -(-cell_len(line) // max(width, 1))
        if kept and height < 0:
            break
        kept.append(line)
    return kept[::-1]


def picture(history: History, lines: Sequence[str] | deque[str]) -> RenderableType:
    """The table of fleets above the story."""
    table = Table("model", "version", "accuracy", "batches", "state", expand=True, title="VisuTility demo")
    for name, readings in history.readings.items():
        if not readings:
            table.add_row(name, "", "", "", "starting")
            continue
        values = [reading.accuracy for reading in readings]
        state = state_of(history, name)
        mean = f"{fmean(values[-MEAN_BATCHES:]):.3f}"
        bars = sparkline(values[-SPARKLINE_BATCHES:])
        table.add_row(name, readings[-1].version, mean, bars, Text(state, STYLES.get(state, "yellow")))
    return Group(table, Panel(Text("\n".join(lines)), title="what happens"))


def state_of(history: History, name: str) -> str:
    """The newest state the monitor published, or that a retraining is under way."""
    if history.count("retrain_request", model_name=name) > history.count("study_finished", model_name=name):
        return "retraining"
    states = [message for message in history.messages["status"] if message.model_name == name]
    newest = states[-1] if states else None
    return newest.state.value if isinstance(newest, ModelStatus) else "warming"


def sparkline(values: Sequence[float]) -> str:
    """Values from 0 to 1 as bars, one character each."""
    return "".join(BARS[min(int(value * len(BARS)), len(BARS) - 1)] for value in values)
