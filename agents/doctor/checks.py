"""The checks: each takes the facts, and returns what is wrong with how to mend it, or nothing. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from agents.doctor.facts import Facts
from agents.doctor.rules import shadowed, unmatched, untaken
from agents.settings import Settings
from streams.grants import acl_lines
from streams.partitioner import partition_of

#: Nothing on `metrics` for so long is a mistake; so much of a fleet's clock ahead, and so old, is one, too.
QUIET, AHEAD, OLD = timedelta(minutes=15), timedelta(minutes=5), timedelta(days=1)

#: A share of misplaced records, and of events at the wrong time, above which it is told.
SHARE: Final = 0.05

#: The least free room on the disk of the data folder: a share of it, and bytes.
FREE_SHARE, FREE_BYTES = 0.1, 1 << 30

#: Records that a stage may be behind, however many more there are after a while.
LAG: Final = 1_000

State = Literal["ok", "hint", "problem", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. A `hint` may be as it should; `unknown` could not be looked at. One line each."""

    check: str
    state: State
    found: str = ""
    remedy: str = ""


Wrong = Iterator[tuple[State, str, str]]
Check = Callable[[Facts], Wrong]


def _broker(facts: Facts) -> Wrong:
    if facts.unreachable:
        yield (
            "problem",
            facts.unreachable,
            "set bootstrap_servers (VISUTILITY_BOOTSTRAP_SERVERS), and security_protocol for TLS",
        )


def _topics(facts: Facts) -> Wrong:
    if facts.topics:
        first, more = facts.topics[0], len(facts.topics) - 1
        found = f"{first.partition('; ')[0]}" + (f" (and {more} more amiss)" if more else "")
        missing = all("does not exist" in each for each in facts.topics)
        yield "problem", found, "visutility topics create" if missing else "visutility topics check says how for each"


def _rights(facts: Facts) -> Wrong:
    if facts.denied:
        principal, servers = facts.settings.security.principal, facts.settings.bootstrap_servers or "HOST:PORT"
        more = f" and {len(facts.denied) - 1} more" if len(facts.denied) > 1 else ""
        line = next(acl_lines(facts.denied, principal, servers))
        yield (
            "problem",
            f"Kafka denies {principal} {facts.denied[0]}{more}",
            f"{line}; visutility topics acls prints all",
        )


def _transactions(facts: Facts) -> Wrong:
    if facts.transactions:
        yield "problem", facts.transactions, 'mend the broker\'s transactions, or set delivery = "at_least_once"'


def _traffic(facts: Facts) -> Wrong:
    name = f"{facts.settings.topic_prefix}metrics"
    remedy = f"let the fleets write to {name} of these brokers; topic_prefix must be the fleets'"
    if not facts.samples:
        yield "problem", f"no record on {name}", remedy
        return
    quiet = facts.now - max(each.written for each in facts.samples)
    if quiet > QUIET:
        yield "problem", f"no record on {name} for {_lasting(quiet)}", remedy


def _placement(facts: Facts) -> Wrong:
    placed = [each for each in facts.samples if each.model is not None]
    count = facts.settings.partitions
    wrong = [each for each in placed if each.model and partition_of(each.model, count) != each.partition]
    if placed and len(wrong) > SHARE * len(placed):
        bare = sum(not each.keyed for each in wrong)
        found = f"{len(wrong) / len(placed):.0%} of the records are in the wrong partition ({bare} of them have no key)"
        yield "problem", f"{found}: each is sent on once", "key by model name; in librdkafka partitioner=murmur2_random"


def _clocks(facts: Facts) -> Wrong:
    timed = [(each.time, each.written) for each in facts.samples if each.time is not None]
    ahead = sum(time > facts.now + AHEAD for time, _ in timed)
    old = sum(time < written - OLD for time, written in timed)
    if ahead > SHARE * len(timed):
        found = f"{ahead / len(timed):.0%} of the events are more than {_lasting(AHEAD)} ahead of this machine's clock"
        yield "problem", found, "set the fleets' clocks (NTP); send UTC, or local time with its offset"
    if old > SHARE * len(timed):
        found = f"{old / len(timed):.0%} of the events are more than {_lasting(OLD)} older than their records"
        yield "problem", found, "send the time of the event in UTC; a replay of the past takes --shift-to now"


def _dead_letters(facts: Facts) -> Wrong:
    if facts.letters:
        (reason, count), *_ = Counter(facts.letters).most_common(1)
        found = f"{len(facts.letters)} dead letters in the last hour; {count} of them: {_short(reason)}"
        yield "problem", found, "visutility dlq list; mend what writes them, then visutility dlq retry"


def _lag(facts: Facts) -> Wrong:
    if facts.samples and "monitor" not in facts.lags:
        yield "problem", "no worker has read metrics yet", "visutility worker, with the same settings"
    unread = [each.topic for each in facts.inputs if each.read]
    if unread and "inputs" not in facts.lags:
        yield (
            "problem",
            f"no worker has read {unread[0]} yet",
            "visutility worker, with the monitor and these [[inputs]]",
        )
    for stage, (before, after) in facts.lags.items():
        if after > max(before, LAG):
            found = f"{stage} is {after} records behind, {after - before} more than seconds before"
            yield "problem", found, "start workers: one at least, and up to one a partition"


