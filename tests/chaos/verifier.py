"""Whether a run was exactly once, from what lies on Kafka in the end. Pure: it compares what was read.

The oracle is the backtest, fed with the records of the metrics topic as the broker holds them. Beside it, and without
any of its code, numpy recomputes each model's window, and the records are counted.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.backtest import backtest
from agents.monitor.state import Model, window_of
from agents.settings import Settings
from streams.records import StoredRecord
from streams.stage import Stage
from tests.chaos.fleet import MALFORMED
from tests.engine.replaying import CutsBroken, replayed
from tests.loop.driving import PARTITIONS

Json = dict[str, Any]

#: Topics whose messages about a model come from one stage, and so have one order; alerts come from two.
ORDERED, UNORDERED = ("drift", "retrain"), ("alerts",)

#: The window of the default monitor rule.
WINDOW = 500


@dataclass
class StageSeen:
    """What a stage read, all its inputs with the cuts among them, and the state that it has in the end, by key."""

    stage: Stage[Any]
    topic_prefix: str
    inputs: Sequence[StoredRecord]
    state: Mapping[bytes, bytes]


@dataclass
class Seen:
    """What was read when everything had stopped.

    `metrics`: the input, all of it. `outputs`: per topic the committed messages, each partition in its order. `states`:
    the last committed state of each model. `stages`: what each one read and came to. `lag`: per stage, offsets not
    committed. `open_transactions`: per partition, offsets between the last stable one and the end.
    """

    metrics: Sequence[StoredRecord]
    outputs: Mapping[str, Sequence[Json]]
    states: Mapping[str, Model]
    stages: Sequence[StageSeen] = ()
    lag: Mapping[str, int] = field(default_factory=dict)
    open_transactions: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Verdict:
    """What is wrong, a line each, and how many messages were compared, by topic."""

    problems: list[str]
    compared: dict[str, int]


def verify(seen: Seen, settings: Settings) -> Verdict:
    """Compare everything. An empty list of problems means exactly once."""
    in_time = sorted(seen.metrics, key=lambda record: (record.timestamp, record.partition, record.offset))
    expected = _per_key_order(in_time)
    replayed = backtest(expected, settings).as_dict()
    problems = [
        *(line for topic in ORDERED for line in in_order(topic, replayed[topic], seen.outputs[topic])),
        *(line for topic in UNORDERED for line in as_multisets(topic, replayed[topic], seen.outputs[topic])),
        *dead_letters(seen.metrics, seen.outputs["dead-letter"]),
        *final_states(seen.metrics, seen.states),
        *(line for stage in seen.stages for line in order_told(stage)),
        *(f"{stage}: {lag} offsets are not committed" for stage, lag in seen.lag.items() if lag),
        *(f"{place}: {size} offsets in an open transaction" for place, size in seen.open_transactions.items() if size),
    ]
    return Verdict(problems, {topic: len(seen.outputs[topic]) for topic in (*ORDERED, *UNORDERED, "dead-letter")})


def in_order(topic: str, expected: Iterable[Json], found: Iterable[Json]) -> list[str]:
    """Each model's messages must be the expected ones, all fields, in their order."""
    wanted, got = _by_model(expected), _by_model(found)
    problems = []
    for model in sorted(wanted.keys() | got.keys()):
        pairs = zip_longest(wanted[model], got[model])
        for number, (one, other) in enumerate(pairs):
            if one != other:
                counts = f"expected {len(wanted[model])} messages, found {len(got[model])}"
                problems.append(f"{topic} of {model}: {counts}; message {number} is {other}, expected {one}")
                break
    return problems


def as_multisets(topic: str, expected: Iterable[Json], found: Iterable[Json]) -> list[str]:
    """The same messages, each as often, in whatever order."""
    wanted, got = Counter(map(_canonical, expected)), Counter(map(_canonical, found))
    missing = [f"{topic}: {count} times too few: {message}" for message, count in (wanted - got).items()]
    return missing + [f"{topic}: {count} times too many: {message}" for message, count in (got - wanted).items()]


def dead_letters(metrics: Iterable[StoredRecord], found: Iterable[Json]) -> list[str]:
    """Exactly one for each record that the fleet marked as malformed, none for any other."""
    wanted = Counter((record.topic, record.partition, record.offset) for record in metrics if is_malformed(record))
    got = Counter((letter["topic"], letter["partition"], letter["offset"]) for letter in found)
    return [
        f"dead-letter: {got[place]} for {place}, expected {wanted[place]}"
        for place in sorted(wanted.keys() | got.keys())
        if wanted[place] != got[place]
    ]


def final_states(metrics: Iterable[StoredRecord], states: Mapping[str, Model]) -> list[str]:
    """Each model's window must hold the last values sent, and its count all of them: none left out, none twice."""
    sent = accuracies(metrics)
    problems = [f"state of {model}, of which there is no record" for model in sorted(states.keys() - sent.keys())]
    for model, values in sorted(sent.items()):
        if model not in states:
            problems.append(f"no state of {model}, of which there are {len(values)} records")
            continue
        state, parts = states[model]
        counted = state.counts.get("metrics", 0)
        if counted != len(values):
            problems.append(f"{model} counted {counted} records of {len(values)}")
        window = window_of(state.versions[-1].series["accuracy"], parts).values
        if not np.array_equal(window, values[-WINDOW:]):
            problems.append(f"the window of {model} is not the last {WINDOW} of its {len(values)} values")
    return problems


def order_told(seen: StageSeen) -> list[str]:
    """Each key's state must be, to the byte, what the order that the cuts tell gives."""
    name, again = seen.stage.name, dict[bytes, bytes]()
    try:
        for partition in range(PARTITIONS):
            again |= replayed(seen.stage, partition, PARTITIONS, seen.topic_prefix, seen.inputs)
    except CutsBroken as problem:
        return [f"cuts of {name}: {problem}"]
    different = [key for key in again.keys() | seen.state.keys() if again.get(key) != seen.state.get(key)]
    return [f"cuts of {name}: the state of {key!r} is another one in their order" for key in sorted(different)]


def accuracies(metrics: Iterable[StoredRecord]) -> dict[str, NDArray[np.float64]]:
    """Each model's values in the order of the log, read with nothing but `json`."""
    values: defaultdict[str, list[float]] = defaultdict(list)
    for record in metrics:
        if not is_malformed(record) and record.value is not None:
            message = json.loads(record.value)
            values[message["model_name"]].append(message["accuracy"])
    return {model: np.array(each, dtype=np.float64) for model, each in values.items()}


def is_malformed(record: StoredRecord) -> bool:
    return any(name == MALFORMED for name, _ in record.headers)


def _per_key_order(records: Iterable[StoredRecord]) -> list[StoredRecord]:
    """Records by time, but a partition's in the order of its offsets: producers' clocks may go back."""
    taken = list(records)
    lanes: defaultdict[int, list[StoredRecord]] = defaultdict(list)
    for record in taken:
        lanes[record.partition].append(record)
    turns = {partition: iter(sorted(lane, key=lambda each: each.offset)) for partition, lane in lanes.items()}
    return [next(turns[record.partition]) for record in taken]


def _by_model(messages: Iterable[Json]) -> defaultdict[str, list[Json]]:
    by_model: defaultdict[str, list[Json]] = defaultdict(list)
    for message in messages:
        by_model[message["model_name"]].append(message)
    return by_model


def _canonical(message: Json) -> str:
    return json.dumps(message, sort_keys=True)
