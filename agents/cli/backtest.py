"""`visutility backtest`: what the settings would have said about recorded events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.failures import BadInput, CommandFailed
from agents.cli.options import AsJson, Changes, Config, settings_of
from agents.cli.output import print_json, print_line, print_table
from agents.cli.report_options import PlotFile, ReportFile, ReportFiles
from agents.cli.scores import (
    LabelsFile,
    MaxDelayText,
    Probation,
    RepeatsChoice,
    labels_of,
    print_rules,
    print_scores,
    rules_of,
    scored,
)
from agents.cli.sources import BatchRows, Constant, LayoutName, Map, ModelOption, SourceArgument, opened
from agents.cli.what_if import Compared, Others, document_of, print_compared

if TYPE_CHECKING:
    from agents.backtest import BacktestResult
    from agents.backtest.replay import Observer
    from agents.backtest.sources import Source
    from agents.settings import Settings

Processes = Annotated[
    int, typer.Option("--processes", help="Spread the models over so many; the result is the same.", min=1, max=64)
]


def backtest(
    source: SourceArgument,
    others: Others = None,
    config: Config = None,
    changes: Changes = None,
    compare: Compared = None,
    labels: LabelsFile = None,
    max_delay: MaxDelayText = "500",
    repeats: RepeatsChoice = "ignored",
    probation: Probation = 0.0,
    mapping: Map = None,
    model: ModelOption = None,
    constants: Constant = None,
    layout: LayoutName = None,
    batch_rows: BatchRows = 500,
    report: ReportFile = None,
    plot: PlotFile = None,
    processes: Processes = 1,
    as_json: AsJson = False,
) -> None:
    """Run the monitor and the retrain policy over recorded events; no broker, the same steps, the same answers.

    A line that is no message is a dead letter, with its number and the reason; the others go on.

    Examples: visutility backtest events.jsonl --config visutility.toml --json

    visutility backtest events.jsonl --labels labels.json --max-delay 1h --set monitor[0].detector.threshold=2.5

    visutility backtest events.jsonl --compare strict.toml loose.toml
    """
    configs = _configs(compare, others, config)
    settings = [settings_of(file, changes=changes or ()) for file in configs]
    files = ReportFiles(report, plot, settings[0])
    known, rules = None if labels is None else labels_of(labels), rules_of(max_delay, repeats, probation)
    read = opened(source, mapping, model, constants, layout, batch_rows, settings[0].security)
    from agents.backtest import Timelines, summarise

    timelines = Timelines()
    results = _results(read, settings, files.beside(None if known is None else timelines), processes)
    scores = [None if known is None else scored(result, known, timelines, rules) for result in results]
    summaries = [summarise(result, each) for result, each in zip(results, settings, strict=True)]
    documents = [document_of(*each) for each in zip(results, summaries, scores, strict=True)]
    names = [str(file or "defaults") for file in configs]
    written = files.write(str(source), results[0], known, timelines, dict(zip(names, scores, strict=True)))
    if as_json:
        print_json(_document(names, documents, compared=bool(compare)))
    elif compare:
        print_compared(names, documents)
        if known is not None:
            print_rules(rules)
    else:
        _summarise(results[0], summaries[0]["total"])
        if scores[0] is not None:
            print_scores(scores[0])
    for file in [] if as_json else written:
        print_line(f"written: {file}")


def _results(
    read: Source, settings: Sequence[Settings], observer: Observer | None, processes: int
) -> list[BacktestResult]:
    from agents.backtest import SourceError, compare_settings
    from agents.backtest import backtest as run_backtest
    from agents.backtest.spread import ProcessLost

    if processes > 1 and (observer is not None or len(settings) > 1):
        raise BadInput("--processes: expected 1 beside --labels, --report, --plot and --compare")
    if processes > 1 and read.grows:
        raise BadInput(f"--processes: expected 1 for {read.name}, which grows: record it first")
    try:
        if processes == 1:
            return compare_settings(read, settings, observer=observer)
        return [run_backtest(read, settings[0], processes=processes)]
    except SourceError as problem:
        raise BadInput(str(problem)) from None
    except ProcessLost as problem:
        raise CommandFailed(str(problem)) from None


def _configs(compare: list[Path] | None, others: list[Path] | None, config: Path | None) -> list[Path | None]:
    """The settings files, each a backtest of its own."""
    if others and not compare:
        raise BadInput(f"one SOURCE at a time: what is {others[0]}? (settings files come with --config or --compare)")
    return [*([config] if config or not compare else []), *(compare or []), *(others or [])]


def _document(names: Sequence[str], documents: Sequence[dict[str, Any]], compared: bool) -> dict[str, Any]:
    if not compared:
        return documents[0]
    return {"compare": [{"settings": name, **document} for name, document in zip(names, documents, strict=True)]}


def _summarise(result: BacktestResult, total: dict[str, float]) -> None:
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
    print_line(
        f"{total['drift_alarms']} drifts found, {total['seconds_in_drift'] / 3600:.1f} h in drift, at most "
        f"{total['trials']} trials"
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
