"""A batch is no longer one turn of the event loop than a transaction can wait."""

from __future__ import annotations

import asyncio

import pytest

import streams.turns
from streams.batch import Batch
from streams.turns import FIRST_RECORDS, LEAST_RECORDS, TURN_SECONDS, Turns
from tests.engine.bench import Bench
from tests.engine.fakes import METRICS, batch

MANY = 5 * LEAST_RECORDS


def lengths(turns: Turns, whole: Batch, cost: float) -> list[int]:
    """Of the turns that a batch takes where a record costs so many seconds."""
    found = []
    for turn in turns.of(whole):
        turns.took(turn, cost * len(turn.records))
        found.append(len(turn.records))
    return found


def test_a_batch_whose_records_cost_little_is_one_turn() -> None:
    turns, whole = Turns(), batch(0, MANY)
    assert [turn for _ in range(2) for turn in turns.of(whole)] == [whole, whole]
    assert lengths(turns, whole, 1e-6) == [MANY]
    assert lengths(turns, whole, 1e-6) == [MANY]


def test_where_records_cost_much_turns_take_as_long_as_they_may_and_no_record_is_left_out() -> None:
    turns, whole = Turns(), batch(0, MANY)
    cost = TURN_SECONDS / (2 * LEAST_RECORDS)
    lengths(turns, whole, cost)
    parts = list(turns.of(whole))
    assert [len(part.records) for part in parts] == [2 * LEAST_RECORDS, 2 * LEAST_RECORDS, LEAST_RECORDS]
    assert [record for part in parts for record in part.records.parsed] == [*whole.records.parsed]


def test_parts_lie_side_by_side_between_the_positions_of_the_whole() -> None:
    whole = batch(0, 7)
    whole = Batch(whole.topic, whole.partition, -5, 20, whole.records)  # markers take up offsets, too
    parts = [whole.part(0, 3), whole.part(3, 6), whole.part(6, 9)]
    assert [(part.begin, part.end) for part in parts] == [(-5, 3), (3, 6), (6, 20)]


def test_turns_become_longer_again_when_records_cost_less() -> None:
    turns, whole = Turns(), batch(0, MANY)
    assert lengths(turns, whole, 1.0) == [MANY]
    assert lengths(turns, whole, 1.0) == [LEAST_RECORDS] * 5
    assert lengths(turns, whole, 1e-6) == [LEAST_RECORDS, MANY - LEAST_RECORDS]


def test_few_records_that_took_long_together_say_nothing_of_many() -> None:
    turns, whole = Turns(), batch(0, MANY)
    turns.took(batch(0, 0), TURN_SECONDS / 100)
    turns.took(batch(0, 1), TURN_SECONDS / 100)
    assert lengths(turns, whole, 1e-6) == [MANY]


@pytest.mark.parametrize(("topic", "partition"), [("p.outcomes", 0), ("p.metrics", 1)])
def test_what_a_partition_costs_says_nothing_of_another(topic: str, partition: int) -> None:
    turns, whole = Turns(), batch(0, MANY)
    lengths(turns, whole, 1.0)
    other = Batch(topic, partition, whole.begin, whole.end, whole.records)
    assert lengths(turns, other, 1.0) == [MANY]


def test_of_a_partition_of_which_nothing_is_known_a_part_comes_first() -> None:
    turns, whole = Turns(), batch(0, 2 * FIRST_RECORDS)
    assert lengths(turns, whole, 1e-6) == [FIRST_RECORDS, FIRST_RECORDS]
    assert lengths(turns, whole, 1e-6) == [2 * FIRST_RECORDS]


async def test_others_have_their_turns_while_a_batch_that_costs_much_is_processed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams.turns, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(streams.turns, "LEAST_RECORDS", 2)
    await bench.assign()
    await bench.engine.process(batch(0, 2))
    seen = []

    async def look() -> None:
        while bench.engine.expected_positions()[METRICS] < 8:
            seen.append(bench.engine.expected_positions()[METRICS])
            await asyncio.sleep(0)

    await asyncio.gather(look(), bench.engine.process(batch(2, 8)))
    assert {2, 4, 6} <= {*seen}
    assert bench.owner.processor.state("a").count == 8
