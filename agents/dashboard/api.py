"""The HTTP API: what is known of the models, and what people may do. `/api/openapi.json` describes it.

Models are named in queries, not in paths, for a name may hold any character, a slash too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException as StarletteHTTPException

from agents.dashboard import answers, documents
from agents.dashboard.access import Access, Identity
from agents.dashboard.actions import Action, Actions
from agents.dashboard.changes import TooManyListeners
from agents.dashboard.documents import Document, Error
from agents.dashboard.listing import Listing, SortKey, worst_rule
from agents.dashboard.source import Source, Unavailable
from agents.dashboard.states import State
from agents.dashboard.telemetry import registry_of
from agents.dashboard.view import DashboardView
from agents.dashboard.web import SafeAnswers, asset, page
from agents.orders import OrderInvalid
from agents.registry.actions import ActionRefused, By
from agents.registry.view import NotFound, RegistryView
from schemas.audit import ActionTaken
from schemas.fields import KeyPart, ModelName, Text, VersionText

MOST_ROWS: Final = 500

#: Seconds after which a quiet stream of changes says that it is still there; in which changes are put together.
HEARTBEAT, TOGETHER = 15.0, 0.3

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Error, "description": "The body is no JSON in UTF-8"},
    401: {"model": Error, "description": "Who asks is not known"},
    403: {"model": Error, "description": "Who asks may not do this"},
    404: {"model": Error, "description": "There is no such model, version or dead letter"},
    409: {"model": Error, "description": "The state of things does not allow it"},
    413: {"model": Error, "description": "The body is too large"},
    422: {"model": Error, "description": "A value is not as it should be"},
    503: {"model": Error, "description": "Kafka does not answer, or what is asked for is not there yet"},
}

Name = Annotated[ModelName, Query(description="The model's name", examples=["fraud-eu"])]
MaybeName = Annotated[ModelName | None, Query(description="Only about this model")]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="At most so many")]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="Leave out so many")]
Search = Annotated[str, Query(max_length=249, description="Part of the name; case does not count")]

_bearer = HTTPBearer(auto_error=False, description="A token that `visutility dashboard token` made")


class Wish(BaseModel):
    """What every action takes: the model, and why."""

    model_config = ConfigDict(extra="forbid")

    model_name: ModelName
    note: Text = ""


class RetrainWish(Wish):
    """Train a model again, on behalf of the version in use."""

    model_version: VersionText = ""


class PromoteWish(Wish):
    """Put a version in service."""

    version: KeyPart


class RetryWish(BaseModel):
    """Send a dead letter's record in again."""

    model_config = ConfigDict(extra="forbid")

    event_id: str
    note: Text = ""


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
    _tell_errors_in_one_line(app)
    _Health(source).add_to(app)
    _Reading(source).add_to(app)
    _Acting(source, prefix).add_to(app)

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


def _answer(document: Document, status: int = 200) -> Response:
    return Response(document.model_dump_json(), status, media_type="application/json")


def _tell_errors_in_one_line(app: FastAPI) -> None:
    @app.exception_handler(StarletteHTTPException)
    async def _http(_: Request, problem: StarletteHTTPException) -> Response:
        return JSONResponse({"error": str(problem.detail)}, problem.status_code, headers=problem.headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, problem: RequestValidationError) -> Response:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query"))
        return JSONResponse({"error": f"{where or 'body'}: {first['msg']}"}, 422)

    @app.exception_handler(NotFound)
    async def _missing(_: Request, problem: NotFound) -> Response:
        return JSONResponse({"error": str(problem)}, 404)

    @app.exception_handler(ActionRefused)
    async def _refused(_: Request, problem: ActionRefused) -> Response:
        return JSONResponse({"error": str(problem)}, 409)

    @app.exception_handler(OrderInvalid)
    async def _wrong(_: Request, problem: OrderInvalid) -> Response:
        return JSONResponse({"error": str(problem)}, 422)

    @app.exception_handler(Exception)
    async def _unexpected(_: Request, problem: Exception) -> Response:
        return JSONResponse({"error": "something unexpected went wrong; the dashboard's log says what"}, 500)

    @app.exception_handler(Unavailable)
    @app.exception_handler(TooManyListeners)
    async def _unavailable(_: Request, problem: Exception) -> Response:
        return JSONResponse({"error": str(problem)}, 503, headers={"retry-after": "2"})


async def reader(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None
) -> Identity:
    """Who asks; nobody gets further who may not even read."""
    access: Access = request.app.state.access
    found = access.identify(request.client.host if request.client else "", request.headers)
    if found is None:
        said = "who are you? send a token: Authorization: Bearer …"
        raise HTTPException(401, said, {"www-authenticate": "Bearer"})
    return found


