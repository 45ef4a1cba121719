"""Serves an app on a port of its own, as `visutility dashboard` does, and asks it over HTTP."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI

from agents.dashboard.server import configured, listening


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Asks one server. `token`, where given, goes with every request."""

    port: int
    token: str | None = None

    def ask(self, path: str, /, headers: dict[str, str] | None = None, **query: Any) -> Answer:
        return self.send("GET", f"/api/v1/{path}?{urlencode(query, doseq=True)}", headers=headers)

    def act(self, action: str, /, **wish: Any) -> Answer:
        body = json.dumps(wish).encode()
        return self.send("POST", f"/api/v1/actions/{action}", body, {"content-type": "application/json"})

    def send(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        known = {"authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, path, body, {**known, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read())
        finally:
            connection.close()


@contextmanager
def served(app: FastAPI) -> Iterator[int]:
    """The port at which an app answers, from a thread."""
    with listening("127.0.0.1", 0) as (sock, _):
        server = uvicorn.Server(configured(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        try:
            yield sock.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(15)
