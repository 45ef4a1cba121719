"""An engine between fakes of its broker and its consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streams.engine import Engine
from streams.owner import PartitionOwner
from streams.settings import EngineSettings
from streams.store import OverlayStore
from tests.engine.counting import Sum
from tests.engine.fakes import INTERNAL, METRICS, FakeConsumer, FakeKafka, FakeOutbox, fake_restore
from tests.engine.live import until

BOTH = [METRICS, INTERNAL]


class Bench:
    """An engine between fakes."""

    def __init__(self, engine: Engine[Sum], kafka: FakeKafka) -> None:
        self.engine, self.kafka = engine, kafka
        self.consumer = FakeConsumer(kafka)
        self.before_restore: Callable[[], object] = lambda: None

    @property
    def owner(self) -> PartitionOwner[Sum]:
        owner = self.engine.owner(0)
        assert owner is not None
        return owner

    @property
    def outbox(self) -> FakeOutbox:
        """The newest."""
        return self.kafka.outboxes[-1]

    async def assign(self) -> None:
        """A rebalance that gives this worker the partition."""
        await self.engine.fence(BOTH)
        await self.engine.open(self.engine.partitions)

    async def count_again(self) -> int:
        """Wait until the partition is open again, and count."""
        await until(lambda: self.engine.owner(0) is not None, 5)
        return self.owner.processor.state("a").count

    async def restore(
        self, settings: EngineSettings, stage: str, partition: int, store: OverlayStore, wanted: Callable[[], bool]
    ) -> int:
        self.before_restore()
        await asyncio.sleep(0)
        return await fake_restore(self.kafka, store, partition) if wanted() else 0
