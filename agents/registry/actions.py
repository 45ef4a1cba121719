"""What people do to the registry, as the records to publish. Each carries who did it, when, and why.

Every function looks at a view and raises `NotFound`, or `ActionRefused` where the view does not allow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agents.registry.view import AliasNotFound, RegistryView
from schemas.ids import action_id
from schemas.message import OutputMessage
from schemas.models import (
    CHAMPION,
    MAX_PREVIOUS,
    RETIRED,
    ModelAlias,
    ModelVersion,
    Promotion,
    alias_key,
    version_key,
)


class ActionRefused(ValueError):
    """The registry is not in a state in which this can be done. The text is one line."""


@dataclass(frozen=True, slots=True)
class By:
    """Who does something, when, and why."""

    actor: str
    time: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A record for `models`: its key, the model that it is placed by, and its message; None is a tombstone."""

    key: str
    model_name: str
    message: OutputMessage | None


def register(view: RegistryView, name: str, version: str, artifact: tuple[str, str], by: By) -> Change:
    """Register an artifact (URL and SHA-256) made elsewhere. Raises `ActionRefused` if the version is another one."""
    existing = {each.version: each for each in view.versions(name)} if name in view.models() else {}
    url, sha256 = artifact
    if version in existing and existing[version].sha256 != sha256:
        raise ActionRefused(
            f"{name!r} has a version {version!r} already, with another artifact: a version never changes"
        )
    message = ModelVersion(
        event_id=action_id("register", name, version, by.actor, by.time.isoformat()),
        model_name=name,
        model_version=version,
        timestamp=by.time,
        version=version,
        artifact=url,
        sha256=sha256,
        promotion=Promotion(promoted=False, reason=_reason("registered by hand", by)),
        actor=by.actor,
    )
    return Change(version_key(name, version), name, message)


def promote(view: RegistryView, name: str, version: str, by: By, alias: str = CHAMPION) -> list[Change]:
    """Point an alias at a version, whatever a comparison said. A retired model is in service again."""
    if alias == RETIRED:
        raise ActionRefused(f"the alias {RETIRED!r} is set by retirement alone")
    view.version(name, version)
    pointed = _pointed(view, name, alias)
    if pointed[:1] == [version]:
        raise ActionRefused(f"{alias} of {name!r} is version {version!r} already")
    change = _alias(name, alias, version, pointed, _reason("promoted by hand", by), by)
    return [change, *_revived(view, name)] if alias == CHAMPION else [change]


def rollback(view: RegistryView, name: str, by: By, alias: str = CHAMPION) -> list[Change]:
    """Point an alias at the version it pointed at before; done again, at the one before that."""
    current = view.alias(name, alias)
    known = {each.version for each in view.versions(name)}
    former = [each for each in current.previous if each in known]
    if not former:
        raise ActionRefused(
            f"{alias} of {name!r} has been version {current.version!r} from the first: nothing to go back to"
        )
    reason = _reason(f"rolled back from {current.version}", by)
    return [_alias(name, alias, former[0], former[1:], reason, by)]


def retire(view: RegistryView, name: str, by: By) -> list[Change]:
    """Take every alias from a model; `retired` keeps the last version in service. Its versions stay on record.

    A model that has no version needs nothing here, and gets an empty list.
    """
    aliases = view.aliases(name)
    if RETIRED in aliases or name not in view.models():
        return []
    last = aliases[CHAMPION].version if CHAMPION in aliases else view.latest(name).version
    previous = _pointed(view, name, CHAMPION)
    gone = [Change(alias_key(name, alias), name, None) for alias in aliases]
    return [_alias(name, RETIRED, last, previous, _reason("retired", by), by), *gone]


def _revived(view: RegistryView, name: str) -> list[Change]:
    return [Change(alias_key(name, RETIRED), name, None)] if view.is_retired(name) else []


def _pointed(view: RegistryView, name: str, alias: str) -> list[str]:
    """What an alias points at and pointed at before, the latest first; of a retired model, its last champions."""
    for each in (alias, RETIRED) if alias == CHAMPION else (alias,):
        try:
            found = view.alias(name, each)
        except AliasNotFound:
            continue
        return [found.version, *found.previous] if each == alias else list(found.previous)
    return []


def _alias(name: str, alias: str, version: str, previous: Sequence[str], reason: str, by: By) -> Change:
    message = ModelAlias(
        event_id=action_id(alias, name, version, by.actor, by.time.isoformat()),
        model_name=name,
        model_version=version,
        timestamp=by.time,
        alias=alias,
        version=version,
        previous=[each for each in previous if each != version][:MAX_PREVIOUS],
        actor=by.actor,
        reason=reason,
    )
    return Change(alias_key(name, alias), name, message)


def _reason(what: str, by: By) -> str:
    return f"{what} by {by.actor}" + (f": {by.note}" if by.note else "")
