"""Several settings over the same events: `backtest --compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.output import print_table
from agents.cli.scores import shown

if TYPE_CHECKING:
    from agents.backtest import BacktestResult
    from agents.backtest.scores import Scores

Compared = Annotated[
    list[Path] | None,
    typer.Option("--compare", help="Settings files to put side by side, over one pass.", metavar="FILE…"),
]
Others = Annotated[
    list[Path] | None, typer.Argument(help="Further files for --compare.", metavar="[FILE]…", show_default=False)
]

_FIGURES = ("labels", "found", "missed", "false_alarms", "false_alarms_per_10000_events", "false_alarms_per_day",
            "precision", "recall", "f1")  # fmt: skip
_COUNTS = ("drift_alarms", "warnings", "threshold_breaches", "retrain_requests", "trials", "seconds_in_drift")


def document_of(result: BacktestResult, summary: Mapping[str, Any], scores: Scores | None) -> dict[str, Any]:
    """What `backtest --json` prints: the messages, the summary, and with labels the scores."""
    document = result.as_dict() | {"summary": dict(summary)}
    return document if scores is None else document | {"scores": scores.as_dict()}


def print_compared(names: Sequence[str], documents: Sequence[Mapping[str, Any]]) -> None:
    """A column for each of the settings, a row for each figure."""
    rows = [(count.replace("_", " "), *(shown(d["summary"]["total"][count]) for d in documents)) for count in _COUNTS]
    if all("scores" in document for document in documents):
        totals = [document["scores"]["total"] for document in documents]
        rows += [(figure.replace("_", " "), *(shown(total[figure]) for total in totals)) for figure in _FIGURES]
        rows += [
            (f"{share} delay (events)", *(shown(total["delay"]["events"][share]) for total in totals))
            for share in ("median", "p90")
        ]
    print_table(("", *names), rows)
