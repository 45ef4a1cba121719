"""Models spread over processes: each reads all the events, and runs the monitor for the models that are its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from agents.backtest.replay import Findings, monitor
from agents.backtest.sources import EventLike, Item, Source, SourceError
from agents.monitor.stage import MonitorStage
from agents.settings import Settings
from streams.partitioner import partition_of
from streams.records import Headers


class ProcessLost(RuntimeError):
    """A process ended without a result."""


class _Named(msgspec.Struct):
    model_name: str


_named = msgspec.json.Decoder(_Named).decode


def monitor_in_processes(events: Iterable[EventLike | Item], settings: Settings, processes: int) -> Findings:
    """What `monitor` finds, in several processes. Raises ValueError for what can be read only once, or no number."""
    if processes < 1:
        raise ValueError(f"processes: expected at least 1, got {processes}")
    if iter(events) is events:
        raise ValueError("processes: expected 1 for events that can be read only once")
    if any(rule.window.idle is not None for rule in settings.monitor):
        raise ValueError("processes: expected 1 beside window.idle: what passes is the time of all models together")
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
    chosen = partial(_is_mine, _home(settings, processes), number)
    try:
        sender.send(monitor(events, [settings], chosen=chosen)[0])
    except (SourceError, TypeError, RuntimeError) as problem:
        sender.send(problem)


def _is_mine(home: Callable[[bytes | None, Headers], int], number: int, value: bytes | None, headers: Headers) -> bool:
    return home(value, headers) == number


def _home(settings: Settings, processes: int) -> Callable[[bytes | None, Headers], int]:
    """Which process has a record's model; the first has what cannot be decoded."""
    decode = MonitorStage(settings).decode

    def home(value: bytes | None, headers: Headers) -> int:
        try:
            # In an envelope, or where attributes are in headers, the name may be elsewhere.
            if value is None or headers or b'"specversion"' in value:
                return partition_of(decode(value, headers).model_name, processes)
            return partition_of(_named(value).model_name, processes)
        except (ValueError, RecursionError):
            return 0

    return home
