"""Those who want to be told of what is recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agents.tracking.runs import Record

log = logging.getLogger(__name__)

Subscriber = Callable[[Record], None]
"""Told of each message of each run, in order. Called on the event loop; must not block; what it raises is logged."""


class Subscribers:
    """Calls each subscriber, and goes on where one fails."""

    def __init__(self) -> None:
        self._all: list[Subscriber] = []

    def add(self, subscriber: Subscriber) -> Callable[[], None]:
        """Returns how to remove it again; doing that twice is no error."""

        def call(message: Record) -> None:  # an entry of its own: the same function may subscribe twice
            subscriber(message)

        def remove() -> None:
            if call in self._all:
                self._all.remove(call)

        self._all.append(call)
        return remove

    def tell(self, message: Record) -> None:
        """Tell all of them."""
        for subscriber in list(self._all):
            try:
                subscriber(message)
            except Exception:
                log.exception("a subscriber of the tracker failed")
