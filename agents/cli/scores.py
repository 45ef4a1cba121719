"""Options of the commands that hold alarms against labels, and how scores are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agents.cli.failures import BadInput
from agents.cli.output import print_line, print_table

if TYPE_CHECKING:
    from agents.backtest import BacktestResult, Timelines
    from agents.backtest.labels import Labels
    from agents.backtest.scores import Scores
    from agents.backtest.scoring import Rules, Score

LabelsFile = Annotated[
    Path | None,
    typer.Option("--labels", help="Where changes truly were, .json or .csv: scores the alarms.", metavar="FILE"),
]
RequiredLabels = Annotated[
    Path, typer.Option("--labels", help="Where changes truly were, .json or .csv.", metavar="FILE")
]
MaxDelayText = Annotated[
    str,
    typer.Option(
        "--max-delay",
        help="How long after a change an alarm still finds it: a number of events, a duration (1h), or none: "
        "up to the next change.",
        metavar="N|DURATION",
    ),
]
RepeatsChoice = Annotated[
    str, typer.Option("--repeats", help="Further alarms for a change that was found: ignored, or false.")
]
Probation = Annotated[
    float,
    typer.Option(
        "--probation", help="Events at the start of each series that are not judged; below 1: a share.", min=0
    ),
]

#: Series that are shown one by one.
_MOST_ROWS = 60

COLUMNS = ("labels", "found", "median delay", "p90", "alarms", "false", "per 10,000", "per day", "precision", "F1")


def labels_of(file: Path) -> Labels:
    """The labels in a file. Raises BadInput."""
    from agents.backtest.labels import LabelsError, read_labels

    try:
        return read_labels(file)
    except LabelsError as problem:
        raise BadInput(str(problem)) from None


def rules_of(max_delay: str, repeats: str, probation: float) -> Rules:
    """How alarms are judged. Raises BadInput."""
    from agents.backtest.scoring import Rules, parse_max_delay

    try:
        delay = parse_max_delay(max_delay)
    except ValueError as problem:
        raise BadInput(f"--max-delay: {problem}") from None
    kinds: tuple[Literal["ignored", "false"], ...] = ("ignored", "false")
    kind = next((each for each in kinds if each == repeats), None)
    if kind is None:
        raise BadInput(f"--repeats: expected ignored or false, got {repeats!r}")
    return Rules(delay, kind, probation)


def scored(result: BacktestResult, known: Labels, timelines: Timelines, rules: Rules) -> Scores:
    """The alarms of a backtest beside what is known of its models. Raises BadInput where that is nothing."""
    from agents.backtest import score_alarms

    scores = score_alarms(result.drift, known, timelines, rules)
    if not scores.series:
        seen = shortened(sorted(timelines), 3) or "none with figures"
        names = shortened(known.names(), 3)
        raise BadInput(f"{known.source}: knows none of the models in the source ({seen}); it knows {names}")
    return scores


def print_rules(rules: Rules) -> None:
    """One line on how alarms were judged."""
    told = rules.as_dict()
    probation = f", the first {rules.probation:g} {'of each series' if rules.probation < 1 else 'events'} not judged"
    print_line(
        f"max delay: {told['max_delay']}; repeated alarms {told['repeats']}" + (probation if rules.probation else "")
    )


def print_scores(scores: Scores) -> None:
    """A row for each series, one for all together, and what could not be scored."""
    rows = [(f"{each.model} {each.metric}".strip(), *figures_of(each.score)) for each in scores.series[:_MOST_ROWS]]
    if len(scores.series) > _MOST_ROWS:
        rows.append((f"… {len(scores.series) - _MOST_ROWS} more", *[""] * len(COLUMNS)))
    print_table(("series", *COLUMNS), [*rows, ("all", *figures_of(scores.total))])
    print_rules(scores.rules)
    for what, names in (("without labels", scores.not_labelled), ("labelled, not in the source", scores.not_in_source)):
        if names:
            print_line(f"{what}: {shortened(names)}")


def figures_of(score: Score) -> tuple[str, ...]:
    """The cells of `COLUMNS`."""
    return (
        str(score.labels),
        str(len(score.found)),
        _delay(score, 0.5),
        _delay(score, 0.9),
        str(score.alarms),
        str(score.false_alarms),
        shown(score.false_per_10000),
        shown(score.false_per_day),
        shown(score.precision),
        shown(score.f1),
    )


def _delay(score: Score, share: float) -> str:
    events, seconds = score.delay("events", share), score.delay("seconds", share)
    if events is None or seconds is None:
        return "-"
    return f"{events:g} ({_duration(seconds)})"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f}{unit}"
    return f"{seconds:.4g}s"


def shown(number: float | None) -> str:
    """A figure in a table; a dash where there is none."""
    return "-" if number is None else f"{number:.3g}" if number < 1000 else f"{number:.0f}"


def shortened(names: Iterable[str], most: int = 5) -> str:
    """A list of names that fits on a line."""
    every: Sequence[str] = list(names)
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")
