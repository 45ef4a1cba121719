"""Routes for everything that can be seen.

Models are named in queries, not in paths, for a name may hold any character, a slash too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Query
from fastapi.responses import JSONResponse, Response

from agents.dashboard import answers, documents
from agents.dashboard.callers import Reader, reader
from agents.dashboard.listing import Listing, SortKey, worst_rule
from agents.dashboard.refusals import REFUSALS
from agents.dashboard.source import Source
from agents.dashboard.states import State
from agents.dashboard.view import DashboardView
from agents.dashboard.web import answer
from schemas.fields import KeyPart, ModelName

MOST_ROWS: Final = 500

Name = Annotated[ModelName, Query(description="The model's name", examples=["fraud-eu"])]
MaybeName = Annotated[ModelName | None, Query(description="Only about this model")]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="At most so many")]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="Leave out so many")]
Search = Annotated[str, Query(max_length=249, description="Part of the name; case does not count")]


class Reading:
    """Everything that can be seen."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._listing = Listing()

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
            ("mutes", documents.Mutes, self.mutes),
            ("dead-letters", documents.DeadLetters, self.dead_letters),
            ("actions", documents.Actions, self.actions),
            ("flow", documents.Flow, self.flow),
        ):
            app.get(f"/api/v1/{path}", response_model=document, responses=REFUSALS, **common)(tell)

    @property
    def _view(self) -> DashboardView:
        return self._source.view

    async def me(self, who: Reader) -> Response:
        """Who asks, and what they may do."""
        return answer(documents.Me(name=who.name, role=who.role, access=who.access))

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
        found = self._listing.page(
            self._view,
            datetime.now(UTC),
            search=search,
            states=state or (),
            sort=sort,
            descending=descending,
            offset=offset,
            limit=limit,
        )
        return answer(found)

    async def model(self, model_name: Name) -> Response:
        """One model: its rules with their windows, its states, alerts that fire, its versions."""
        model = answers.model_in(self._view, model_name)
        now = datetime.now(UTC)
        row = self._listing.row(self._view, model, now)
        return answer(answers.detail(self._view, model, row, now))

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
        return answer(series.points(model_name, metric, size or window, limit))

    async def findings(self, model_name: MaybeName = None, limit: Limit = 50) -> Response:
        """What the monitor found, newest first."""
        view = self._view
        models = view.models.values() if model_name is None else [answers.model_in(view, model_name)]
        return answer(answers.findings(models, limit))

    async def studies(self, model_name: Name) -> Response:
        """A model's retrain requests, each with the trials of its study."""
        return answer(answers.studies(self._view, answers.model_in(self._view, model_name), datetime.now(UTC)))

    async def lineage(self, model_name: Name, version: Annotated[KeyPart, Query()]) -> Response:
        """Where a version comes from: study, request, findings, the fleet's records; and what came of it."""
        return JSONResponse(answers.lineage(self._view, answers.model_in(self._view, model_name), version))

    async def alerts(self, model_name: MaybeName = None, firing: bool = False, limit: Limit = 100) -> Response:
        """Alerts, newest first; with `firing` those alone that have not been resolved."""
        model = None if model_name is None else answers.model_in(self._view, model_name)
        return answer(answers.alerts(self._view, model, firing, limit, datetime.now(UTC)))

    async def mutes(self) -> Response:
        """What nobody is told of for now, and why."""
        return answer(answers.mutes(self._view, datetime.now(UTC)))

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
        return answer(found)

    async def actions(self, model_name: MaybeName = None, limit: Limit = 50) -> Response:
        """What people did through the dashboard or on the command line, newest first."""
        return answer(answers.actions(self._view, model_name, limit))

    async def flow(self) -> Response:
        """Records a second, and how far the stages are behind."""
        return answer(self._source.flow())
