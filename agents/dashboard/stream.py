"""The route that tells browsers what changed, for as long as they listen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse

from agents.dashboard.callers import reader
from agents.dashboard.refusals import REFUSALS
from agents.dashboard.source import Source

#: Seconds after which a quiet stream of changes says that it is still there; in which changes are put together.
HEARTBEAT, TOGETHER = 15.0, 0.3


class Stream:
    """What changes, as it changes."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def add_to(self, app: FastAPI) -> None:
        """Answer under /api/v1/changes."""
        responses = {**REFUSALS, 200: {"content": {"text/event-stream": {}}}}
        common: dict[str, Any] = {"tags": ["read"], "dependencies": [Depends(reader)]}
        app.get("/api/v1/changes", response_class=StreamingResponse, responses=responses, **common)(self.changes)

    async def changes(self) -> StreamingResponse:
        """Server-sent events: what changed, so as to be asked for again. `models` and `topics`, or `everything`."""
        self._source.changes.check_room()
        return StreamingResponse(self._told(), media_type="text/event-stream")

    async def _told(self) -> AsyncIterator[str]:
        with self._source.changes.listening() as listener:
            yield "retry: 2000\n\n"
            while not listener.closed:
                news = await listener.next(HEARTBEAT)
                if news is None:
                    yield ": still here\n\n"
                    continue
                told = {"models": sorted(news.models), "topics": sorted(news.topics), "everything": news.everything}
                yield f"event: changed\ndata: {json.dumps(told)}\n\n"
                await asyncio.sleep(TOGETHER)
