from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Alert
from schemas.dead_letter import DeadLetter
from streams.partitioner import partition_of
from streams.parts import MemoryTable
from streams.processor import Processor, TooManyFailures
from streams.records import Forward, Output, StoredRecord
from streams.stage import Input, Tick
from tests.engine.counting import Sum, SummingStage, score, score_bytes


def processor(table: MemoryTable | None = None, partition: int = 0, partitions: int = 1) -> Processor[Sum]:
    return Processor(SummingStage(), partition, partitions, MemoryTable() if table is None else table)


def alerts(outputs: list[Output | Forward]) -> list[str]:
    return [each.message.message for each in outputs if isinstance(each, Output) and isinstance(each.message, Alert)]


def letters(outputs: list[Output | Forward]) -> list[DeadLetter]:
    return [each.message for each in outputs if isinstance(each, Output) and isinstance(each.message, DeadLetter)]


def test_records_are_applied_in_order_within_each_key() -> None:
    outputs = processor().process([score("a", 1, 0), score("b", 10, 1), score("a", 2, 2), score("a", 3, 3)])
    assert alerts(outputs) == ["6"]


def test_an_undecodable_record_becomes_a_dead_letter_that_tells_where_it_was() -> None:
    bad = StoredRecord("metrics", 0, 7, 1_700_000_000_000, b"a", b"{", ())
    (letter,) = letters(processor().process([score("a", 1, 6), bad, score("a", 1, 8)]))
    assert (letter.topic, letter.partition, letter.offset, letter.stage) == ("metrics", 0, 7, "summing")
    assert letter.reason.startswith("not a score")


def test_a_record_that_makes_the_step_raise_is_put_aside_and_the_others_count_once() -> None:
    table = MemoryTable()
    records = [score("a", 1, 0), score("a", 2, 1), score("a", 5000, 2), score("a", 3, 3)]
    outputs = processor(table).process(records)
    assert alerts(outputs) == ["6"]
    (letter,) = letters(outputs)
    assert letter.offset == 2
    assert "ArithmeticError: that is too much" in letter.reason
    assert processor(table).state("a") == Sum("a", 3, 6.0)


def test_step_after_step_that_raises_stops_rather_than_drains_the_topic() -> None:
    strict = Processor(SummingStage(), 0, 1, MemoryTable(), max_failures=3)
    poison = [score("a", 5000, offset) for offset in range(3)]
    assert len(letters(strict.process(poison))) == 3
    strict.process([score("b", 1, 3)])  # one that succeeds: the count begins anew
    assert len(letters(strict.process(poison))) == 3
    with pytest.raises(TooManyFailures, match=r"4 steps in a row .* that is too much"):
        strict.process([score("a", 5000, 4)])


def test_a_record_in_the_wrong_partition_is_forwarded_with_its_origin_and_counted_at_home() -> None:
    home = partition_of("a", 4)
    wrong = (home + 1) % 4
    outputs = processor(partition=wrong, partitions=4).process([score("a", 1, 5, wrong)])
    (forward,) = outputs
    assert isinstance(forward, Forward)
    assert (forward.topic, forward.partition, forward.key) == ("summing-internal", home, b"a")

    bad_twin = StoredRecord("summing-internal", home, 99, forward.timestamp, b"a", b"{", forward.headers)
    good = StoredRecord("summing-internal", home, 100, forward.timestamp, b"a", forward.value, forward.headers)
    at_home = processor(partition=home, partitions=4)
    (letter,) = letters(at_home.process([bad_twin, good]))
    assert (letter.topic, letter.partition, letter.offset) == ("metrics", wrong, 5)
    assert at_home.state("a").count == 1


def test_a_forwarded_record_in_the_wrong_partition_does_not_travel_for_ever() -> None:
    wrong = (partition_of("a", 4) + 1) % 4
    headers = (("origin_topic", b"metrics"), ("origin_partition", b"0"), ("origin_offset", b"3"))
    twice = StoredRecord("summing-internal", wrong, 5, 1_700_000_000_000, b"a", score_bytes("a", 1), headers)
    (letter,) = letters(processor(partition=wrong, partitions=4).process([twice]))
    assert "belongs to" in letter.reason


def origin(topic: bytes, partition: bytes, offset: bytes) -> tuple[tuple[str, bytes], ...]:
    return ("origin_topic", topic), ("origin_partition", partition), ("origin_offset", offset)


@pytest.mark.parametrize(
    "headers",
    [
        (("origin_topic", b"x"),),
        (("origin_topic", b"x"), ("origin_partition", b"?")),
        origin(b"", b"0", b"0"),
        origin(b"a b\n", b"0", b"0"),
        origin(b"x" * 2_000, b"0", b"0"),
        origin(b"x", b"-1", b"0"),
        origin(b"x", b"0", b"9223372036854775808"),
        origin(b"x", b"0", b"1_0"),
    ],
    ids=range(8),
)
def test_broken_origin_headers_make_a_dead_letter(headers: tuple[tuple[str, bytes], ...]) -> None:
    broken = StoredRecord("summing-internal", 0, 5, 1_700_000_000_000, b"a", score_bytes("a", 1), headers)
    (letter,) = letters(processor().process([broken]))
    assert "origin_partition" in letter.reason


def test_a_fleets_own_headers_do_not_tell_where_a_record_was() -> None:
    one = processor()
    assert one.process([score("a", 1, 5, headers=(("origin_topic", b"x"),))]) == []
    assert one.state("a").count == 1


