"""`visutility backtest`: what the settings would have said about recorded events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.failures import BadInput
from agents.cli.options import AsJson, Config, settings_of
from agents.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from agents.backtest import BacktestResult


def backtest(
    source: Annotated[
        Path,
        typer.Argument(help="A .jsonl or .jsonl.gz file, one message of the metrics topic a line.", metavar="SOURCE"),
    ],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Run the monitor and the retrain policy over recorded events; no broker, the same steps, the same answers.

    A line that is no message is a dead letter, with its number and the reason; the others go on.

    Example: visutility backtest events.jsonl --config visutility.toml --json
    """
    settings = settings_of(config)
    from agents.backtest import SourceError, read_lines
    from agents.backtest import backtest as run_backtest

    try:
        result = run_backtest(read_lines(source), settings)
    except SourceError as problem:
        raise BadInput(str(problem)) from None
    if as_json:
        print_json(result.as_dict())
    else:
        _summarise(result)


def _summarise(result: BacktestResult) -> None:
    print_line(
        f"{result.events_read} events in {result.elapsed_seconds:.2f} s ({result.events_per_second:.0f} a second)"
    )
    found = [(m["timestamp"], m["type"], m["model_name"], _told(m)) for m in _findings(result)]
    if found:
        print_table(("time", "what", "model", "details"), found)
    print_line(
        f"{len(result.drift)} on drift, {len(result.retrain)} retrain requests, {len(result.alerts)} alerts, "
        f"{len(result.dead_letters)} dead letters"
    )


def _findings(result: BacktestResult) -> list[dict[str, object]]:
    messages = [*result.drift, *result.retrain, *result.alerts, *result.dead_letters]
    return sorted(messages, key=lambda message: str(message["timestamp"]))


def _told(message: dict[str, object]) -> str:
    """The field of a message that says most to a person."""
    if message["type"] == "dead_letter":
        return f"line {message['offset']}: {message['reason']}"
    if message["type"] == "drift_detected":
        return f"{message['metric']} {message['value']} ({message['direction']}), statistic {message['statistic']:.2f}"
    return str(message.get("reason") or message.get("message") or message.get("metric") or "")
