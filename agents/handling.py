"""What people said of alerts: which are muted, and which somebody knows of. Pure: a fold of the table `alert-handling`.

Telling people and the dashboard use the same, so that what is shown as muted is what nobody is told of.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase

from schemas.handling import Acknowledgement, Mute, acknowledgement_key
from schemas.message import Message


class Handling:
    """Mutes and acknowledgements by their keys."""

    def __init__(self) -> None:
        self._mutes: dict[str, Mute] = {}
        self._acknowledged: dict[str, Acknowledgement] = {}

    def apply(self, key: str, message: Message | None) -> bool:
        """Take one record of the topic, None being a tombstone; False if it changed nothing."""
        match message:
            case Mute():
                changed = self._mutes.get(key) != message
                self._mutes[key] = message
            case Acknowledgement():
                changed = self._acknowledged.get(key) != message
                self._acknowledged[key] = message
            case _:
                changed = key in self._mutes or key in self._acknowledged
                self._mutes.pop(key, None)
                self._acknowledged.pop(key, None)
        return changed

    def mute(self, mute_id: str, now: datetime) -> Mute | None:
        """The mute of this id, if it has not ended."""
        found = self._mutes.get(mute_id)
        return found if found is not None and now < found.until else None

    def mutes(self, now: datetime) -> list[Mute]:
        """The mutes that have not ended, those that end first first."""
        return sorted((each for each in self._mutes.values() if now < each.until), key=lambda each: each.until)

    def ended(self, now: datetime) -> Iterator[str]:
        """The keys of what has ended by itself and can be taken off the topic."""
        for held in (self._mutes, self._acknowledged):
            yield from (key for key, each in held.items() if each.until <= now)

    def mute_of(self, model: str, kind: str, rule: str, now: datetime) -> Mute | None:
        """The mute that keeps an alert (`rule` is "" where none led to it) from being told at `now`.

        Of several that which ends last.
        """
        found = [each for each in self._mutes.values() if now < each.until and concerns(each, model, kind, rule)]
        return max(found, key=lambda each: each.until, default=None)

    def acknowledgement_of(self, model: str, kind: str, now: datetime) -> Acknowledgement | None:
        """Who knows of the open alert of this kind, if somebody does."""
        found = self._acknowledged.get(acknowledgement_key(model, kind))
        return found if found is not None and now < found.until else None

    def __len__(self) -> int:
        return len(self._mutes) + len(self._acknowledged)


def concerns(mute: Mute, model: str, kind: str, rule: str) -> bool:
    """Whether a mute is for an alert. A name that holds a pattern's characters is its own pattern, too."""
    wanted = ((mute.model_name, model), (mute.kind, kind), (mute.rule, rule))
    return all(pattern == "*" or pattern == found or fnmatchcase(found, pattern) for pattern, found in wanted)
