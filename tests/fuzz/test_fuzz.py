"""Each target for a moment, and proof that the fuzzer sees what breaks."""

from __future__ import annotations

import random

import pytest

from schemas.topics import TOPICS
from tests.fuzz.mutation import Mutator
from tests.fuzz.run import Report, Tally, fuzz, give, targets
from tests.fuzz.seeds import USUAL
from tests.fuzz.target import Target

INPUTS = 3_000


def test_whatever_comes_is_taken_or_properly_refused() -> None:
    report = fuzz(INPUTS, seed=7)
    assert [f"{each.target}: {each.input[:300]}\n{each.trace}" for each in report.findings] == []
    assert report.inputs > INPUTS / 2
    nothing_came_through = [name for name, tally in report.by_target.items() if tally.inputs and not tally.accepted]
    assert len(nothing_came_through) < len(report.by_target) / 3, nothing_came_through


def test_the_same_seed_gives_the_same_inputs() -> None:
    first, again, other = ([Mutator(random.Random(seed), USUAL).json() for _ in range(3)] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_topic_is_fuzzed() -> None:
    names = {target.name for target in targets(1)}
    assert {f"topic {name}" for name in TOPICS} <= names


@pytest.mark.parametrize("breaks", [KeyError, RecursionError, MemoryError, AssertionError])
def test_a_decoder_that_raises_for_a_rare_input_is_found(breaks: type[Exception]) -> None:
    mutator = Mutator(random.Random(3), USUAL)

    def check(value: bytes) -> bool:
        if b"1e309" in value:
            raise breaks("planted")
        return True

    report = Report(3, by_target={"planted": Tally()})
    for _ in range(3_000):
        give(Target("planted", mutator.json, check), report)
    (finding,) = report.findings
    assert "planted" in finding.trace
    assert "1e309" in finding.input
