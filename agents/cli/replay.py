"""`visutility replay`: a recording, or any other source, into topics on Kafka."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli import completing
from agents.cli.failures import BadInput, CommandFailed
from agents.cli.options import AsJson, Config, brokers_of, settings_of
from agents.cli.output import print_json, print_line
from agents.cli.progress import instant, say, shown
from agents.cli.sources import Constant, LayoutName, Map, ModelOption, SourceArgument, opened
from agents.nearest import did_you_mean
from agents.settings import Settings
from streams.origin import INTERNAL

if TYPE_CHECKING:
    from agents.backtest.sources import Source
    from agents.recording.replayer import Plan, Sent

#: Days that `metrics` is kept, unless the topic is configured otherwise.
_KEPT_DAYS = 7


def replay(
    source: SourceArgument,
    to: Annotated[
        str | None, typer.Option("--to", help="Kafka, in place of bootstrap_servers.", metavar="HOST:PORT[,…]")
    ] = None,
    speed: Annotated[
        str, typer.Option("--speed", help="How many times as fast as it was; max: as fast as can be.", metavar="N|max")
    ] = "1",
    shift_to: Annotated[
        str | None,
        typer.Option("--shift-to", help="Move all times: the first is now, or this one.", metavar="TIME"),
    ] = None,
    topics: Annotated[
        list[str] | None,
        typer.Option(
            "--topic",
            help="Which topics of a recording; by default metrics.",
            metavar="TOPIC",
            autocompletion=completing.topics,
        ),
    ] = None,
    skip: Annotated[int, typer.Option("--skip", help="Leave out so many records: those that were sent.", min=0)] = 0,
    mapping: Map = None,
    model: ModelOption = None,
    constants: Constant = None,
    layout: LayoutName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Publish recorded records again: keys, headers and partitions as they were, at the pace of their times.

    Ctrl-C ends it in good order and says how to go on.

    Examples: visutility replay june.jsonl.zst --to localhost:9092 --speed 60 --shift-to now

    visutility replay events.csv --map timestamp=ts,accuracy=value --model fraud --to localhost:9092 --speed max
    """
    settings = settings_of(config, to)
    brokers_of(settings)
    read = opened(source, mapping, model, constants, layout, security=settings.security)
    from agents.cli import kafka
    from agents.recording.items import SourceError
    from agents.recording.replayer import Sent

    plan = _plan(settings, read, topics or ["metrics"], _speed(speed), _time(shift_to), skip)
    sent = Sent(skip)
    try:
        with shown(read, plan) as tell:
            kafka.run(_replay(read, plan, sent, tell), settings)
    except SourceError as problem:
        raise BadInput(f"{problem}; {_how_far(sent)}") from None
    except CommandFailed as problem:
        raise CommandFailed(f"{problem}; {_how_far(sent)}") from None
    if as_json:
        print_json({**asdict(sent), "moved": sorted(sent.moved)})
    else:
        print_line(f"{sent.records} records sent" if sent.finished else f"stopped: {_how_far(sent)}")
    if not sent.finished:
        raise typer.Exit(1)


async def _replay(read: Source, plan: Plan, sent: Sent, tell: Callable[[Sent], None]) -> None:
    """Replay until SIGINT or SIGTERM; `sent` is kept up to date, whatever happens."""
    from agents.recording.replayer import replay as run

    loop, stop, warned = asyncio.get_running_loop(), asyncio.Event(), False
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def note(progress: Sent) -> None:
        nonlocal warned
        for name in (each.name for each in fields(progress)):
            setattr(sent, name, getattr(progress, name))
        if not warned and sent.first is not None:
            warned = True
            _warn(sent, plan)
        tell(sent)

    note(await run(read, plan, stop, note))


def _warn(sent: Sent, plan: Plan) -> None:
    if plan.shift_to is None and sent.first is not None and time.time() - sent.first > _KEPT_DAYS * 86_400:
        say(f"the records are from {instant(sent.first)}: retention may remove them; --shift-to now moves their times")
    for topic in sorted(sent.moved):
        say(f"{topic} has another number of partitions than was recorded: keys decide where records go")


def _how_far(sent: Sent) -> str:
    return f"{sent.records} records are sent; --skip {sent.records} goes on after them"


def _plan(
    settings: Settings, read: Source, topics: list[str], speed: float | None, shift_to: float | None, skip: int
) -> Plan:
    from agents.recording.replayer import Plan

    servers, prefix = brokers_of(settings), settings.topic_prefix
    if (recorded := read.recorded) is None:
        if len(topics) != 1:
            raise BadInput(f"{read.name} is no recording: its records go to one topic, give --topic once")
        return Plan(servers, {}, {}, prefix + topics[0], speed, shift_to, skip)
    chosen = {}
    for topic in topics:
        name = topic if topic in recorded.topics else recorded.topic_prefix + topic
        if name not in recorded.topics or name.endswith(INTERNAL):
            there = [each for each in recorded.topics if not each.endswith(INTERNAL)]
            near = did_you_mean(topic, [each.removeprefix(recorded.topic_prefix) for each in there])
            raise BadInput(
                f"{read.name} has no topic {topic!r} to replay{near}: there are {', '.join(there) or 'none'}"
            )
        chosen[name] = prefix + name.removeprefix(recorded.topic_prefix)
    return Plan(servers, chosen, recorded.topics, None, speed, shift_to, skip)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise BadInput(f"--speed: expected max or a number above 0, such as 60 or 0.5, got {text!r}")
    return speed


def _time(text: str | None) -> float | None:
    if text is None or text == "now":
        return None if text is None else time.time()
    from agents.recording.bounds import parse_bound
    from agents.recording.items import SourceError

    try:
        moment = parse_bound("--shift-to", text)
    except SourceError:
        moment = None
    if not isinstance(moment, datetime):
        raise BadInput(f"--shift-to: expected now or a time such as 2025-06-01T12:00:00Z, got {text!r}")
    return moment.timestamp()