def test_a_key_is_woken_once_when_its_deadline_has_come() -> None:
    waiting = processor()
    assert not waiting.waiting
    waiting.process([score("a", -500, 0)])
    assert waiting.waiting
    assert waiting.tick(499) == []
    assert len(waiting.tick(1)) == 1
    assert waiting.tick(10_000) == []
    assert not waiting.waiting


def test_a_new_record_puts_the_deadline_off() -> None:
    waiting = processor()
    waiting.process([score("a", -500, 0)])
    waiting.tick(400)
    waiting.process([score("a", -500, 1)])
    assert waiting.tick(400) == []
    assert len(waiting.tick(100)) == 1


def test_clock_and_deadlines_survive_in_the_table() -> None:
    table = MemoryTable()
    before = processor(table)
    before.process([score("a", -500, 0)])
    before.tick(300)
    after = processor(table)
    assert after.waiting
    assert len(after.tick(200)) == 1


class BrokenClock(SummingStage):
    """Cannot be woken where the model's name says so."""

    def step(self, state: Sum, inputs: Sequence[Input]) -> tuple[Sum, list[Output]]:
        if state.key == "broken" and isinstance(inputs[0], Tick):
            state.count = 1_000
            raise ZeroDivisionError("no time to divide")
        return super().step(state, inputs)


def alerts_in(outputs: list[Output | Forward]) -> list[Alert]:
    return [each.message for each in outputs if isinstance(each, Output) and isinstance(each.message, Alert)]


def test_a_key_that_cannot_be_woken_is_told_of_and_holds_up_neither_time_nor_the_others() -> None:
    table = MemoryTable()
    now = datetime(2025, 6, 1, tzinfo=UTC)
    one = Processor(BrokenClock(), 0, 1, table)
    one.process([score("broken", -500, 0), score("fine", -500, 1)])
    first, second = sorted(alerts_in(one.tick(600, now)), key=lambda alert: alert.model_name)
    assert (first.model_name, first.kind, first.severity, first.timestamp) == ("broken", "tick_failed", "error", now)
    assert first.message == "summing failed when time passed: ZeroDivisionError: no time to divide"
    assert (second.model_name, second.kind) == ("fine", "woken")
    assert one.state("broken").count == 1  # as before
    assert one.tick(600, now) == []
    assert not one.waiting
    one.process([score("broken", -500, 2)])  # it waits for another deadline
    assert len({first.event_id, *(alert.event_id for alert in alerts_in(one.tick(600, now)))}) == 2


def test_a_key_that_could_not_be_woken_is_tried_again_when_the_partition_is_opened_again() -> None:
    table = MemoryTable()
    broken = Processor(BrokenClock(), 0, 1, table)
    broken.process([score("broken", -500, 0)])
    broken.tick(600)
    assert [alert.kind for alert in alerts_in(Processor(SummingStage(), 0, 1, table).tick(1))] == ["woken"]


def test_a_deadline_that_was_given_up_is_not_set_again_by_a_step_that_leaves_it() -> None:
    class Stubborn(BrokenClock):
        def deadline(self, state: Sum) -> int | None:
            return 500

    one = Processor(Stubborn(), 0, 1, MemoryTable())
    one.process([score("broken", 1, 0)])
    assert len(one.tick(600)) == 1
    one.process([score("broken", 1, 1)])
    assert one.tick(600) == []


def test_too_many_keys_in_a_row_that_cannot_be_woken_are_a_fault_of_the_stage() -> None:
    class NeverWoken(SummingStage):
        def step(self, state: Sum, inputs: Sequence[Input]) -> tuple[Sum, list[Output]]:
            if isinstance(inputs[0], Tick):
                raise ZeroDivisionError("no time to divide")
            return super().step(state, inputs)

    one = Processor(NeverWoken(), 0, 1, MemoryTable(), max_failures=2)
    one.process([score(f"m{number}", -500, number) for number in range(3)])
    with pytest.raises(TooManyFailures, match="3 steps in a row failed"):
        one.tick(600)


def test_touched_keys_are_told_once() -> None:
    one = processor()
    one.process([score("a", 1, 0), score("b", 1, 1)])
    assert one.take_touched() == [b"a", b"b"]
    assert one.take_touched() == []


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([1, 2, 3, -7, 5000])), max_size=40),
    st.sets(st.integers(0, 40)),
)
def test_any_split_into_batches_gives_the_same_state_and_the_same_outputs_per_key(
    values: list[tuple[str, int]], cuts: set[int]
) -> None:
    records = [score(model, value, offset) for offset, (model, value) in enumerate(values)]
    whole, split = MemoryTable(), MemoryTable()
    expected = processor(whole).process(records)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(records)), len(records)]
    pieces = processor(split)
    found = [out for begin, end in pairwise(bounds) for out in pieces.process(records[begin:end])]
    assert whole == split

    def by_key(outputs: list[Output | Forward], kind: type) -> dict[str | None, list[str]]:
        messages = [each for each in outputs if isinstance(each, Output) and isinstance(each.message, kind)]
        return {key: [str(m.message.event_id) for m in messages if m.key == key and m.message] for key in "abc"}

    assert by_key(found, Alert) == by_key(expected, Alert)
    assert by_key(found, DeadLetter) == by_key(expected, DeadLetter)
