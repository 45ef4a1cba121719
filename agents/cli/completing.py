"""Values that the shell completes with Tab (`visutility --install-completion`). What is slow to import waits for it."""

from __future__ import annotations

from collections.abc import Iterable


def topics(begun: str) -> list[str]:
    """Topics of the registry, without the prefix."""
    from schemas.topics import TOPICS

    return [name for name in TOPICS if name.startswith(begun)]


def stages(begun: str) -> list[str]:
    """Stages that have a state."""
    from agents.settings import STAGES

    return [name for name in STAGES if name.startswith(begun)]


def agents(begun: str) -> list[str]:
    """What a worker can run; after a comma, what is not named yet."""
    from agents.settings import AGENTS

    return _listed(begun, AGENTS)


def detectors(begun: str) -> list[str]:
    """Detectors; after a comma, those that are not named yet."""
    from agents.drift import DETECTORS

    return _listed(begun, DETECTORS)


def _listed(begun: str, known: Iterable[str]) -> list[str]:
    before, comma, last = begun.rpartition(",")
    rest = [name for name in known if name not in before.split(",")]
    return [f"{before}{comma}{name}" for name in rest if name.startswith(last)]
