"""Runs the targets, each as often as its share asks, and gathers what broke and what it took."""

from __future__ import annotations

import faulthandler
import random
import resource
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.fuzz.encoded_targets import encoded_targets
from tests.fuzz.message_targets import message_targets
from tests.fuzz.source_targets import source_targets
from tests.fuzz.state_targets import state_targets
from tests.fuzz.target import Target

#: An input that takes longer ends the run with the place where it hangs.
HANGS_AFTER: Final = 30

#: Different findings of a target that are kept: by the last line of the traceback and the place.
_MOST_FINDINGS: Final = 5
_TOLD_EVERY: Final = 500_000


@dataclass(frozen=True)
class Finding:
    """What one input broke."""

    target: str
    input: str
    trace: str


@dataclass
class Tally:
    """What came of one target's inputs."""

    inputs: int = 0
    accepted: int = 0
    slowest: float = 0.0


@dataclass
class Report:
    """What a run found, by target, and what it took."""

    seed: int
    seconds: float = 0.0
    peak_mb: float = 0.0
    by_target: dict[str, Tally] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        """How many inputs there were."""
        return sum(tally.inputs for tally in self.by_target.values())

    def lines(self) -> list[str]:
        """The figures, for people."""
        rows = [
            f"  {name:<24} {tally.inputs:>10,} inputs  {100 * tally.accepted / tally.inputs:5.1f} % accepted"
            f"  slowest {1_000 * tally.slowest:8.1f} ms"
            for name, tally in self.by_target.items()
        ]
        rate = self.inputs / self.seconds
        total = f"seed {self.seed}: {self.inputs:,} inputs in {self.seconds:,.0f} s ({rate:,.0f} inputs/s)"
        return [*rows, f"{total}, {len(self.findings)} crashes, peak memory {self.peak_mb:,.0f} MiB"]


def targets(seed: int, only: str = "") -> list[Target]:
    """All targets whose names begin with `only`, with choices of one seed."""
    draw = random.Random(seed)
    every = (message_targets, state_targets, source_targets, encoded_targets)
    made = (each for targets_of in every for each in targets_of(draw))
    return [target for target in made if target.name.startswith(only)]


def fuzz(
    inputs: int,
    seed: int,
    only: str = "",
    memory_mb: int | None = None,
    tell: Callable[[str], None] = print,
    keep: Callable[[Finding], None] | None = None,
) -> Report:
    """Give about so many inputs to the targets, in turn; each finding goes to `keep` as soon as it is made."""
    chosen = targets(seed, only)
    if not chosen:
        raise SystemExit(f"no target's name begins with {only!r}: {', '.join(each.name for each in targets(seed))}")
    report = Report(seed, by_target={target.name: Tally() for target in chosen})
    if memory_mb is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb * 2**20, resource.RLIM_INFINITY))
    began, rounds = time.perf_counter(), max(inputs // sum(target.share for target in chosen), 1)
    told = 0
    for _ in range(rounds):
        faulthandler.dump_traceback_later(HANGS_AFTER, exit=True)
        for target in chosen:
            for _ in range(target.share):
                finding = give(target, report)
                if finding is not None and keep is not None:
                    keep(finding)
        if report.inputs - told >= _TOLD_EVERY:
            told = report.inputs
            tell(f"{told:,} inputs, {len(report.findings)} crashes, {time.perf_counter() - began:,.0f} s")
    faulthandler.cancel_dump_traceback_later()
    report.seconds = time.perf_counter() - began
    report.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return report


def give(target: Target, report: Report) -> Finding | None:
    """One input; what it breaks is noted, and returned if it is new."""
    tally = report.by_target[target.name]
    given = target.draw()
    began, finding = time.perf_counter(), None
    try:
        tally.accepted += target.check(given)
    except Exception:  # noqa: BLE001 - that is what is looked for
        finding = _note(target.name, given, report)
    tally.inputs += 1
    tally.slowest = max(tally.slowest, time.perf_counter() - began)
    return finding


def _note(name: str, given: object, report: Report) -> Finding | None:
    trace = traceback.format_exc()
    same = [each for each in report.findings if each.target == name]
    places = {_place(each.trace) for each in same}
    if _place(trace) in places or len(same) >= _MOST_FINDINGS:
        return None
    report.findings.append(Finding(name, repr(given), trace))
    return report.findings[-1]


def _place(trace: str) -> list[str] | str:
    lines = [line for line in trace.splitlines() if line.startswith("  File")]
    return lines[-1] if lines else trace
