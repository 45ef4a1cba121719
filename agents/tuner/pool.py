"""Processes that run trials, trainings and samplers, off the event loop and at low priority.

Each call gets a result, whatever happens to it: an objective that raises, hangs past its limit, returns NaN or ends its
process is a failed call with a one-line reason, and the next call finds a fresh process.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from pebble import ProcessExpired, ProcessPool

from agents.tuner.channel import LiveTrial, TrialChannels
from agents.tuner.sampling import SamplingCall
from agents.tuner.worker import (
    Ended,
    LoadingCall,
    TrainingCall,
    TrialCall,
    error_line,
    run_loading,
    run_sampling,
    run_training,
    run_trial,
    start_worker,
)

C = TypeVar("C", TrialCall, TrainingCall, SamplingCall, LoadingCall)

NICENESS = 10
MAX_WORKERS = 4
ATTEMPTS = 2
TASKS_PER_PROCESS = 500
"""After so many calls a process is replaced, so that what objectives leak is returned."""

LOADING_SECONDS = 120.0
"""What importing the objective and loading its data may take, beside the limit of the trial itself."""


def cores(spared: int = 0) -> int:
    """How many processes this machine has room for: one for each core this one may use but for some, from 1 to 4."""
    return max(min(len(os.sched_getaffinity(0)) - spared, MAX_WORKERS), 1)


class TrialPool:
    """A pool of processes, started by the first call. Use it from one event loop.

    `workers` is the number of processes, by default `cores()`.
    `loading_seconds` bounds imports and `load_data`, which do not count towards a call's own limit.
    """

    def __init__(self, workers: int | None = None, loading_seconds: float = LOADING_SECONDS) -> None:
        self.workers = workers or cores()
        self._loading_seconds = loading_seconds
        self._pool: ProcessPool | None = None
        self._channels: TrialChannels | None = None
        self._pending: dict[Future[Ended], ProcessPool] = {}
        self._closed = False

    async def run_trial(self, call: TrialCall, live: LiveTrial | None = None) -> Ended:
        """Run a trial; cancelling this ends its process. What it reports meanwhile is heard by `live`."""
        if live is None or self._closed:
            return await self._run(run_trial, call)
        channels = self._channels = self._channels or self._new_channels()
        address = channels.open(live)
        try:
            return await self._run(run_trial, replace(call, channel=address))
        finally:
            channels.close_one(address)

    async def run_training(self, call: TrainingCall) -> Ended:
        """Run a final training; cancelling this ends its process."""
        return await self._run(run_training, call)

    async def run_sampling(self, call: SamplingCall) -> Ended:
        """Ask a sampler; a pool of one process keeps it in memory between calls."""
        return await self._run(run_sampling, call)

    async def run_loading(self, call: LoadingCall) -> Ended:
        """Load an objective, whose module is imported in the process."""
        return await self._run(run_loading, call)

    async def close(self) -> None:
        """End all processes, in the middle of what they do. Calls still awaited are cancelled."""
        self._closed = True
        for future in tuple(self._pending):
            future.cancel()
        if self._pool is not None:
            await self._discard(self._pool)
        channels, self._channels = self._channels, None
        if channels is not None:
            asyncio.get_running_loop().remove_reader(channels.fileno())
            channels.close()

    async def _run(self, function: Callable[[C], Ended], call: C) -> Ended:
        problem: Exception = RuntimeError("it is closed")
        for _ in range(ATTEMPTS):
            if self._closed:
                break
            pool = self._pool = self._pool or self._new_pool()
            try:
                return await asyncio.wrap_future(self._schedule(pool, function, call))
            except TimeoutError:
                return Ended(call.limit_seconds, f"no answer after {call.limit_seconds + self._loading_seconds:g} s")
            except ProcessExpired as expired:
                return Ended(call.limit_seconds, _how_it_ended(expired, call.limit_seconds))
            except Exception as raised:  # noqa: BLE001 (the pool broke: no new process, a lost pipe)
                problem = raised
                await self._discard(pool)
        return Ended(0.0, f"the trial pool failed: {error_line(problem)}")

    def _new_pool(self) -> ProcessPool:
        # Spawned, not forked: a fork copies the locks of librdkafka's and RocksDB's threads in whatever state.
        spawn = multiprocessing.get_context("spawn")
        return ProcessPool(self.workers, TASKS_PER_PROCESS, start_worker, (NICENESS,), spawn)

    def _new_channels(self) -> TrialChannels:
        channels = TrialChannels()
        asyncio.get_running_loop().add_reader(channels.fileno(), channels.receive)
        return channels

    def _schedule(self, pool: ProcessPool, function: Callable[[C], Ended], call: C) -> Future[Ended]:
        limit = call.limit_seconds + self._loading_seconds
        future: Future[Ended] = pool.schedule(function, args=(call,), timeout=limit)
        self._pending[future] = pool
        future.add_done_callback(lambda done: self._pending.pop(done, None))
        return future

    async def _discard(self, pool: ProcessPool) -> None:
        """End a pool's processes; calls that it still had are told, and so scheduled again on the next one."""
        if self._pool is pool:
            self._pool = None
        pool.stop()  # type: ignore[no-untyped-call]
        await asyncio.to_thread(pool.join)
        for future in [future for future, home in tuple(self._pending.items()) if home is pool]:
            with suppress(InvalidStateError):
                future.set_exception(RuntimeError("its processes were ended"))


def _how_it_ended(expired: ProcessExpired, limit: float) -> str:
    code = expired.exitcode
    if code == -signal.SIGALRM:
        return f"timed out after {limit:g} s"
    if code is not None and code < 0:
        cause = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"its process was ended by {cause}" + (" (out of memory?)" if cause == "SIGKILL" else "")
    return f"its process ended with exit code {code}"
