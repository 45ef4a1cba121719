"""Topics in memory: the second implementation of the API's port. What is published is read at once."""

from __future__ import annotations

from collections.abc import Sequence

from agents.dashboard.changes import Changes
from agents.dashboard.documents import Flow
from agents.dashboard.points import Series
from agents.dashboard.source import Unavailable
from agents.dashboard.view import LOGS, TABLES, DashboardView, Letter, Record, model_of, step
from schemas.dead_letter import DeadLetter
from schemas.message import Message
from schemas.topics import TOPICS
from streams.topic_log import ToSend

PREFIX = "v."


class MemorySource:
    """Implements `agents.dashboard.source.Source`. `published` are the records of each call, together."""

    def __init__(self) -> None:
        self.view, self.changes = DashboardView(), Changes()
        self.trouble: str | None = None
        self.published: list[list[ToSend]] = []
        self.metrics: list[Message] = []
        self._letters: list[DeadLetter] = []
        self._time = 0
        self._parsers = {name: TOPICS[name].parser() for name in (*TABLES, *LOGS)}

    def put(self, topic: str, *messages: Message, key: str | None = None) -> None:
        for message in messages:
            offset = 0
            if isinstance(message, DeadLetter):
                offset = len(self._letters)
                self._letters.append(message)
            self._take(topic, offset, key if key is not None else message.model_name, message)

    def troubles(self) -> list[str]:
        return [self.trouble] if self.trouble else []

    def flow(self) -> Flow:
        return Flow(records_per_second=None, stages=[], seconds_ago=None)

    async def series(self, model: str) -> Series:
        self._check()
        series = Series()
        for message in self.metrics:
            if message.model_name == model:
                series.take(message)
        return series

    async def dead_letter(self, letter: Letter) -> DeadLetter | None:
        self._check()
        return self._letters[letter.offset]

    async def publish(self, records: Sequence[ToSend]) -> None:
        self._check()
        self.published.append(list(records))
        for record in records:
            topic = record.topic.removeprefix(PREFIX)
            if topic in self._parsers:
                message = None if record.value is None else self._parsers[topic](record.value)
                self._take(topic, 0, (record.key or b"").decode(), message)

    def _check(self) -> None:
        if self.trouble:
            raise Unavailable(self.trouble)

    def _take(self, topic: str, offset: int, key: str, message: Message | None) -> None:
        self._time += 1
        record = Record(topic, 0, offset, key, message, self._time)
        step(self.view, record)
        self.changes.tell(record.topic, model_of(record) or "")
