"""Runs in memory: for tests, notebooks, and whoever only wants to be told."""

from __future__ import annotations

from collections.abc import Callable

from agents.tracking.runs import Record, Run, Runs
from agents.tracking.subscribers import Subscriber, Subscribers


class MemoryStore:
    """Implements `RunStore`; what it holds is gone with it."""

    def __init__(self) -> None:
        self._runs, self._subscribers = Runs(), Subscribers()

    async def append(self, message: Record) -> None:
        self._runs.check(message)
        self._runs.apply(message)
        self._subscribers.tell(message)

    async def get(self, run_id: str) -> Run:
        return self._runs.get(run_id)

    async def runs(self) -> list[Run]:
        return self._runs.all()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        return self._subscribers.add(subscriber)

    async def close(self) -> None: ...
