"""What every answer of the dashboard has in common, as ASGI: safe headers, bounded requests, and the page's files."""

from __future__ import annotations

import gzip
import mimetypes
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents.dashboard.documents import Document

LARGEST_BODY: Final = 256 * 1024
"""More than the longest note takes, each of its characters written as two escapes."""

#: Scripts come from here alone. The charts' library sets styles as it draws, so styles may be inline.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

SAFE: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

_SAFE: Final = tuple((name.encode(), value.encode()) for name, value in SAFE.items())

_PAGE: Final = "index.html"


def answer(document: Document, status: int = 200) -> Response:
    """A document as JSON."""
    return Response(document.model_dump_json(), status, media_type="application/json")


class SafeAnswers:
    """Adds the headers to every answer, and refuses bodies that are larger than any action needs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message.get("headers", [])
                kept = () if any(name == b"cache-control" for name, _ in own) else ((b"cache-control", b"no-store"),)
                message = {**message, "headers": [*own, *_SAFE, *kept]}
            await send(message)

        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            await _too_large(scope, receive, safely)
            return
        await self._app(scope, _Bounded(receive), safely)


class _Bounded:
    """Reads a body that does not tell its length as far as it may go; beyond that, the sender is gone to us."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._read = receive, 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        return message if self._read <= LARGEST_BODY else {"type": "http.disconnect"}


async def _too_large(scope: Scope, receive: Receive, send: Send) -> None:
    answer = JSONResponse({"error": f"body: expected at most {LARGEST_BODY} bytes"}, 413)
    await answer(scope, receive, send)


def asset(request: Request, name: str) -> Response:
    """One of the page's files, compressed where the browser takes it; 404 for any other name."""
    try:
        body, packed, tag = _asset(name)
    except FileNotFoundError:
        return JSONResponse({"error": f"no file {name[:100]!r}"}, 404)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {"etag": tag, "cache-control": "no-cache", "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, media_type=kind, headers={**headers, "content-encoding": "gzip"})
    return Response(body, media_type=kind, headers=headers)


@cache
def _asset(name: str) -> tuple[bytes, bytes, str]:
    body = _script_of_plotly() if name == "plotly.min.js" else _own(name)
    return body, gzip.compress(body, 6), f'"{sha256(body).hexdigest()[:32]}"'


def _own(name: str) -> bytes:
    if name not in asset_names():
        raise FileNotFoundError(name)
    return (files("agents.dashboard") / "static" / name).read_bytes()


@cache
def asset_names() -> frozenset[str]:
    """The page's own files, by name; none is in a folder below."""
    return frozenset(each.name for each in (files("agents.dashboard") / "static").iterdir() if each.is_file())


def _script_of_plotly() -> bytes:
    return (files("plotly") / "package_data" / "plotly.min.js").read_bytes()


def page(request: Request) -> Response:
    """The page itself."""
    return asset(request, _PAGE)
