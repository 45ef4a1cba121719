"""Work beside the stages that goes on whatever fails: it is begun again after a while."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from streams.diagnosis import DENIED

log = logging.getLogger(__name__)

#: Seconds until what failed is begun again.
RETRY_DELAY = 1.0

#: Seconds, where the broker denies it: that changes when somebody grants it.
DENIED_DELAY = 30.0


class Persistent:
    """Runs a coroutine function in the background until it is stopped, again and again where it fails or returns."""

    def __init__(self, run: Callable[[], Awaitable[None]], complaint: str, delay: float = RETRY_DELAY) -> None:
        """`complaint` says in the log what does not happen meanwhile; `delay` is in seconds."""
        self._run, self._complaint, self._delay = run, complaint, delay
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._task = asyncio.create_task(self._persist(), name=f"persistent: {self._complaint}")

    async def stop(self) -> None:
        """Cancel it and wait until it has ended; does nothing where it was not started."""
        if self._task is not None:
            # Once may not do: until Python 3.12 `asyncio.wait_for`, which the client uses, swallows a cancellation that
            # comes at the moment of its result.
            while not self._task.done():
                self._task.cancel()
                await asyncio.wait({self._task}, timeout=1.0)

    async def _persist(self) -> None:
        while True:
            delay = self._delay
            try:
                await self._run()
            except Exception as problem:  # noqa: BLE001 (a broker that is away, say: what waits must not pile up)
                what = f"{type(problem).__name__}: {problem}"
                delay = DENIED_DELAY if isinstance(problem, DENIED) else self._delay
                log.warning("%s (%s), again in %g s", self._complaint, what, delay)
            await asyncio.sleep(delay)
