"""`visutility sweep`: the detector and the parameters with the fewest false alarms over labelled recordings."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agents.cli import completing
from agents.cli.failures import BadInput
from agents.cli.options import AsJson, Changes, Config, settings_of
from agents.cli.output import print_json, print_line, print_table
from agents.cli.scores import (
    MaxDelayText,
    Probation,
    RepeatsChoice,
    RequiredLabels,
    labels_of,
    print_rules,
    rules_of,
    shortened,
    shown,
)
from agents.cli.sources import BatchRows, Constant, LayoutName, Map, ModelOption, SourceArgument, opened

if TYPE_CHECKING:
    from agents.backtest.scoring import Score
    from agents.backtest.sweep import Scored, SweepResult
    from agents.tuner.space import Space

#: Points of the front that are shown.
_MOST_POINTS = 20


def sweep(
    source: SourceArgument,
    labels: RequiredLabels,
    config: Config = None,
    changes: Changes = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", help="Whose rule is varied; without it the first rule's.", metavar="METRIC"),
    ] = None,
    detectors: Annotated[
        str | None,
        typer.Option(
            "--detectors", help="Only these, separated by commas.", metavar="A,B", autocompletion=completing.detectors
        ),
    ] = None,
    space: Annotated[
        Path | None, typer.Option("--space", help="What to try: a TOML table for each detector.", metavar="FILE")
    ] = None,
    trials: Annotated[int, typer.Option("--trials", help="For each detector.", min=0, max=100_000)] = 100,
    seed: Annotated[int, typer.Option("--seed", help="The same seed finds the same.", min=0)] = 0,
    max_delay: MaxDelayText = "500",
    repeats: RepeatsChoice = "ignored",
    probation: Probation = 0.0,
    detection_rate: Annotated[
        float | None,
        typer.Option("--detection-rate", help="The share of changes to find; without it as now.", min=0, max=1),
    ] = None,
    hold_back: Annotated[
        str, typer.Option("--hold-back", help="time: the later half of each series; series: every other series.")
    ] = "time",
    write: Annotated[
        Path | None, typer.Option("--write", help="Write settings with the winner to this file.", metavar="FILE")
    ] = None,
    mapping: Map = None,
    model: ModelOption = None,
    constants: Constant = None,
    layout: LayoutName = None,
    batch_rows: BatchRows = 500,
    as_json: AsJson = False,
) -> None:
    """Look for the detector with the fewest false alarms that still finds the labelled changes within the max delay.

    Half of the labels is held back: what was found on the other half is scored there, beside each detector's defaults.
    Needs the extra tuning.

    Example: visutility sweep events.jsonl --labels labels.json --max-delay 1h --write better.toml
    """
    settings = settings_of(config, changes=changes or ())
    known, rules = labels_of(labels), rules_of(max_delay, repeats, probation)
    if probation:
        raise BadInput("--probation: a sweep judges each half as a whole; leave it out")
    spaces = _spaces(space, detectors)
    read = opened(source, mapping, model, constants, layout, batch_rows, settings.security)
    from agents.backtest import SourceError
    from agents.backtest.sweep import NothingToSweep, Split, settings_text
    from agents.backtest.sweep import sweep as run_sweep

    sides: tuple[Literal["time", "series"], ...] = ("time", "series")
    by = next((each for each in sides if each == hold_back), None)
    if by is None:
        raise BadInput(f"--hold-back: expected time or series, got {hold_back!r}")
    try:
        result = run_sweep(read, known, spaces, settings, metric=metric, rules=rules, split=Split(by), trials=trials,
                           seed=seed, detection_rate=detection_rate, say=_say)  # fmt: skip
        text = settings_text(result, settings, config) if write is not None else ""
    except (SourceError, NothingToSweep, ModuleNotFoundError) as problem:
        raise BadInput(str(problem)) from None
    if write is not None:
        write.write_text(text, encoding="utf-8")
    if as_json:
        print_json(result.as_dict())
    else:
        _show(result)
        if write is not None:
            print_line(f"written: {write}")


def _say(text: str) -> None:
    """Progress, for a person who looks on."""
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        print(f"\r\033[K{text}", end="\r", file=sys.stderr, flush=True)


def _spaces(file: Path | None, detectors: str | None) -> dict[str, Space]:
    from agents.backtest.sweep import SpaceError, check_detector, default_space, read_spaces
    from agents.drift import DETECTORS

    try:
        wanted = [check_detector(name.strip()) for name in detectors.split(",")] if detectors else None
        if file is None:
            return {name: default_space(name) for name in wanted or DETECTORS}
        spaces = read_spaces(file)
        return {name: space for name, space in spaces.items() if wanted is None or name in wanted}
    except SpaceError as problem:
        raise BadInput(str(problem)) from None


def _show(result: SweepResult) -> None:
    print_line(f"{result.metric} of {len(result.series)} labelled series; {result.trials} trials a detector")
    if result.not_labelled:
        print_line(f"without labels: {shortened(result.not_labelled)}")
    rows = []
    for each in result.detectors:
        rows.append((each.detector, "defaults", *_cells(each.defaults), ""))
        rows.append(("", "best", *_cells(each.best), each.told))
    rows.append(("settings", "now", *_cells(result.present), ""))
    rows.append((result.winner.rule.detector.name, "winner", *_cells(result.winner), ""))
    columns = ("found", "false", "mean delay")
    held = tuple(f"held back: {column}" for column in columns)
    print_table(("detector", "", *columns, *held, "held back, best is"), rows)
    points = [
        (each.detector, shown(each.false_alarms), shown(each.delay), _parameters(each.rule.detector.given))
        for each in result.front[:_MOST_POINTS]
    ]
    print_line("Pareto front on the part that was fitted on:")
    print_table(("detector", "false per 10,000", "mean delay", "parameters"), points)
    print_rules(result.rules)
    print_line(f"winner: {result.winner.rule.detector.name} {_parameters(result.winner.rule.detector.given)}")


def _cells(scored: Scored) -> tuple[str, ...]:
    return (*_figures(scored.fitting), *_figures(scored.held_back))


def _figures(score: Score) -> tuple[str, str, str]:
    return f"{len(score.found)} of {score.labels}", str(score.false_alarms), shown(score.mean_delay)


def _parameters(given: dict[str, object]) -> str:
    return ", ".join(f"{k} = {v:.4g}" if isinstance(v, float) else f"{k} = {v}" for k, v in given.items())
