"""Runs the dashboard: a source on Kafka, the API over it, and a server in front, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from agents.dashboard.access import Access, hashed
from agents.dashboard.api import make_app
from agents.dashboard.source import KafkaSource
from agents.settings import Settings
from agents.settings.dashboard import DashboardToken

log = logging.getLogger(__name__)


class PortTaken(OSError):
    """Somebody listens there already."""


async def serve(settings: Settings, actor: str, told: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. `told` gets the address once it can be opened.

    Where no tokens are set, the address carries one of `actor`, made for this run, that allows to act.
    Raises `AccessUnsafe`, `PortTaken`, `MissingBroker`.
    """
    token = own_token(settings)
    access = Access(settings.dashboard, None if token is None else _kept(actor, token))
    with listening(settings.dashboard.host, settings.dashboard.port) as (sock, address):
        source = KafkaSource(settings)
        shown = address if token is None else f"{address}#token={token}"
        app = kafka_app(source, access, settings.topic_prefix, lambda: told(shown))
        await _Server(source, configured(app)).serve(sockets=[sock])


def kafka_app(source: KafkaSource, access: Access, prefix: str, told: Callable[[], None] = lambda: None) -> FastAPI:
    """The page and the API, which read from Kafka for as long as they are served; `told` is called once they are."""
    app = make_app(source, access, prefix)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        await source.start()
        gc.collect()
        gc.freeze()  # what is there for good is not looked through again: that took 150 ms, in which nobody is answered
        told()
        try:
            yield
        finally:
            await source.stop()

    app.router.lifespan_context = running
    return app


def own_token(settings: Settings) -> str | None:
    """A token for this run alone, where none are set: 256 random bits. It is told once and kept nowhere."""
    return secrets.token_urlsafe(32) if not settings.dashboard.tokens and not settings.dashboard.proxies else None


def _kept(actor: str, token: str) -> DashboardToken:
    return DashboardToken(name=actor, role="operate", sha256=hashed(token))


def configured(app: FastAPI) -> uvicorn.Config:
    """How uvicorn runs the app: with our logging, no line a request, and no word of what it is."""
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
        ws="none",
    )


class _Server(uvicorn.Server):
    """Ends with SIGTERM and SIGINT, as nothing out of the ordinary; uvicorn's own would end by the signal itself.

    The streams of changes end first: an open one would hold up the end.
    """

    def __init__(self, source: KafkaSource, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._source = source

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_soon)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _stop_soon(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._source.changes.close()
        await super().shutdown(sockets)


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens, and its address for browsers. Raises `PortTaken`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, or asyncio leaves Nagle's algorithm on: the second part of each answer then waits 40 ms
    # for the client's acknowledgement of the first.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as problem:
            raise PortTaken(f"cannot listen at {host}:{port}: {problem.strerror}; --port 0 takes a free one") from None
        sock.listen(1024)
        shown = f"[{host}]" if ":" in host else host
        yield sock, f"http://{shown}:{sock.getsockname()[1]}/"
    finally:
        sock.close()
