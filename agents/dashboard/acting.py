"""Routes for everything that can be done, and what each of them takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import FastAPI, HTTPException
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from agents.dashboard.access import Identity
from agents.dashboard.actions import Action, Actions, Muting
from agents.dashboard.callers import Operator
from agents.dashboard.refusals import REFUSALS
from agents.dashboard.source import Source
from agents.dashboard.view import open_alert
from agents.registry.actions import ActionRefused, By
from agents.registry.view import RegistryView
from schemas.audit import ActionTaken
from schemas.fields import MAX_TEXT, Identifier, KeyPart, ModelName, OptionalIdentifier, Text, VersionText


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


class MuteWish(BaseModel):
    """Tell nobody of certain alerts for a while.

    `model_name`, `kind` and `rule` (of a monitor or retrain rule) are patterns; `owner` answers for it, by default who
    asks.
    """

    model_config = ConfigDict(extra="forbid")

    model_name: ModelName
    kind: Identifier = "*"
    rule: Identifier = "*"
    minutes: Annotated[float, Field(ge=1, le=525_600, allow_inf_nan=False)]
    owner: OptionalIdentifier = ""
    note: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class UnmuteWish(BaseModel):
    """End a mute before its time."""

    model_config = ConfigDict(extra="forbid")

    mute_id: Identifier
    note: Text = ""


class AcknowledgeWish(Wish):
    """Say of an open alert that somebody knows of it."""

    kind: Identifier


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
            ("/mute", self.mute),
            ("/unmute", self.unmute),
            ("/acknowledge", self.acknowledge),
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

    async def mute(self, wish: MuteWish, who: Operator) -> Response:
        """Tell nobody of certain alerts for a while; they are recorded and shown as ever."""
        duration = timedelta(minutes=wish.minutes)
        muting = Muting(wish.model_name, wish.kind, wish.rule, duration, wish.owner or who.name)
        return await self._do(self._make.mute(self._source.view.handling, muting, _by(who, wish.note), who))

    async def unmute(self, wish: UnmuteWish, who: Operator) -> Response:
        """End a mute now: what is still open is told."""
        return await self._do(self._make.unmute(self._source.view.handling, wish.mute_id, _by(who, wish.note), who))

    async def acknowledge(self, wish: AcknowledgeWish, who: Operator) -> Response:
        """Say of an open alert that somebody knows of it: it is not told again until it has resolved."""
        found = open_alert(self._source.view, wish.model_name, wish.kind)
        if found is None:
            raise ActionRefused(f"no alert {wish.kind!r} of {wish.model_name!r} is open")
        return await self._do(self._make.acknowledge(found, wish.kind, _by(who, wish.note), who))

    async def _do(self, action: Action) -> Response:
        await self._source.publish(action.all_records(self._prefix))
        return Response(action.taken.to_json(), media_type="application/json")


def _by(who: Identity, note: str) -> By:
    return By(who.name, datetime.now(UTC), note)
