"""Runs the apps of several stages in one process, until told to stop or until one of them fails."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from streams.app import make_app
from streams.checks import check_store, check_transactions, locked_folder
from streams.engine import Engine
from streams.memory import keep_memory
from streams.owner import Listener
from streams.settings import EngineSettings
from streams.stage import Stage
from streams.stage_app import StageApp

log = logging.getLogger(__name__)

#: SIGTERM ends a worker within ten seconds: half for the last checkpoints, the rest for Faust's own services.
CHECKPOINT_TIMEOUT, STOP_TIMEOUT = 4.0, 3.0


class StreamWorker:
    """Starts, watches and stops one Faust app a stage."""

    def __init__(
        self,
        stages: Iterable[Stage[Any]],
        settings: EngineSettings,
        listeners: Mapping[str, Sequence[Listener[Any]]] | None = None,
    ) -> None:
        self._stages, self._settings = list(stages), settings
        self._listeners = listeners or {}
        self._apps: dict[str, StageApp] = {}
        self._cleanup = ExitStack()

    @property
    def ready(self) -> bool:
        """Whether every stage has its partitions restored and is reading."""
        return bool(self._apps) and all(app.tables.actives_ready and app.engine.ready for app in self._apps.values())

    def app(self, stage: str) -> StageApp:
        """The app of a stage by the stage's name."""
        return self._apps[stage]

    def engines(self) -> dict[str, Engine[Any]]:
        """The engine of each stage that runs, by the stage's name."""
        return {name: app.engine for name, app in self._apps.items()}

    async def start(self) -> None:
        """Join the groups, restore what is assigned and begin to work.

        Raises `DataFolderUnfit`, `NoTransactions`, `WrongStore`, `StateMismatch`.
        """
        _collect_rarely()
        keep_memory()
        for stage in self._stages:
            self._cleanup.enter_context(locked_folder(self._settings.data_dir / stage.name))
        if self._settings.delivery == "exactly_once":
            await asyncio.gather(*(check_transactions(self._settings, stage.name) for stage in self._stages))
        for stage in self._stages:
            app = make_app(stage, self._settings, self._listeners.get(stage.name, ()))
            check_store(app)
            self._apps[stage.name] = app
        starts = asyncio.gather(*(app.start() for app in self._apps.values()))
        failed = asyncio.ensure_future(self.wait())
        either: set[asyncio.Future[Any]] = {starts, failed}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            starts.cancel()
            await failed
        failed.cancel()
        await starts

    async def wait(self) -> None:
        """Return never; raise what made a stage fail."""
        crashes = [asyncio.ensure_future(_crash(app)) for app in self._apps.values()]
        reasons: list[asyncio.Future[None]] = [*crashes, *(app.engine.failure for app in self._apps.values())]
        try:
            done, _ = await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        finally:
            for crash in crashes:
                crash.cancel()

    async def stop(self) -> None:
        """Checkpoint what is owned, leave the groups, free the data folder."""
        await asyncio.gather(*(_stop(app) for app in self._apps.values()))
        self._apps.clear()
        self._cleanup.close()


def _collect_rarely() -> None:
    """Batches make many objects that hold no cycles: collecting as often as by default costs a quarter of the time."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


async def _stop(app: StageApp) -> None:
    await app.engine.stop(CHECKPOINT_TIMEOUT)
    try:
        await asyncio.wait_for(app.stop(), STOP_TIMEOUT)
    except Exception as problem:  # noqa: BLE001 - everything is committed or dropped; nothing is left to save
        log.warning("%s did not stop cleanly: %s: %s", app.conf.id, type(problem).__name__, problem)


async def _crash(app: StageApp) -> None:
    """Wait until Faust itself has crashed, and raise why."""
    while not app.crashed:  # noqa: ASYNC110 - Faust has no event that outlives a restart of the service
        await asyncio.sleep(0.2)
    raise app.crash_reason or RuntimeError(f"{app.conf.id} crashed")