async def operator(who: Annotated[Identity, Depends(reader)]) -> Identity:
    """Who asks, if they may act."""
    if who.role != "operate":
        raise HTTPException(403, f"{who.name} may read; to act, a token of the role operate is needed")
    return who


Reader = Annotated[Identity, Depends(reader)]
Operator = Annotated[Identity, Depends(operator)]


class _Health:
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
        return _answer(documents.Health(status="ok"))

    async def ready(self) -> Response:
        """Whether all topics have been read and Kafka answers; if not, why."""
        reasons = self._source.troubles()
        health = documents.Health(status="not ready" if reasons else "ok", reasons=reasons)
        return _answer(health, 503 if reasons else 200)


class _Reading:
    """Everything that can be seen."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._listing = Listing()
        self._pages: tuple[object, dict[object, Response]] = (None, {})

    def add_to(self, app: FastAPI) -> None:
        """Answer under /api/v1."""
        # Straight into the app: a router within it costs each request more than all else that FastAPI does.
        common: dict[str, Any] = {"tags": ["read"], "dependencies": [Depends(reader)]}
        for path, document, tell in (
            ("me", documents.Me, self.me),
            ("models", documents.ModelPage, self.models),
            ("model", documents.ModelDetail, self.model),
            ("points", documents.Points, self.points),
            ("findings", documents.Findings, self.findings),
            ("studies", documents.Studies, self.studies),
            ("lineage", dict[str, Any], self.lineage),
            ("alerts", documents.Alerts, self.alerts),
            ("dead-letters", documents.DeadLetters, self.dead_letters),
            ("actions", documents.Actions, self.actions),
            ("flow", documents.Flow, self.flow),
        ):
            app.get(f"/api/v1/{path}", response_model=document, responses=REFUSALS, **common)(tell)
        stream = {**REFUSALS, 200: {"content": {"text/event-stream": {}}}}
        app.get("/api/v1/changes", response_class=StreamingResponse, responses=stream, **common)(self.changes)

    @property
    def _view(self) -> DashboardView:
        return self._source.view

    async def me(self, who: Reader) -> Response:
        """Who asks, and what they may do."""
        return _answer(documents.Me(name=who.name, role=who.role, access=who.access))

    async def models(
        self,
        search: Search = "",
        state: Annotated[list[State] | None, Query(description="Only in one of these states")] = None,
        sort: SortKey = "state",
        descending: bool = False,
        offset: Offset = 0,
        limit: Limit = 50,
    ) -> Response:
        """Models, those that need a person most first; `states` counts all that the search found."""
        view, now = self._view, datetime.now(UTC)
        moment = id(view), view.revision, now.replace(microsecond=0)
        if self._pages[0] != moment:
            self._pages = moment, {}
        question = search, tuple(state or ()), sort, descending, offset, limit
        found = self._pages[1].get(question)
        if found is None:
            found = _answer(
                self._listing.page(
                    view,
                    now,
                    search=search,
                    states=state or (),
                    sort=sort,
                    descending=descending,
                    offset=offset,
                    limit=limit,
                )
            )
            self._pages[1][question] = found
        return found

    async def model(self, model_name: Name) -> Response:
        """One model: its rules with their windows, its states, alerts that fire, its versions."""
        model = answers.model_in(self._view, model_name)
        row = self._listing.row(self._view, model, datetime.now(UTC))
        return _answer(answers.detail(self._view, model, row))

    async def points(
        self,
        model_name: Name,
        metric: Annotated[str | None, Query(max_length=256, description="Without it, that of the worst rule")] = None,
        size: Annotated[int | None, Query(ge=2, le=100_000, description="The window's; without it, the rule's")] = None,
        limit: Annotated[int, Query(ge=1, le=2_000)] = 500,
    ) -> Response:
        """A metric's newest values, each with its window. Asked for, a model is watched for half a minute."""
        model = answers.model_in(self._view, model_name)
        rules = model.status.rules if model.status else []
        rule = worst_rule([each for each in rules if metric in (None, each.metric)])
        window = rule.window.size if rule and rule.window else 500
        series = await self._source.series(model_name)
        metric = metric or (rule.metric if rule else None)
        return _answer(series.points(model_name, metric, size or window, limit))

    async def findings(self, model_name: MaybeName = None, limit: Limit = 50) -> Response:
        """What the monitor found, newest first."""
        view = self._view
        models = view.models.values() if model_name is None else [answers.model_in(view, model_name)]
        return _answer(answers.findings(models, limit))

    async def studies(self, model_name: Name) -> Response:
        """A model's retrain requests, each with the trials of its study."""
        return _answer(answers.studies(self._view, answers.model_in(self._view, model_name), datetime.now(UTC)))

    async def lineage(self, model_name: Name, version: Annotated[KeyPart, Query()]) -> Response:
        """Where a version comes from: study, request, findings, the fleet's records; and what came of it."""
        return JSONResponse(answers.lineage(self._view, answers.model_in(self._view, model_name), version))

    async def alerts(self, model_name: MaybeName = None, firing: bool = False, limit: Limit = 100) -> Response:
        """Alerts, newest first; with `firing` those alone that have not been resolved."""
        model = None if model_name is None else answers.model_in(self._view, model_name)
        return _answer(answers.alerts(self._view, model, firing, limit))

    async def dead_letters(
        self,
        model_name: MaybeName = None,
        stage: Annotated[str | None, Query(max_length=256)] = None,
        reason: Annotated[str, Query(max_length=1_000, description="Part of the reason")] = "",
        offset: Offset = 0,
        limit: Limit = 50,
    ) -> Response:
        """Records that were set aside, newest first, each with the reason."""
        found = answers.dead_letters(
            self._view, model=model_name, stage=stage, reason=reason, offset=offset, limit=limit
        )
        return _answer(found)

    async def actions(self, model_name: MaybeName = None, limit: Limit = 50) -> Response:
        """What people did through the dashboard, newest first."""
        return _answer(answers.actions(self._view, model_name, limit))

    async def flow(self) -> Response:
        """Records a second, and how far the stages are behind."""
        return _answer(self._source.flow())

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


