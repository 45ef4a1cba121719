"""Takes requests to where they are carried out besides the topic: a web address, or a command of this machine.

Outside the promise of exactly once: a request may be delivered again after a crash, so receivers tell requests apart by
`event_id` (sent to a web address as `Idempotency-Key` too).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol
from urllib.parse import urlsplit

import aiohttp

from agents.settings import DeliverySettings, Settings
from schemas.retrain import RetrainRequest

log = logging.getLogger(__name__)

#: Waits between attempts, in seconds: five attempts in all.
BACK_OFF: Final = (1.0, 2.0, 4.0, 8.0)

#: How long a web address may take to answer, and a command to end, in seconds.
TIMEOUT: Final = 30.0

_TRY_AGAIN_LATER: Final = (408, 425, 429)


class DeliveryFailed(Exception):
    """The request was not taken. `again`: it may be, another time."""

    def __init__(self, reason: str, again: bool = True) -> None:
        super().__init__(reason)
        self.again = again


class RequestTarget(Protocol):
    """A place that takes requests."""

    async def send(self, request: RetrainRequest) -> None:
        """Hand over one request, once. Raises DeliveryFailed if it was not taken."""
        ...


class Webhook:
    """POSTs the request as JSON; any 2xx answer takes it. Of the address, which may hold a secret, the host is told."""

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        self._url, self._timeout = url, aiohttp.ClientTimeout(total=timeout)
        self._host = urlsplit(url).hostname or "webhook"

    async def send(self, request: RetrainRequest) -> None:
        """Raises DeliveryFailed; for an answer like 404 that time does not mend, with `again` false."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": request.event_id}
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.post(self._url, data=request.to_json(), headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except TimeoutError:
            raise DeliveryFailed(f"{self._host}: no answer in time") from None
        except (aiohttp.ClientError, ValueError) as problem:
            # Its text may hold the address.
            raise DeliveryFailed(f"{self._host} cannot be reached ({type(problem).__name__})") from None
        if not 200 <= status < 300:
            raise DeliveryFailed(f"{self._host} answered {status}", status >= 500 or status in _TRY_AGAIN_LATER)


class Command:
    """Runs a command, without a shell, with the request as JSON on its standard input; exit code 0 takes it."""

    def __init__(self, command: Sequence[str], timeout: float = TIMEOUT) -> None:
        self._command, self._timeout = command, timeout

    async def send(self, request: RetrainRequest) -> None:
        """Raises DeliveryFailed; a command that cannot be started is not tried again."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=asyncio.subprocess.DEVNULL, stderr=pipe
            )
        except (OSError, ValueError) as problem:
            raise DeliveryFailed(f"{self._command[0]}: {problem}", again=False) from problem
        try:
            _, errors = await asyncio.wait_for(process.communicate(request.to_json()), self._timeout)
        except TimeoutError:
            raise DeliveryFailed(f"{self._command[0]} did not end within {self._timeout:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            last = errors.decode(errors="replace").strip().splitlines()[-1:]
            raise DeliveryFailed(": ".join([f"{self._command[0]} ended with {process.returncode}", *last]))


class RequestDelivery:
    """Delivers each request as the retrain rule of its model says, with retries."""

    def __init__(self, settings: Settings, back_off: Sequence[float] = BACK_OFF, timeout: float = TIMEOUT) -> None:
        self._settings, self._back_off, self._timeout = settings, back_off, timeout

    @property
    def needed(self) -> bool:
        """Whether any rule delivers requests elsewhere."""
        return any(rule.deliver is not None for rule in self._settings.retrain)

    def target(self, model_name: str) -> RequestTarget | None:
        """Where requests for a model go besides the topic; None for nowhere."""
        rule = self._settings.retrain_rule(model_name)
        return None if rule is None or rule.deliver is None else target_of(rule.deliver, self._timeout)

    async def deliver(self, request: RetrainRequest) -> bool:
        """Hand a request over: True if it was taken or has nowhere to go, False (and logged) if all attempts failed."""
        target = self.target(request.model_name)
        if target is None:
            return True
        for wait in (*self._back_off, None):
            try:
                await target.send(request)
                return True
            except DeliveryFailed as problem:
                extra = {"model_name": request.model_name, "event_id": request.event_id}
                if wait is None or not problem.again:
                    log.error("retrain request not delivered: %s", problem, extra=extra)
                    return False
                log.warning("retrain request not delivered yet, again in %g s: %s", wait, problem, extra=extra)
                await asyncio.sleep(wait)
        return False


def target_of(deliver: DeliverySettings, timeout: float = TIMEOUT) -> RequestTarget:
    """The target that the settings describe."""
    if deliver.webhook is not None:
        return Webhook(deliver.webhook, timeout)
    assert deliver.command is not None, "the settings hold one of the two"
    return Command(deliver.command, timeout)
