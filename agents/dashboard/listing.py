"""The list of models: search, filter, sort, page. Pure; keeps the rows of models that have not changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from agents.dashboard.documents import ModelPage, ModelRow
from agents.dashboard.states import STATES, State, state_of
from agents.dashboard.view import DashboardView, ModelView
from schemas.models import CHAMPION
from schemas.status import ModelState, RuleStatus

SortKey = Literal["state", "name", "changed", "mean", "findings"]

_RANKS = {state: rank for rank, state in enumerate(STATES)}

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

_WORST = (ModelState.DRIFT, ModelState.WARNING, ModelState.RECOVERED, ModelState.OK, ModelState.WARMING)

_KEYS: dict[str, Callable[[ModelRow], Any]] = {
    "state": lambda row: _RANKS[row.state],
    "name": lambda row: row.model_name,
    "changed": lambda row: row.changed or _LONG_AGO,
    "mean": lambda row: (row.mean is None, row.mean or 0.0),
    "findings": lambda row: row.findings,
}


class Listing:
    """Answers questions about all models of one view."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[int, ModelRow]] = {}
        self._view: DashboardView | None = None
        self._revision = 0
        self._all: dict[str, ModelRow] = {}
        self._timed: set[str] = set()

    def page(
        self,
        view: DashboardView,
        now: datetime,
        *,
        search: str = "",
        states: Iterable[State] = (),
        sort: SortKey = "state",
        descending: bool = False,
        offset: int = 0,
        limit: int = 50,
    ) -> ModelPage:
        """Models whose name holds `search` (case does not count), in one of `states` (none: in any).

        Equal ones are in the order of their names. `states` of the answer counts those that the search found.
        """
        wanted, kept = search.casefold(), set(states)
        found: Iterable[ModelRow] = self._by_name(view, now)
        if wanted:
            found = [row for row in found if wanted in row.model_name.casefold()]
        chosen = [row for row in found if row.state in kept] if kept else list(found)
        if sort != "name" or descending:
            chosen.sort(key=_KEYS[sort], reverse=descending)
        counts = Counter(row.state for row in found)
        return ModelPage(
            total=len(chosen),
            offset=offset,
            limit=limit,
            states={state: counts[state] for state in STATES},
            models=chosen[offset : offset + limit],
        )

    def _by_name(self, view: DashboardView, now: datetime) -> Collection[ModelRow]:
        """All rows in the order of names. Only those are looked at that changed, or may change as time goes by."""
        newest = view.latest[0][0] if view.latest else view.revision + 1
        changed: set[str] = set()
        for revision, name in reversed(view.latest):
            if revision <= self._revision:
                break
            changed.add(name)
        if self._view is not view or newest > self._revision + 1:
            changed, self._all, self._timed = {*view.models}, {}, set()
        ordered = changed <= self._all.keys()
        for name in changed | self._timed:
            model = view.models[name]
            self._all[name] = self.row(view, model, now)
            if model.requests:
                self._timed.add(name)
        if not ordered:
            self._all = dict(sorted(self._all.items()))
        self._view, self._revision = view, view.revision
        return self._all.values()

    def row(self, view: DashboardView, model: ModelView, now: datetime) -> ModelRow:
        """A model as the list shows it."""
        state = state_of(view, model, now)
        known = self._rows.get(model.name)
        if known is None or known[0] != model.revision or known[1].state != state:
            known = model.revision, _row(view, model, state)
            self._rows[model.name] = known
        return known[1]


def _row(view: DashboardView, model: ModelView, state: State) -> ModelRow:
    status, aliases = model.status, view.registry.aliases(model.name)
    champion = aliases[CHAMPION].version if CHAMPION in aliases else None
    rule = worst_rule(status.rules) if status else None
    window = rule.window if rule else None
    return ModelRow(
        model_name=model.name,
        model_version=status.model_version if status else champion or "",
        state=state,
        changed=status.timestamp if status else None,
        metric=rule.metric if rule else None,
        mean=window.mean if window else None,
        std=window.std if window else None,
        count=window.count if window else None,
        size=window.size if window else None,
        champion=champion,
        findings=len(model.findings),
        alerts=len(model.firing),
    )


def worst_rule(rules: list[RuleStatus]) -> RuleStatus | None:
    """The rule that needs attention most; of several alike the first."""
    return min(rules, key=lambda rule: _WORST.index(rule.state) if rule.state in _WORST else 0, default=None)
