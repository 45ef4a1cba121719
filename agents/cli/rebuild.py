"""`visutility rebuild`: a stage's state anew, from the records that are there."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated

import typer

from agents.cli import completing
from agents.cli.failures import BadInput, CommandFailed
from agents.cli.options import AsJson, Bootstrap, Config, brokers_of, settings_of
from agents.cli.output import print_json, print_line
from agents.settings import Settings

#: What each stage reads beside its internal topic.
INPUTS = {"monitor": ("metrics",), "retrain": ("drift",), "tuner": ("retrain", "models")}


def rebuild(
    stage: Annotated[
        str,
        typer.Option("--stage", help="monitor, retrain or tuner.", metavar="NAME", autocompletion=completing.stages),
    ] = "monitor",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Delete a stage's state, so that the next worker makes it anew from the records that retention has left.

    No worker of the stage may be active. What the records lead to is published once more, with the same ids; pauses
    have to be given again. Data folders of other machines are refused until they are removed.

    Example: visutility rebuild --stage monitor --bootstrap kafka:9092
    """
    settings = settings_of(config, bootstrap)
    if stage not in INPUTS:
        near = get_close_matches(stage, INPUTS, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise BadInput(f"--stage {stage!r} is no stage with a state: expected one of {', '.join(INPUTS)}{meant}")
    brokers = brokers_of(settings)
    if not yes:
        question = f"Delete all state of {stage} at {brokers} ({settings.topic_prefix}) and in {settings.data_dir}?"
        typer.confirm(question, abort=True, err=True)
    offsets = _rebuild(settings, stage)
    if as_json:
        print_json({"stage": stage, "offsets": offsets})
    else:
        read = "; ".join(f"{topic} {', '.join(map(str, numbers))}" for topic, numbers in offsets.items())
        print_line(f"the state of {stage} is gone; the next worker reads from: {read}")


def _rebuild(settings: Settings, stage: str) -> dict[str, list[int]]:
    from agents.cli import kafka
    from agents.worker import engine_settings
    from streams.checks import DataFolderUnfit
    from streams.permissions import NotPermitted
    from streams.rebuild import WorkerActive, rebuild
    from streams.topics import TopicsUnfit

    work = rebuild(engine_settings(settings), stage, INPUTS[stage], settings.replication_factor)
    try:
        return {topic: list(offsets) for topic, offsets in kafka.run(work, settings).offsets.items()}
    except (WorkerActive, DataFolderUnfit, TopicsUnfit, NotPermitted) as problem:
        raise CommandFailed(str(problem)) from None
