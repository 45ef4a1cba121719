"""Routes for everything that can be done, and what each of them takes."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import FastAPI, HTTPException
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from agents.dashboard.access import Identity
from agents.dashboard.actions import Action, Actions
from agents.dashboard.callers import Operator
from agents.dashboard.refusals import REFUSALS
from agents.dashboard.source import Source
from agents.registry.actions import By
from agents.registry.view import RegistryView
from schemas.audit import ActionTaken
from schemas.fields import KeyPart, ModelName, Text, VersionText


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


class Acting:
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
