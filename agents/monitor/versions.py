"""The versions of a model that are kept: those seen last, and each for a time after another took its place."""

from __future__ import annotations

from typing import Final

from agents.monitor.expiry import version_due
from agents.monitor.findings import Findings
from agents.monitor.state import MAX_VERSIONS, Version
from agents.monitor.step import Step
from agents.monitor.telling import Telling


class Versions:
    """Begins and drops versions in one step.

    `ever` has every version of the step in order of its beginning, those dropped on the way too. `begun` has, by
    identity, for those that began in it their position, and the version that was seen last before.
    """

    def __init__(self, step: Step, findings: Findings) -> None:
        self._step, self._findings = step, findings
        self.ever: Final = list(step.state.versions)
        self.begun: Final[dict[int, tuple[int, Version | None]]] = {}

    def seen(self, index: int, name: str) -> Version:
        """The version of this name, which is now the one seen last; a new one if it is unknown."""
        versions = self._step.state.versions
        if versions and versions[-1].name == name:
            return versions[-1]
        if versions:
            versions[-1].seen = self._step.state.event_time
        for place, version in enumerate(versions):
            if version.name == name:
                versions.append(versions.pop(place))
                return version
        return self._begin(index, name)

    def _begin(self, index: int, name: str) -> Version:
        version, versions = Version(name), self._step.state.versions
        self.begun[id(version)] = self._findings.position, versions[-1] if versions else None
        self.ever.append(version)
        self._findings.note(index, Telling.changed, version)
        versions.append(version)
        if len(versions) > MAX_VERSIONS:
            self._drop_oldest()
        return version

    def evict(self, index: int, now: int) -> None:
        """Forget those that have not been seen for too long at the model's time `now`, in microseconds."""
        while (due := version_due(self._step.state, self._step.plans)) is not None and now >= due:
            self._drop_oldest()
            self._step.counts.move(index, "evicted_versions", 1)

    def drop_all(self) -> None:
        """Forget all of them."""
        while self._step.state.versions:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Forget the version seen longest ago; series that begin from now on are numbered beyond its own."""
        step = self._step
        version = step.state.versions.pop(0)
        step.dropped_versions.append(version)
        kept = {segment for each in step.state.versions for segment in each.segments}
        for name in step.state.timed.keys() - kept:
            del step.state.timed[name]
        for segment, metric, series in step.series_of(version):
            pending = step.pending_of(version, metric, segment)
            last = series.base + series.window.pushed + (len(pending) if pending else 0)
            step.state.retired = max(step.state.retired, last)
            step.dropped_series.append(series)
