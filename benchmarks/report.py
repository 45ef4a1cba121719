"""A benchmark's result as a table for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from benchmarks.run import Json


def table(name: str, result: Json) -> Table:
    """One row for each figure; a dict of figures is a block of rows under its name."""
    made = Table(title=name, title_justify="left", box=None, pad_edge=False, show_header=False)
    made.add_column()
    made.add_column()
    made.add_column(justify="right")
    for group, figure, value in _rows(result):
        made.add_row(Text(group), Text(figure), Text(value))
    return made


def _rows(result: Json) -> Iterator[tuple[str, str, str]]:
    for name, value in result.items():
        if not isinstance(value, dict):
            yield _words(name), "", _figure(value)
            continue
        for number, (inner, figure) in enumerate(value.items()):
            yield _words(name) if number == 0 else "", _words(inner), _figure(figure)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _figure(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_words(name)} {_figure(figure)}" for name, figure in value.items())
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
