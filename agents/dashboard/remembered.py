"""Answers that are given again while what they tell has not changed, as ASGI: most requests cost no more than this.

An answer is remembered with the version of what it was made from: the revision of the view's part that it tells of, and
the second where it depends on the time too. It carries that version's digest as its `ETag`; whoever has it is told so
(304). Nothing is remembered but what a route answered with 200, and whoever may not read is left to the routes.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents.dashboard.access import Access
from agents.dashboard.source import Source
from agents.dashboard.view import DashboardView

MOST: Final = 256
"""Answers that are remembered; those that were not asked for the longest are forgotten."""

LARGEST: Final = 512 * 1024
"""A larger answer is made anew each time."""

MOST_OFTEN: Final = 0.25
"""Seconds for which what is measured, such as the flow of records, is told again."""

Version = Callable[[DashboardView, str | None], object]
"""From the view and the model that was asked for, what stays the same while the answer does."""


def _second() -> int:
    return int(time.monotonic())


def _of_model(view: DashboardView, name: str | None) -> object:
    model = view.models.get(name or "")
    revisions = view.revisions
    return None if model is None else (model.revision, revisions["models"], revisions["alert-handling"], _second())


def _of_topics(*topics: str, timed: bool = False) -> Version:
    def version(view: DashboardView, name: str | None) -> object:
        return tuple(map(view.revisions.__getitem__, topics)), _second() if timed else 0

    return version


_VERSIONS: Final[Mapping[str, Version]] = {
    "/api/v1/models": lambda view, _: (view.revision, _second()),
    "/api/v1/model": _of_model,
    "/api/v1/studies": _of_model,
    "/api/v1/findings": _of_topics("drift"),
    "/api/v1/alerts": _of_topics("alerts", "alert-handling", timed=True),
    "/api/v1/mutes": _of_topics("alert-handling", timed=True),
    "/api/v1/dead-letters": _of_topics("dead-letter"),
    "/api/v1/actions": _of_topics("audit"),
    "/api/v1/flow": lambda *_: int(time.monotonic() / MOST_OFTEN),
}


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer as it went out, the model that it is about, if any, and the version it was made from."""

    version: object
    model: str | None
    start: Message
    body: Message
    unchanged: Message
    tag: bytes


class Remembered:
    """Stands before the routes of an app, and answers for them where it can."""

    def __init__(self, app: ASGIApp, source: Source, access: Access) -> None:
        self._app, self._source, self._access = app, source, access
        self._kept: OrderedDict[tuple[str, bytes], _Kept] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        version_of = _VERSIONS.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if version_of is None:
            await self._app(scope, receive, send)
            return
        key = scope["path"], scope["query_string"]
        kept, view = self._kept.get(key), self._source.view
        if kept is not None and kept.version == (view.number, version_of(view, kept.model)):
            headers = Headers(scope=scope)
            if self._may_read(scope, headers):
                self._kept.move_to_end(key)
                await self._again(kept, headers.get("if-none-match", ""), send)
                return
        model = _model_in(scope["query_string"])
        await self._anew(scope, receive, send, (view.number, version_of(view, model)), model)

    def _may_read(self, scope: Scope, headers: Headers) -> bool:
        client = scope.get("client")
        return self._access.identify(client[0] if client else "", headers) is not None

    @staticmethod
    async def _again(kept: _Kept, known: str, send: Send) -> None:
        if known and known.encode() == kept.tag:
            await send(kept.unchanged)
            await send({"type": "http.response.body", "body": b""})
        else:
            await send(kept.start)
            await send(kept.body)

    async def _anew(self, scope: Scope, receive: Receive, send: Send, version: object, model: str | None) -> None:
        """Have the route answer, and keep what it says. What came in meanwhile makes it be asked anew."""
        start: Message = {}
        body = bytearray()

        async def keep(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                await self._tell(scope, send, start, bytes(body), version, model)

        await self._app(scope, receive, keep)

    async def _tell(
        self, scope: Scope, send: Send, start: Message, body: bytes, version: object, model: str | None
    ) -> None:
        if start["status"] != 200:
            await send(start)
            await send({"type": "http.response.body", "body": body})
            return
        tag = b'"' + blake2b(body, digest_size=12).hexdigest().encode() + b'"'
        headers: list[tuple[bytes, bytes]] = [*start["headers"], (b"etag", tag)]
        kept = _Kept(
            version,
            model,
            {**start, "headers": headers},
            {"type": "http.response.body", "body": body},
            {**start, "status": 304, "headers": [pair for pair in headers if pair[0] not in _OF_A_BODY]},
            tag,
        )
        if len(body) <= LARGEST:
            self._kept[scope["path"], scope["query_string"]] = kept
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
        await self._again(kept, Headers(scope=scope).get("if-none-match", ""), send)


_OF_A_BODY: Final = (b"content-length", b"content-type")


def _model_in(query: bytes) -> str | None:
    """The model that a question is about, as the routes read it: the last one of several."""
    found: dict[str, Any] = parse_qs(query.decode("latin-1"))
    return found["model_name"][-1] if "model_name" in found else None
