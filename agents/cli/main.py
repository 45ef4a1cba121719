"""The `visutility` command line.

Exit status: 0 done, 1 failed, 2 wrong usage or bad input. What went wrong is one line on stderr, never a traceback;
`VISUTILITY_LOG_LEVEL=debug` shows the traceback of what nobody expected.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from agents.cli import (
    alerts,
    backtest,
    dashboard,
    demo,
    dlq,
    doctor,
    lineage,
    models,
    operate,
    rebuild,
    record,
    replay,
    runs,
    schemas,
    sweep,
    topics,
    worker,
)
from agents.cli.failures import BadInput, CommandFailed
from agents.settings import SettingsError
from streams.security import SecurityError

DISTRIBUTION = "visutility-streams"

DONE, FAILED, WRONG = 0, 1, 2

app = typer.Typer(
    name="visutility",
    help="Watches machine-learning models in production, and closes the loop: drift, retraining, tuning, recovery.",
    epilog="Settings: visutility.toml and VISUTILITY_… variables. Start with: visutility demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(demo.demo)
app.command()(worker.worker)
app.command()(backtest.backtest)
app.command()(sweep.sweep)
app.command()(record.record)
app.command()(replay.replay)
app.command()(lineage.lineage)
app.command()(operate.retrain)
app.command()(operate.pause)
app.command()(operate.resume)
app.command()(rebuild.rebuild)
app.command()(doctor.doctor)
app.add_typer(dashboard.app, name="dashboard")
app.add_typer(topics.app, name="topics")
app.add_typer(alerts.app, name="alerts")
app.add_typer(models.app, name="models")
app.add_typer(runs.app, name="runs")
app.add_typer(dlq.app, name="dlq")
app.add_typer(schemas.app, name="schemas")


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"visutility {version(DISTRIBUTION)}")
        except PackageNotFoundError:
            typer.echo("visutility (not installed: running from a folder)")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """The options before any command; `--version` alone needs doing, and does it itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; `arguments` are those of the process if None. Returns the exit status."""
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except TyperException as problem:
        return _say(problem.format_message() or "what to do is missing; --help tells", problem.exit_code)
    except (SettingsError, SecurityError, BadInput) as problem:
        return _say(str(problem), WRONG)
    except (CommandFailed, OSError) as problem:
        return _say(str(problem), FAILED)
    except (KeyboardInterrupt, Abort):
        return _say("interrupted", FAILED)
    except Exception as problem:  # noqa: BLE001 - whatever it is, the user gets one line
        if os.environ.get("VISUTILITY_LOG_LEVEL", "").lower() == "debug":
            traceback.print_exc()
        return _say(f"unexpected: {type(problem).__name__}: {problem}", FAILED)


def _run(arguments: list[str]) -> int:
    try:
        status = typer.main.get_command(app).main(arguments, prog_name="visutility", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, a pager) has seen enough; without this the interpreter complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return status if isinstance(status, int) else DONE


def _say(reason: str, status: int) -> int:
    """The reason in one line. A status of 0 stays silent: it was help that was asked for."""
    if status:
        print("visutility: " + " ".join(reason.split()), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
