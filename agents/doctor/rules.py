"""Rules of the settings that do nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from agents.settings import MonitorRule, Settings
from agents.settings.rules import Rule


def shadowed(settings: Settings) -> Iterator[tuple[str, str]]:
    """Rules that are never used, each with the earlier one that takes all its models: ("retrain[1]", "retrain[0]")."""
    for name, rules in _first_wins(settings):
        for number, rule in enumerate(rules):
            for earlier in range(number):
                if _same_subject(rules[earlier], rule) and covers(rules[earlier].models, rule.models):
                    yield f"{name}[{number}]", f"{name}[{earlier}]"
                    break


def unmatched(settings: Settings, models: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Rules that fit none of the models, with their patterns; nothing where no model is known."""
    known = list(models)
    for name, rules in [*_first_wins(settings), ("notify", settings.notify)]:
        for number, rule in enumerate(rules):
            if known and not any(map(rule.matches, known)):
                yield f"{name}[{number}]", rule.models


def untaken(settings: Settings, models: Iterable[str]) -> list[str]:
    """Retrain rules whose requests nothing of these settings takes: of a known model, or of any if none is known."""
    known = list(models)
    found = []
    for number, rule in enumerate(settings.retrain):
        own = [model for model in known if settings.retrain_rule(model) is rule]
        if known and not own:
            continue
        taken = all(settings.tune_rule(model) for model in own) if own else bool(settings.tune)
        if rule.deliver is None and not rule.dry_run and not taken:
            found.append(f"retrain[{number}]")
    return found


def covers(earlier: str, later: str) -> bool:
    """Whether all names that a pattern fits fit an earlier one too; False where that cannot be told for sure."""
    if earlier == later:
        return True
    # A star of the earlier one takes whatever stands in the later one, its wildcards too; "?" and "[" do not.
    return not set("?[") & set(earlier) and fnmatchcase(later, earlier)


def _first_wins(settings: Settings) -> list[tuple[str, Sequence[Rule]]]:
    return [("monitor", settings.monitor), ("retrain", settings.retrain), ("tune", settings.tune)]


def _same_subject(one: Rule, other: Rule) -> bool:
    """Rules of the monitor are looked for by metric, and those of segments by label as well."""
    if isinstance(one, MonitorRule) and isinstance(other, MonitorRule):
        return (one.metric, one.segment_by) == (other.metric, other.segment_by)
    return True
