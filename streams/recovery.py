"""Faust's table recovery, replaced: each assigned partition is opened by the engine, then the flow is resumed."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiokafka.errors import IllegalStateError
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from mode import Service

from streams.stage_app import StageApp


class EngineRecovery(Recovery):
    """Runs after the rebalance callback, so that a long restore does not cost the group membership.

    Faust's own reads to an offset that transaction markers use up, waits five seconds at the end, and goes on for ever
    when applying a record fails; here any failure stops the worker.
    """

    @Service.task
    async def _restart_recovery(self) -> None:
        engine = cast(StageApp, self.app).engine
        while not self.should_stop:
            if await self.wait_for_stopped(cast(Any, self.signal_recovery_start)):
                break
            self.signal_recovery_start.clear()
            generation = self._generation_id
            try:
                self._set_recovery_started()
                await self._wait(engine.open(engine.partitions))
                self._set_recovery_ended()
                await self._wait(self.on_recovery_completed(generation))
            except (RebalanceAgain, IllegalStateError):  # partitions were taken away meanwhile: the next round opens
                continue
            except ServiceStopped:
                break
            except Exception as problem:  # noqa: BLE001 - handed to the worker, which stops
                engine.fail(problem)
                break

    @Service.task
    async def _slurp_changelogs(self) -> None:
        await self.wait_for_stopped(cast(Any, asyncio.Event()))


class EngineTables(TableManager):
    """Faust's tables with the recovery above."""

    async def on_start(self) -> None:
        """As Faust's, without a second's sleep: our one table is declared before anything starts."""
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = EngineRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
