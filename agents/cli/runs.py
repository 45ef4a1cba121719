"""`visutility runs`: the training runs on the topic `experiments`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from agents.cli.failures import BadInput
from agents.cli.options import AsJson, Bootstrap, Config, brokers_of, settings_of
from agents.cli.output import print_json, print_line, print_table
from agents.settings import Settings
from agents.tracking.runs import Record, Run, Runs, UnknownRun

app = typer.Typer(help="Training runs, with their hyperparameters and metrics.", no_args_is_help=True)

OfModel = Annotated[str | None, typer.Option("--model", help="Only this model's.", metavar="MODEL")]


@app.command("list")
def list_runs(
    model: OfModel = None,
    limit: Annotated[int, typer.Option("--limit", help="Only the newest so many.", min=1)] = 100,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show runs in the order in which they began, each with the newest value of each metric.

    Example: visutility runs list --model digits --bootstrap localhost:9092
    """
    _, runs = _read(settings_of(config, bootstrap))
    chosen = [run for run in runs.all() if model in (None, run.model_name)][-limit:]
    if as_json:
        print_json({"runs": [_summary(run) for run in chosen]})
    elif chosen:
        columns = ("run", "model", "version", "state", "began", "epochs", "metrics")
        print_table(columns, [_row(run) for run in chosen])
    else:
        print_line("no runs")


@app.command()
def show(
    run_id: Annotated[str, typer.Argument(help="Its id, as runs list shows it.", metavar="RUN")],
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show one run, epoch by epoch.

    Example: visutility runs show digits_4_9f2c0a --json
    """
    run = _one(_read(settings_of(config, bootstrap))[1], run_id)
    if as_json:
        print_json(run.model_dump(mode="json"))
        return
    took = "" if run.duration_seconds is None else f" after {run.duration_seconds:.1f} s"
    print_line(f"{run.model_name} {run.model_version}: {run.state}{took}, began {run.started:%Y-%m-%d %H:%M:%S}")
    described: dict[str, Mapping[str, object]] = {"params": run.params, "tags": run.tags, "final": run.final_metrics}
    for what, values in described.items():
        if values:
            print_line(f"{what}: " + ", ".join(f"{name}={value}" for name, value in values.items()))
    names = sorted({name for epoch in run.epochs.values() for name in epoch})
    if names:
        rows = [[number, *(epoch.get(name, "") for name in names)] for number, epoch in run.epochs.items()]
        print_table(("epoch", *names), rows)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to write: .jsonl (messages) or .csv (values).", metavar="FILE")],
    run_id: Annotated[str | None, typer.Option("--run", help="Only this run.", metavar="RUN")] = None,
    model: OfModel = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Write runs to a file: messages, which agents.tracking.JsonlStore opens again, or one line a value for a table.

    Example: visutility runs export runs.csv --model digits --bootstrap localhost:9092
    """
    kind = _kind(file)
    messages, runs = _read(settings_of(config, bootstrap))
    wanted = [_one(runs, run_id)] if run_id is not None else runs.all()
    chosen = [run for run in wanted if model in (None, run.model_name)]
    if kind == "csv":
        content = _csv(chosen)
    else:
        ids = {run.run_id for run in chosen}
        content = b"".join(message.to_json() + b"\n" for message in messages if message.run_id in ids)
    file.write_bytes(content)
    if as_json:
        print_json({"file": str(file), "runs": [run.run_id for run in chosen]})
    else:
        print_line(f"wrote {len(chosen)} runs to {file}")


def _kind(file: Path) -> Literal["csv", "jsonl"]:
    if file.suffix not in (".csv", ".jsonl"):
        raise BadInput(f"{file}: expected a file named .jsonl or .csv")
    return "csv" if file.suffix == ".csv" else "jsonl"


def _read(settings: Settings) -> tuple[list[Record], Runs]:
    """The messages that make up the runs, and the runs."""
    brokers_of(settings)
    from agents.cli import kafka

    async def read() -> tuple[list[Record], Runs]:
        runs, kept = Runs(), list[Record]()
        async for _, message in kafka.messages(settings, "experiments"):
            if message is not None and runs.apply(message):
                kept.append(cast(Record, message))
        return kept, runs

    return kafka.run(read(), settings)


def _one(runs: Runs, run_id: str) -> Run:
    try:
        return runs.get(run_id)
    except UnknownRun as problem:
        raise BadInput(f"{problem}; runs list shows those that are there") from None


def _summary(run: Run) -> dict[str, object]:
    return {**run.model_dump(mode="json", exclude={"epochs"}), "epochs": len(run.epochs), "metrics": run.metrics}


def _row(run: Run) -> Sequence[object]:
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in run.metrics.items())
    began = f"{run.started:%Y-%m-%d %H:%M:%S}"
    return run.run_id, run.model_name, run.model_version, run.state, began, len(run.epochs), metrics


def _csv(runs: Sequence[Run]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("run_id", "model_name", "model_version", "kind", "epoch", "name", "value"))
    for run in runs:
        writer.writerows((run.run_id, run.model_name, run.model_version, *line) for line in _values(run))
    return text.getvalue().encode()


def _values(run: Run) -> Iterator[tuple[str, object, str, object]]:
    """Every value of a run: its kind, its epoch if it has one, its name, itself."""
    for name, value in run.params.items():
        yield "param", "", name, "" if value is None else value
    for name, tag in run.tags.items():
        yield "tag", "", name, tag
    for number, epoch in run.epochs.items():
        for name, metric in epoch.items():
            yield "metric", number, name, metric
    for name, metric in run.final_metrics.items():
        yield "final", "", name, metric
