"""Models spread over processes: each reads and decodes all the events, and applies those of its own models.

So each knows the time of all of them, which is the clock by which a model falls silent and windows are complete.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable
from multiprocessing.connection import Connection
from typing import Any

from agents.backtest.replay import Findings, monitor
from agents.backtest.share import Share
from agents.backtest.sources import EventLike, Item, Source, SourceError
from agents.settings import Settings


class ProcessLost(RuntimeError):
    """A process ended without a result."""


def monitor_in_processes(events: Iterable[EventLike | Item], settings: Settings, processes: int) -> Findings:
    """What `monitor` finds, in several processes. Raises ValueError for what can be read only once, or no number."""
    if processes < 1:
        raise ValueError(f"processes: expected at least 1, got {processes}")
    if iter(events) is events:
        raise ValueError("processes: expected 1 for events that can be read only once")
    if isinstance(events, Source) and events.grows:
        raise ValueError(f"processes: expected 1 for {events.name}, which grows: record it first")
    # Forked, for what is to be read need not be picklable.
    context = multiprocessing.get_context("fork")
    ends: list[tuple[Any, Connection]] = []
    for number in range(processes):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(sender, events, settings, number, processes), daemon=True)
        process.start()
        sender.close()
        ends.append((process, receiver))
    try:
        return _gathered(receiver for _, receiver in ends)
    finally:
        for process, _ in ends:
            process.terminate()
            process.join()


def _gathered(receivers: Iterable[Connection]) -> Findings:
    found = Findings()
    for receiver in receivers:
        try:
            part = receiver.recv()
        except EOFError:
            raise ProcessLost("a process of the backtest ended before it was done: out of memory?") from None
        if isinstance(part, Exception):
            raise part
        found.add(part)
    return found


def _run(
    sender: Connection, events: Iterable[EventLike | Item], settings: Settings, number: int, processes: int
) -> None:
    """In a process of its own."""
    try:
        sender.send(monitor(events, [settings], share=Share(number, processes))[0])
    except (SourceError, TypeError, RuntimeError) as problem:
        sender.send(problem)
