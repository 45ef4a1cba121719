"""Whatever order records arrive in from Kafka, they go out in the order that the cuts tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.recording.items import Item, SourceRecord, TimePassed
from agents.recording.lanes import Lane, merged
from schemas.internal import Run
from streams.cuts import cut_record
from streams.origin import with_origin
from streams.records import StoredRecord

METRICS, INTERNAL = "p.metrics", "p.monitor-internal"
WHEN = datetime(2025, 6, 1, tzinfo=UTC)


def history(seed: int, checkpoints: int) -> tuple[dict[str, list[SourceRecord]], list[Item]]:
    """What is on the two topics of one partition after some checkpoints, and the order in which it was processed."""
    rng = Random(seed)
    topics: dict[str, list[SourceRecord]] = {METRICS: [], INTERNAL: []}
    at, done, order = {METRICS: 0, INTERNAL: 0}, {METRICS: 0, INTERNAL: 0}, list[Item]()

    def write(topic: str, record: SourceRecord) -> None:
        topics[topic].append(record)
        at[topic] = record.offset + rng.randint(1, 2)  # commit markers take up offsets

    for _ in range(checkpoints):
        runs = []
        for _ in range(rng.randint(0, 4)):
            topic = rng.choice((METRICS, INTERNAL))
            for _ in range(rng.randint(0, 3)):
                headers = (
                    with_origin(StoredRecord(METRICS, 1, rng.randint(0, 99), 0, b"m", b"")) if topic == INTERNAL else ()
                )
                write(topic, SourceRecord(topic, 0, at[topic], rng.randint(1, 9), b"m", b"{}", tuple(headers)))
            end = at[topic]
            order += [each for each in topics[topic] if done[topic] <= each.offset < end and each.key is not None]
            ticks = rng.choice((0, 0, 500))
            runs.append(Run(topic=topic, begin=done[topic], end=end, ticks=ticks))
            done[topic] = end
            if ticks:
                order.append(TimePassed("monitor", 0, ticks))
        cut = cut_record("monitor", 0, runs, WHEN)
        write(INTERNAL, SourceRecord(INTERNAL, 0, at[INTERNAL], 9, None, cut.value, cut.headers))
    return topics, order


def deliver(
    lane: Lane, topics: dict[str, list[SourceRecord]], rng: Random, stop_after: int | None = None
) -> list[Item]:
    """Read both topics in pieces, in any order, until all is out, or some of it."""
    left = {name: [r for r in records if r.offset >= lane.positions()[name]] for name, records in topics.items()}
    out: list[Item] = []
    ends = {name: (records[-1].offset + 1 if records else 0) for name, records in topics.items()}
    while True:
        wanted = [topic for topic in topics if lane.wants(topic, 1_000)]
        for topic in rng.sample(wanted, len(wanted))[: rng.randint(0, 2)]:
            count = rng.randint(0, 4)
            piece, left[topic] = left[topic][:count], left[topic][count:]
            position = left[topic][0].offset if left[topic] else ends[topic]
            lane.add(topic, piece, position, ended=not left[topic])
        while items := lane.take():
            out += items
            if stop_after is not None and len(out) >= stop_after:
                return out
        if not wanted:
            return out


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 6), st.integers(0, 10_000))
def test_the_order_is_that_of_the_cuts_however_it_is_read(seed: int, checkpoints: int, reading: int) -> None:
    topics, order = history(seed, checkpoints)
    lane = Lane(0, {METRICS: 0, INTERNAL: 0}, "monitor", INTERNAL)
    assert deliver(lane, topics, Random(reading)) == order


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(0, 10_000), st.integers(0, 30))
def test_it_goes_on_from_wherever_it_was_stopped(seed: int, checkpoints: int, reading: int, stop: int) -> None:
    topics, order = history(seed, checkpoints)
    rng = Random(reading)
    first = Lane(0, {METRICS: 0, INTERNAL: 0}, "monitor", INTERNAL)
    begun = deliver(first, topics, rng, stop_after=stop)
    second = Lane(0, first.positions(), "monitor", INTERNAL, first.next_cut)
    assert begun + deliver(second, topics, rng) == order


def test_what_no_cut_tells_of_yet_follows_by_time() -> None:
    lane = Lane(0, {METRICS: 0, INTERNAL: 0}, "monitor", INTERNAL)
    late, early = (SourceRecord(topic, 0, 0, time, b"m", b"") for topic, time in ((METRICS, 8), (INTERNAL, 5)))
    lane.add(METRICS, [late], 1, ended=True)
    assert lane.take() == []  # a cut may still come
    lane.add(INTERNAL, [early], 1, ended=True)
    assert [lane.take(), lane.take(), lane.take()] == [[early], [late], []]


def test_between_limits_only_their_records_and_the_ticks_between_them_are_passed_on() -> None:
    inside, outside = (
        SourceRecord(INTERNAL, 0, at, 1, b"m", b"", tuple(with_origin(StoredRecord(METRICS, 1, origin, 0, b"m", b""))))
        for at, origin in ((1, 7), (2, 30))
    )
    limits = {(METRICS, 0): (5, 8), (METRICS, 1): (5, 8)}
    runs = [Run(ticks=1), Run(topic=METRICS, end=6, ticks=2), Run(topic=INTERNAL, begin=1, end=3, ticks=3)]
    cut = cut_record("monitor", 0, runs, WHEN)
    lane = Lane(0, {METRICS: 5, INTERNAL: 0}, "monitor", INTERNAL, limits=limits)
    first = SourceRecord(METRICS, 0, 5, 1, b"m", b"")
    lane.add(METRICS, [first], 8, ended=True)
    cut_at = SourceRecord(INTERNAL, 0, 3, 1, None, cut.value, cut.headers)
    lane.add(INTERNAL, [inside, outside, cut_at], 4, ended=True)
    out: list[Item] = [item for _ in range(9) for item in lane.take()]
    assert out == [first, TimePassed("monitor", 0, 2), inside]


def lane_of(partition: int, times: Sequence[int]) -> Lane:
    lane = Lane(partition, {METRICS: 0})
    lane.add(METRICS, [SourceRecord(METRICS, partition, at, time, None, b"") for at, time in enumerate(times)], 9)
    return lane


def test_between_partitions_the_order_is_that_of_the_timestamps_and_none_runs_ahead() -> None:
    lanes = [lane_of(0, [1, 4, 2, 9]), lane_of(1, [3, 5])]
    out = [
        (item.partition, item.timestamp) for item in merged(lanes, lambda lane: False) if isinstance(item, SourceRecord)
    ]
    assert out == [(0, 1), (1, 3), (0, 4), (0, 2), (1, 5), (0, 9)]
    lanes = [lane_of(0, [1, 4, 9]), lane_of(1, [3])]
    waiting = merged(lanes, lambda lane: lane is lanes[1])
    assert [item.timestamp for item in waiting if isinstance(item, SourceRecord)] == [1, 3]