def _inputs(facts: Facts) -> Wrong:
    for number, each in enumerate(facts.inputs):
        place = f"inputs[{number}]"
        if each.missing:
            yield "problem", f"{place}: there is no topic {each.topic}", f"mend {place}.topic, which is the full name"
        elif each.problem:
            found = f"{place}: {each.topic} cannot be read: {_short(each.problem)}"
            yield "problem", found, "visutility topics acls prints the rights that a worker needs"
        elif not each.read:
            yield "hint", f"{place}: no record on {each.topic}", f"let {each.layout} log responses there"
        elif len(each.wrong) == each.read:
            found = f"{place}: none of the newest {each.read} records of {each.topic} is {each.layout}'s"
            yield "problem", f"{found}: {_short(each.wrong[-1])}", f"mend {place}.layout, or what writes there"
        elif not each.predictions:
            found = f"{place}: the newest {each.read} records of {each.topic} hold no predictions"
            yield "hint", found, f"let {each.layout} log responses, not requests alone"


def _shadowed(facts: Facts) -> Wrong:
    for place, by in shadowed(facts.settings):
        yield "problem", f"{place} is never used: {by} comes first and fits all its models", f"put {place} before {by}"


def _unmatched(facts: Facts) -> Wrong:
    for place, pattern in unmatched(facts.settings, facts.models):
        yield (
            "hint",
            f"{place} fits no model seen so far (models = {pattern!r})",
            "mend the pattern: upper and lower case differ",
        )


def _untaken(facts: Facts) -> Wrong:
    if places := untaken(facts.settings, facts.models):
        found = f"requests of {', '.join(places)} go to the topic alone: no [[tune]] fits, nothing is delivered"
        yield "hint", found, "add [[tune]] or deliver, unless something else reads the topic; or dry_run = true"


def _data_folder(facts: Facts) -> Wrong:
    folder, where = facts.folder, facts.settings.data_dir
    if folder.problem:
        yield "problem", f"{where}: {folder.problem}", "change its rights, or set data_dir (VISUTILITY_DATA_DIR)"
    elif folder.free < max(FREE_BYTES, FREE_SHARE * folder.size):
        found = f"{where}: {folder.free / 2**30:.1f} GiB of {folder.size / 2**30:.1f} are free"
        yield "problem", found, "make room, or set data_dir to another disk: a full one stops the worker"


def _extras(facts: Facts) -> Wrong:
    for where, module, extra in needed(facts.settings):
        if module in facts.absent:
            yield "problem", f"{where} needs {module}", f"pip install 'visutility-streams[{extra}]'"


def _environment(facts: Facts) -> Wrong:
    for number, rule in enumerate(facts.settings.notify):
        if rule.url_variable in facts.unset and not rule.dry_run:
            found = f"notify[{number}]: the environment variable {rule.url_variable} is not set here"
            yield "problem", found, f"set {rule.url_variable} where the worker starts"


#: By name; those that need the broker first.
NEED_BROKER: Final[dict[str, Check]] = {
    "topics": _topics,
    "rights": _rights,
    "transactions": _transactions,
    "traffic": _traffic,
    "placement": _placement,
    "clocks": _clocks,
    "dead letters": _dead_letters,
    "inputs": _inputs,
    "lag": _lag,
}
NEED_NONE: Final[dict[str, Check]] = {
    "broker": _broker,
    "rules never used": _shadowed,
    "rules that fit nothing": _unmatched,
    "requests nobody takes": _untaken,
    "data folder": _data_folder,
    "extras": _extras,
    "environment": _environment,
}


def examine(facts: Facts) -> list[Finding]:
    """What each check found, in a fixed order: one `ok` for a check that found nothing."""
    findings: list[Finding] = []
    for name in ("broker", *NEED_BROKER, *(each for each in NEED_NONE if each != "broker")):
        if name in NEED_BROKER and facts.unreachable:
            findings.append(Finding(name, "unknown", "needs the broker"))
            continue
        check = NEED_BROKER.get(name) or NEED_NONE[name]
        found = [Finding(name, *wrong) for wrong in check(facts)]
        findings += found or [Finding(name, "ok")]
    return findings


def needed(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """What the settings ask for beyond the package itself: where, the module, the extra that brings it."""
    for number, tuned in enumerate(settings.tune):
        if tuned.sampler in _LEARNING:
            yield f"tune[{number}].sampler {tuned.sampler}", "optuna", "tuning"
        if tuned.objective in _SKLEARN:
            yield f"tune[{number}].objective {tuned.objective}", "sklearn", "demo"
    if settings.artifacts is not None and "://" in settings.artifacts:
        yield "artifacts", "fsspec", "remote"
    if settings.dashboard.tokens or settings.dashboard.proxies:
        yield "dashboard", "fastapi", "dashboard"


_LEARNING: Final = ("tpe", "cmaes", "qmc", "nsgaii")
_SKLEARN: Final = ("cross_validation", "agents.demo.digits:objective")

MODULES: Final = ("fastapi", "fsspec", "optuna", "sklearn")
"""Every module that `needed` may name."""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:159]}…"


def _lasting(duration: timedelta) -> str:
    minutes = duration // timedelta(minutes=1)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
