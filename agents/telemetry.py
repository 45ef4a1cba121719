"""A worker's metrics and health over HTTP, for Prometheus and for whatever restarts workers.

    GET /metrics        Prometheus' text format
    GET /health/live    200 while the worker's event loop turns
    GET /health/ready   200 once it works, else 503

Nothing is counted for it: what is asked for is read then, on the worker's own loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from agents.runner.agent import TrialRunner
from streams.telemetry import Counted, EngineCollector
from streams.worker import StreamWorker

_BACKLOG: Final = 16


class AddressTaken(OSError):
    """Somebody listens there already, or this machine has no such address."""


class RunnerCollector(Collector):
    """Tells of the trials that this process runs."""

    def __init__(self, runner: TrialRunner, processes: int) -> None:
        self._runner, self._processes = runner, processes

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("visutility_trials_running", "Trials that run now.", value=self._runner.running)
        yield GaugeMetricFamily("visutility_trial_processes", "Trials that may run at once.", value=self._processes)


class Telemetry:
    """Serves at HOST:PORT. `ready` is asked for the worker's health."""

    def __init__(self, address: str, prefix: str, ready: Callable[[], bool]) -> None:
        self._host, _, port = address.rpartition(":")
        self._port, self._prefix, self._ready = int(port), prefix, ready
        self._registry = CollectorRegistry()
        self._runner: web.AppRunner | None = None

    def watch_stages(self, worker: StreamWorker, beside: Mapping[str, Counted] | None = None) -> None:
        """Tell of a worker's stages too, and of what reads topics `beside` them, by name."""
        now = time.time  # noqa: TID251 - for people to read
        self._registry.register(EngineCollector(worker, self._prefix, now, beside))

    def watch_trials(self, runner: TrialRunner, processes: int) -> None:
        """Tell of trials too, of which `processes` may run at once."""
        self._registry.register(RunnerCollector(runner, processes))

    async def start(self) -> int:
        """Begin to answer; returns the port. Raises `AddressTaken`."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/health/live", self._live)
        app.router.add_get("/health/ready", self._is_ready)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host.strip("[]"), self._port, backlog=_BACKLOG)
        try:
            await site.start()
        except OSError as problem:
            raise AddressTaken(f"metrics_address {self._host}:{self._port}: {problem.strerror}") from None
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        """Answer no more."""
        if self._runner is not None:
            await asyncio.wait_for(self._runner.cleanup(), 2.0)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"content-type": CONTENT_TYPE_LATEST})

    async def _live(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _is_ready(self, _: web.Request) -> web.Response:
        ready = self._ready()
        return web.json_response({"status": "ok" if ready else "not ready"}, status=200 if ready else 503)
