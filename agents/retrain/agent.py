"""The retrain policy's shell: takes requests from their topic to where the settings want them besides."""

from __future__ import annotations

import logging

from aiokafka import ConsumerRecord, TopicPartition

from agents.retrain.delivery import RequestDelivery
from agents.settings import Settings
from schemas.message import InvalidMessage
from schemas.parse import parser_for
from schemas.retrain import RetrainRequest
from streams.clients import new_consumer
from streams.persistent import Persistent
from streams.settings import EngineSettings

log = logging.getLogger(__name__)

GROUP = "retrain-delivery"


class RequestDispatcher:
    """Reads the retrain topic in a group of its own and delivers request by request, at least once."""

    def __init__(self, settings: Settings, engine: EngineSettings) -> None:
        self._delivery, self._engine = RequestDelivery(settings), engine
        self._parse = parser_for(RetrainRequest)
        self._reading = Persistent(self._consume, "retrain requests are not delivered")

    async def start(self) -> None:
        """Begin, if any rule delivers anywhere."""
        if self._delivery.needed:
            self._reading.start()

    async def stop(self) -> None:
        """End; a request being delivered is delivered again by the next worker."""
        await self._reading.stop()

    async def _consume(self) -> None:
        consumer = new_consumer(
            self._engine.connection,
            self._engine.topic("retrain"),
            group_id=self._engine.group(GROUP),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            async for record in consumer:
                await self._deliver(record)
                await consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
        finally:
            await consumer.stop()

    async def _deliver(self, record: ConsumerRecord) -> None:
        try:
            request = self._parse(record.value, record.headers)
        except InvalidMessage as problem:
            log.warning("%s [%d] at %d is no request: %s", record.topic, record.partition, record.offset, problem)
            return
        assert isinstance(request, RetrainRequest)
        await self._delivery.deliver(request)
