"""A web server on the loopback that takes what is sent, or does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


class Receiver:
    """Answers with the given statuses in turn, the last one for ever (0: not in time), and keeps what it got."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers) or [200]
        self.bodies: list[Any] = []
        self.headers: list[str] = []
        self.url = ""
        self._came = asyncio.Condition()

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        self.headers.append(request.headers["Idempotency-Key"])
        async with self._came:
            self._came.notify_all()
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not status:
            await asyncio.sleep(600)
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else None)

    async def got(self, count: int) -> list[Any]:
        """Wait for so many requests; returns their bodies."""
        async with asyncio.timeout(60), self._came:
            await self._came.wait_for(lambda: len(self.bodies) >= count)
        return self.bodies


@asynccontextmanager
async def receiver(*answers: int) -> AsyncIterator[Receiver]:
    received = Receiver(*answers)
    application = web.Application()
    application.router.add_post("/{path:.*}", received.handle)
    async with TestServer(application) as server:
        received.url = str(server.make_url("/services/secret"))
        yield received
