"""Routes for orchestrators: whether the dashboard works."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response

from agents.dashboard import documents
from agents.dashboard.source import Source
from agents.dashboard.web import answer


class Health:
    """For orchestrators: no token is asked for, and nothing is told but whether it works."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def add_to(self, app: FastAPI) -> None:
        """Answer under /api/v1/health."""
        not_ready: dict[int | str, dict[str, Any]] = {503: {"model": documents.Health}}
        common: dict[str, Any] = {"response_model": documents.Health, "tags": ["health"]}
        app.get("/api/v1/health/live", **common)(self.live)
        app.get("/api/v1/health/ready", **common, responses=not_ready)(self.ready)

    async def live(self) -> Response:
        """Whether the process answers at all."""
        return answer(documents.Health(status="ok"))

    async def ready(self) -> Response:
        """Whether all topics have been read and Kafka answers; if not, why."""
        reasons = self._source.troubles()
        health = documents.Health(status="not ready" if reasons else "ok", reasons=reasons)
        return answer(health, 503 if reasons else 200)
