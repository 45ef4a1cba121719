"""How far a replay is, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from agents.recording.items import TimePassed

if TYPE_CHECKING:
    from agents.backtest.sources import Source
    from agents.recording.replayer import Plan, Sent

#: Seconds between two lines.
_TELL_EVERY = 5.0


@contextmanager
def shown(read: Source, plan: Plan) -> Iterator[Callable[[Sent], None]]:
    """What shows on stderr how far it is: a bar on a terminal, a line now and then elsewhere."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    total, seconds = _measured(read, plan)
    columns = (
        BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[records]:,} records"),
        TextColumn("{task.fields[rate]:,.0f} a second"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        paced = plan.speed is not None
        task = bar.add_task("", total=seconds if paced else total, records=plan.skip, rate=0.0)
        began = time.monotonic()

        def tell(sent: Sent) -> None:
            at = (sent.time or 0.0) - (sent.first or 0.0) if paced else float(sent.records)
            rate = (sent.records - plan.skip) / max(time.monotonic() - began, 0.001)
            bar.update(task, completed=at, records=sent.records, rate=rate)

        yield tell


def _measured(read: Source, plan: Plan) -> tuple[float | None, float | None]:
    """How many records there are, and how many seconds between the first and the latest; None where it costs much."""
    if read.name.startswith("kafka://"):
        return None, None
    from agents.recording.retiming import time_of

    count, first, last = 0, None, 0.0
    for item in read:
        if isinstance(item, TimePassed) or plan.topics.get(item.topic, plan.otherwise) is None:
            continue
        count += 1
        if count > plan.skip and (at := time_of(item)) is not None:
            first, last = at if first is None else first, max(last, at)
    return float(count), None if first is None else last - first


def _lines() -> Callable[[Sent], None]:
    began = told = time.monotonic()
    skipped: list[int] = []

    def tell(sent: Sent) -> None:
        nonlocal told
        skipped.append(sent.records) if not skipped else None
        if (now := time.monotonic()) - told >= _TELL_EVERY:
            told = now
            at = "" if sent.time is None else f", at {instant(sent.time)}"
            say(f"{sent.records} records sent, {(sent.records - skipped[0]) / (now - began):.0f} a second{at}")

    return tell


def instant(seconds: float) -> str:
    """A time in epoch seconds for people, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr)
