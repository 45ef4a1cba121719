"""What commands print: a JSON document for programs, lines and tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Characters a line may have where there is no terminal.
_WIDEST = 400


def print_json(document: object) -> None:
    """One JSON document on stdout. Characters outside ASCII are escaped, so that any terminal and pipe takes it."""
    sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")


def print_line(text: str) -> None:
    """One line for people on stdout, as it is (no markup is read from it)."""
    Console().print(Text(text), soft_wrap=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for people on stdout."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:  # a pipe has no width: nothing is to be cut off for want of one
        console = Console(width=_WIDEST)
    console.print(table)
