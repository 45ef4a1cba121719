"""The port behind which runs are kept. Every implementation passes `tests/tracking/test_conformance.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agents.tracking.runs import Record, Run
from agents.tracking.subscribers import Subscriber


class RunStore(Protocol):
    """Keeps runs. All methods belong to one event loop, and none blocks it."""

    async def append(self, message: Record) -> None:
        """Add a message; when this returns it is durable and `get` shows it.

        Raises `UnknownRun`, `RunEnded` or `RunExists` where it may not be added, `StoreError` where it cannot be kept.
        """
        ...

    async def get(self, run_id: str) -> Run:
        """One run as it is now. Raises `UnknownRun`, `StoreError`."""
        ...

    async def runs(self) -> list[Run]:
        """Every run, in the order in which they began. Raises `StoreError`."""
        ...

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Be told of what is added from now on, by whomever as far as this store learns of it. Returns how to stop."""
        ...

    async def close(self) -> None:
        """Let go of files and connections."""
        ...
