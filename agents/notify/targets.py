"""Sends a notice to its address, again where it pays. No address, and no part of one but its host, is ever told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
from yarl import URL

from agents.notify.texts import Json
from agents.settings import NotifyRule

#: Seconds between attempts: five in all.
BACK_OFF: Final = (1.0, 2.0, 4.0, 8.0)

#: Seconds that an address may take to answer.
TIMEOUT: Final = 30.0

#: Seconds that an address may ask for (`Retry-After`) at most.
LONGEST_WAIT: Final = 60.0

_TRY_AGAIN_LATER: Final = (408, 425, 429)


class AddressMissing(ValueError):
    """A rule's environment variable is not set, or is no address."""


class SendingFailed(Exception):
    """The address has not taken it. `again`: it may, after at least `wait` seconds."""

    def __init__(self, reason: str, again: bool = True, wait: float | None = None) -> None:
        super().__init__(reason)
        self.again, self.wait = again, wait


def address_of(rule: NotifyRule, environment: Mapping[str, str] = os.environ) -> URL:
    """The rule's address, with Alertmanager's path where it has none. Raises `AddressMissing`, which tells no value."""
    where = f"notify rule {rule.name}"
    if rule.url is not None:
        text = rule.url.get_secret_value()
    else:
        text = environment.get(rule.url_variable or "", "")
        if not text:
            raise AddressMissing(f"{where}: the environment variable {rule.url_variable} is not set")
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise AddressMissing(f"{where}: expected an address that begins with http:// or https://")
    return url / "api/v2/alerts" if rule.to == "alertmanager" and "api" not in url.parts else url


class Sender:
    """Sends to one rule's address."""

    def __init__(self, url: URL, back_off: Sequence[float] = BACK_OFF, timeout: float = TIMEOUT) -> None:
        self._url, self._back_off, self._timeout = url, back_off, aiohttp.ClientTimeout(total=timeout)

    async def send(self, body: Json | Sequence[Json], identity: str) -> None:
        """Hand it over. `identity` goes along as `Idempotency-Key`. Raises `SendingFailed` when all attempts failed."""
        for attempt in range(len(self._back_off) + 1):
            try:
                await self._attempt(body, identity)
                return
            except SendingFailed as problem:
                if attempt == len(self._back_off) or not problem.again:
                    attempts = "1 attempt" if attempt == 0 else f"{attempt + 1} attempts"
                    raise SendingFailed(f"{problem} ({attempts})", problem.again) from None
                wait = max(self._back_off[attempt], min(problem.wait or 0.0, LONGEST_WAIT))
            await asyncio.sleep(wait)

    async def _attempt(self, body: Json | Sequence[Json], identity: str) -> None:
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.post(
                    self._url, json=body, headers={"Idempotency-Key": identity}, allow_redirects=False
                ) as answer,
            ):
                status, asked = answer.status, answer.headers.get("Retry-After", "")
        except TimeoutError:
            raise SendingFailed(f"{self._url.host} did not answer in time") from None
        except (aiohttp.ClientError, ValueError) as problem:
            # Its text may hold the address.
            raise SendingFailed(f"{self._url.host} cannot be reached ({type(problem).__name__})") from None
        if not 200 <= status < 300:
            wait = float(asked) if asked.isascii() and asked.isdigit() else None
            raise SendingFailed(
                f"{self._url.host} answered {status}", status >= 500 or status in _TRY_AGAIN_LATER, wait
            )