class _Acting:
    """Everything that can be done. Each action is on the topics when its request is answered."""

    def __init__(self, source: Source, prefix: str) -> None:
        self._source, self._prefix = source, prefix
        self._make = Actions(prefix)

    def add_to(self, app: FastAPI) -> None:
        """Answer under /api/v1/actions."""
        for path, act in (
            ("/retrain", self.retrain),
            ("/pause", self.pause),
            ("/resume", self.resume),
            ("/promote", self.promote),
            ("/rollback", self.rollback),
            ("/retire", self.retire),
            ("/retry-dead-letter", self.retry),
        ):
            app.post(f"/api/v1/actions{path}", response_model=ActionTaken, responses=REFUSALS, tags=["act"])(act)

    @property
    def _registry(self) -> RegistryView:
        return self._source.view.registry

    async def retrain(self, wish: RetrainWish, who: Operator) -> Response:
        """Ask for a new version now; cooldown and pauses do not hold it back."""
        return await self._do(self._make.retrain(wish.model_name, wish.model_version, _by(who, wish.note), who))

    async def pause(self, wish: Wish, who: Operator) -> Response:
        """Make no retrain requests for a model until it is resumed."""
        return await self._do(self._make.pause(wish.model_name, _by(who, wish.note), who))

    async def resume(self, wish: Wish, who: Operator) -> Response:
        """Make retrain requests for a model again."""
        return await self._do(self._make.resume(wish.model_name, _by(who, wish.note), who))

    async def promote(self, wish: PromoteWish, who: Operator) -> Response:
        """Put a version in service, whatever its comparison with the champion said."""
        by = _by(who, wish.note)
        return await self._do(self._make.promote(self._registry, wish.model_name, wish.version, by, who))

    async def rollback(self, wish: Wish, who: Operator) -> Response:
        """Put the version in service that was before this one."""
        return await self._do(self._make.rollback(self._registry, wish.model_name, _by(who, wish.note), who))

    async def retire(self, wish: Wish, who: Operator) -> Response:
        """Take a model out of service: no aliases any more, its alerts end, the stages forget it."""
        return await self._do(self._make.retire(self._registry, wish.model_name, _by(who, wish.note), who))

    async def retry(self, wish: RetryWish, who: Operator) -> Response:
        """Send a record in again, unchanged, to the topic it came from."""
        letter = self._source.view.letters.get(wish.event_id)
        whole = None if letter is None else await self._source.dead_letter(letter)
        if whole is None:
            raise HTTPException(404, "no such dead letter is kept any more")
        return await self._do(self._make.retry(whole, _by(who, wish.note), who))

    async def _do(self, action: Action) -> Response:
        await self._source.publish(action.all_records(self._prefix))
        return Response(action.taken.to_json(), media_type="application/json")


def _by(who: Identity, note: str) -> By:
    return By(who.name, datetime.now(UTC), note)
