"""`visutility record`: topics into a file."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli import completing
from agents.cli.failures import BadInput, CommandFailed
from agents.cli.options import AsJson, Config, brokers_of, settings_of
from agents.cli.output import print_json, print_line
from agents.settings import Settings

if TYPE_CHECKING:
    from agents.recording.reader import Wanted
    from agents.recording.recorder import Progress

#: Seconds between two lines on how far it is.
_TELL_EVERY = 5.0

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.ASCII | re.IGNORECASE)


def record(
    to: Annotated[
        Path,
        typer.Option("--to", help="The recording: .jsonl, .jsonl.gz or .jsonl.zst; one that is there is continued."),
    ],
    topics: Annotated[
        list[str] | None,
        typer.Argument(
            help="Topics, with or without the prefix; by default metrics.",
            metavar="TOPIC…",
            autocompletion=completing.topics,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", help="Kafka brokers, in place of bootstrap_servers.", metavar="HOST:PORT[,…]"),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Begin at this time or offset; else at the topics' beginning.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="End before this time or offset; else where the topics end now.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is written from now on, until Ctrl-C.")
    ] = False,
    rotate: Annotated[
        str | None, typer.Option("--rotate", help="Begin another file, NAME.000002…, at this size: 500MB, 1GB.")
    ] = None,
    no_cuts: Annotated[
        bool, typer.Option("--no-cuts", help="Order by timestamps, not as the workers did; record no internal topic.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Record topics to a file, in the order in which the workers processed them: backtest and replay read it.

    Keys, headers, timestamps, partitions, offsets and the workers' ticks are kept. Killed at any moment, the file can
    be read, and the same command goes on where it ended.

    Examples: visutility record --from localhost:9092 --to june.jsonl.zst

    visutility record metrics --from localhost:9092 --to live.jsonl.gz --follow --rotate 1GB
    """
    settings = settings_of(config, source)
    brokers_of(settings)
    if follow and until is not None:
        raise BadInput("--follow never ends, --until does: give one of them")
    from agents.cli import kafka
    from agents.recording.items import SourceError

    try:
        wanted = _wanted(settings, topics or ["metrics"], since, until, follow, not no_cuts)
        done = kafka.run(_record(wanted, to, None if rotate is None else _bytes(rotate)), settings)
    except SourceError as problem:
        raise BadInput(str(problem)) from None
    except OSError as problem:
        raise CommandFailed(f"{to}: cannot be written: {problem.strerror or problem}") from None
    if as_json:
        print_json(asdict(done))
    else:
        print_line(f"{_told(done)}, to {done.file}")


def _wanted(
    settings: Settings, topics: list[str], since: str | None, until: str | None, follow: bool, cuts: bool
) -> Wanted:
    from agents.recording.bounds import parse_bound
    from agents.recording.reader import Wanted
    from schemas.topics import TOPICS

    prefix = settings.topic_prefix
    names = tuple(dict.fromkeys(prefix + topic if topic in TOPICS else topic for topic in topics))
    begin, end = parse_bound("--since", since), parse_bound("--until", until)
    return Wanted(brokers_of(settings), names, prefix, begin, end, follow, cuts)


async def _record(wanted: Wanted, path: Path, rotate_at: int | None) -> Progress:
    """Record, and say now and then how far it is; SIGINT and SIGTERM end it in good order."""
    from agents.recording.recorder import record as run

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    told = loop.time()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def tell(progress: Progress) -> None:
        nonlocal told
        if loop.time() - told >= _TELL_EVERY:
            told = loop.time()
            print(f"{_told(progress)}, {progress.remaining} offsets to read", file=sys.stderr)

    return await run(wanted, path, rotate_at, stop, tell)


def _told(done: Progress) -> str:
    lost = f" ({done.lost} records were removed by retention before)" if done.lost else ""
    order = f"ordered by the cuts of {', '.join(done.ordered_by)}" if done.ordered_by else "ordered by timestamps"
    return f"{done.records} records and {done.ticks} ticks{lost}, {done.bytes} bytes, {order}"


def _bytes(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if found is None or not (size := int(float(found[1]) * 1024 ** " kmgt".index(found[2].lower() or " "))):
        raise BadInput(f"--rotate: expected a size such as 500MB or 1GB, got {text!r}")
    return size
