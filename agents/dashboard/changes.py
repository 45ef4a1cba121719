"""Tells whoever listens what has changed, so that pages ask again for what they show. Pure but for waiting.

Nothing queues up: changes that a slow listener has not taken yet are one set of names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

MOST_NAMES: Final = 500
"""More models than these in one piece of news are told as `everything`."""

MOST_LISTENERS: Final = 500


class TooManyListeners(RuntimeError):
    """No more pages can be told of changes."""


@dataclass(slots=True)
class News:
    """Models about which something changed, and the topics it came from; or simply everything."""

    models: set[str] = field(default_factory=set)
    topics: set[str] = field(default_factory=set)
    everything: bool = False

    def add(self, topic: str, model: str) -> None:
        """One record came."""
        self.topics.add(topic)
        if len(self.models) < MOST_NAMES:
            self.models.add(model)
        else:
            self.everything = True

    def __bool__(self) -> bool:
        return self.everything or bool(self.topics)


class Listener:
    """One page's ear."""

    def __init__(self) -> None:
        self._news, self._told = News(), asyncio.Event()
        self.closed = False

    async def next(self, timeout: float) -> News | None:
        """What came since the last time; None if nothing does within `timeout` seconds, or it is over (`closed`)."""
        try:
            async with asyncio.timeout(timeout):
                await self._told.wait()
        except TimeoutError:
            return None
        self._told.clear()
        news, self._news = self._news, News()
        return news or None

    def tell(self, topic: str, model: str) -> None:
        self._news.add(topic, model)
        self._told.set()

    def tell_everything(self) -> None:
        self._news.everything = True
        self._told.set()

    def close(self) -> None:
        self.closed = True
        self._told.set()


class Changes:
    """All listeners of one dashboard."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._listeners)

    def check_room(self) -> None:
        """Raises `TooManyListeners` if nobody else may listen now."""
        if self._closed or len(self._listeners) >= MOST_LISTENERS:
            raise TooManyListeners(f"{MOST_LISTENERS} pages listen already, or the dashboard is about to stop")

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """An ear for as long as it is needed. Raises `TooManyListeners`."""
        self.check_room()
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def tell(self, topic: str, model: str) -> None:
        """A record of a topic changed what is known of a model."""
        for listener in self._listeners:
            listener.tell(topic, model)

    def tell_everything(self) -> None:
        """All may be different."""
        for listener in self._listeners:
            listener.tell_everything()

    def close(self) -> None:
        """End every listener, for the server stops."""
        self._closed = True
        for listener in self._listeners:
            listener.close()
