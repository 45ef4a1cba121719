"""The HTTP API: what is known of the models, and what people may do. `/api/openapi.json` describes it."""

from __future__ import annotations

import asyncio

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agents.dashboard.access import Access
from agents.dashboard.acting import Acting
from agents.dashboard.callers import reader
from agents.dashboard.health import Health
from agents.dashboard.reading import Reading
from agents.dashboard.refusals import tell_errors_in_one_line
from agents.dashboard.remembered import Remembered
from agents.dashboard.source import Source
from agents.dashboard.stream import Stream
from agents.dashboard.telemetry import registry_of
from agents.dashboard.web import SafeAnswers, asset, page


def make_app(source: Source, access: Access, prefix: str) -> FastAPI:
    """The page and the API over a source, for topics of a prefix."""
    app = FastAPI(
        title="VisuTility Streams",
        version="1",
        summary="Models in production: how they are doing, and what to do about them.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.access = access
    app.add_middleware(SafeAnswers)
    app.add_middleware(Remembered, source=source, access=access)  # added last, it comes first
    tell_errors_in_one_line(app)
    for routes in (Health(source), Reading(source), Stream(source), Acting(source, prefix)):
        routes.add_to(app)

    registry = registry_of(source)

    @app.get("/metrics", include_in_schema=False, dependencies=[Depends(reader)])
    async def _metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/", include_in_schema=False)
    async def _page(request: Request) -> Response:
        return page(request)

    @app.get("/assets/{name}", include_in_schema=False)
    async def _asset(request: Request, name: str) -> Response:
        return await asyncio.to_thread(asset, request, name)

    return app
