"""Reads everything that travels in a run, as any outside consumer would: read committed, from the beginning."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from agents.demo.history import KEPT_TOPICS
from agents.demo.plan import Plan
from schemas.message import Message
from schemas.topics import TOPICS
from streams.clients import new_consumer

POLL_MS = 200


class Observer:
    """Subscribes to the run's topics; use as an async context manager, then read `news`."""

    def __init__(self, plan: Plan) -> None:
        names = ("metrics", *KEPT_TOPICS)
        self._names = {plan.topic(name): name for name in names}
        self._parsers = {name: TOPICS[name].parser() for name in names}
        self._consumer = new_consumer(
            plan.connection,
            *self._names,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            metadata_max_age_ms=1_000,
            fetch_max_wait_ms=POLL_MS,
        )

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def news(self) -> AsyncIterator[list[tuple[str, Message]]]:
        """What came since the last time, in order of writing, with its topic; empty if nothing comes in 200 ms."""
        while True:
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS)
            records = [record for batch in fetched.values() for record in batch if record.value is not None]
            # Causes before effects, whichever topic was read first: topics are named in the order of the loop.
            order = {topic: place for place, topic in enumerate(self._names)}
            records.sort(key=lambda record: (record.timestamp, order[record.topic]))
            named = ((self._names[record.topic], record) for record in records)
            yield [(name, self._parsers[name](record.value, record.headers)) for name, record in named]
