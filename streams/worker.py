"""Runs the apps of several stages in one process, until told to stop or until one of them fails."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from streams.app import make_app
from streams.owner import Listener
from streams.settings import EngineSettings
from streams.stage import Stage
from streams.stage_app import StageApp

log = logging.getLogger(__name__)

#: SIGTERM ends a worker within ten seconds: half for the last checkpoints, the rest for Faust's own services.
CHECKPOINT_TIMEOUT, STOP_TIMEOUT = 4.0, 3.0


class DataFolderBusy(RuntimeError):
    """Another worker uses the data folder."""


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

    async def start(self) -> None:
        """Join the groups, restore what is assigned and begin to work. Raises `DataFolderBusy`, `StateMismatch`."""
        _collect_rarely()
        for stage in self._stages:
            self._cleanup.enter_context(locked_folder(self._settings.data_dir / stage.name))
            self._apps[stage.name] = make_app(stage, self._settings, self._listeners.get(stage.name, ()))
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


def locked_folder(folder: Path) -> ExitStack:
    """Hold a folder for this process, until the stack is closed or the process dies."""
    stack = ExitStack()
    folder.mkdir(parents=True, exist_ok=True)
    lock = stack.enter_context((folder / "LOCK").open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        stack.close()
        raise DataFolderBusy(f"{folder} is used by another worker; give each worker its own data_dir") from problem
    return stack
