"""What a runner sends: to a study's owner how trials go and end, and to `experiments` each trial as a training run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Self, cast

from agents.runner.trials import Unsent, epoch_end_of, result_of, run_start_of, training_end_of
from agents.tuner.worker import Ended
from schemas.cloudevents import headers_of
from schemas.message import Message
from schemas.trial_requests import TrialRequest
from streams.clients import new_producer
from streams.partitioner import partition_of
from streams.settings import LARGEST_RECORD, EngineSettings

REPORT_INTERVAL = 0.25
"""Seconds between what is sent of one trial's reports: those of a quick trial go together."""


class Outbox:
    """A producer of the runner's own. Use as an async context manager; raises Kafka's errors."""

    def __init__(self, engine: EngineSettings) -> None:
        self._engine = engine
        self._producer = new_producer(
            engine.connection,
            enable_idempotence=engine.delivery == "exactly_once",
            acks="all",
            max_request_size=LARGEST_RECORD,
        )

    async def __aenter__(self) -> Self:
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def send(self, topic: str, message: Message) -> asyncio.Future[Any]:
        """Send a message; what it returns is done once it is written."""
        home = partition_of(message.model_name, self._engine.partitions) if topic == "tuner-internal" else None
        return cast(
            "asyncio.Future[Any]",
            await self._producer.send(
                self._engine.topic(topic),
                message.to_json(),
                key=message.model_name.encode() or None,
                partition=home,
                headers=headers_of(message),
            ),
        )


class Reporter:
    """Sends what becomes of one trial, as it happens. Use as an async context manager around the trial."""

    def __init__(self, outbox: Outbox, request: TrialRequest) -> None:
        self._outbox, self._request = outbox, request
        self._unsent, self._news = Unsent(), asyncio.Event()
        self._sent: list[asyncio.Future[Any]] = []
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._send("experiments", run_start_of(self._request, datetime.now(UTC)))
        self._sending = asyncio.create_task(self._send_reports(), name=f"reports of {self._request.trial_id}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    def heard(self, step: int, value: float) -> None:
        """The trial has reported."""
        self._unsent.add(step, value)
        self._news.set()

    async def end(self, ended: Ended) -> None:
        """Send what is left of the reports, then how the trial ended; returns once all is written."""
        await self._stop()
        self._unsent.complete(ended.reports)
        await self._send_unsent()
        await self._send("tuner-internal", result_of(self._request, ended))
        await self._send("experiments", training_end_of(self._request, ended, datetime.now(UTC)))
        await asyncio.gather(*self._sent)

    async def _send_reports(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await self._send_unsent()
            self._sent = [each for each in self._sent if not each.done() or each.exception() is not None]
            await asyncio.sleep(REPORT_INTERVAL)

    async def _send_unsent(self) -> None:
        now = datetime.now(UTC)
        for step, value in self._unsent.waiting:
            report = epoch_end_of(self._request, step, value, now)
            await self._send("experiments", report)
            if self._request.pruner:
                await self._send("tuner-internal", report)
            self._unsent.sent(step, value)

    async def _send(self, topic: str, message: Message) -> None:
        self._sent.append(await self._outbox.send(topic, message))

    async def _stop(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait({self._sending})
