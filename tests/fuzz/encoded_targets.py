"""Steps over states as they are written, of damaged ones: by kernels that check each place that they touch, too."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from functools import cache, partial
from itertools import pairwise
from types import FunctionType
from typing import Any, NamedTuple
from unittest.mock import patch

from agents.monitor.encoded.states import step_states
from agents.monitor.stage import MonitorStage
from agents.monitor.state import FORMAT, decode_state, encode_state
from agents.settings import Settings
from schemas.kernel import COMPILED, Kernel
from streams.parts import MemoryTable
from streams.processor import CLOCK_KEY, FORMAT_KEY, Processor
from streams.processor import FORMAT as TABLE_FORMAT
from streams.records import Forward, Output, StoredRecord
from tests.fuzz.mutation import Mutator
from tests.fuzz.packed import changed
from tests.fuzz.seeds import USUAL
from tests.fuzz.target import Target, refused_with
from tests.monitor.test_encoded import MODELS, Fleet, stage_of
from tests.monitor.test_quick import MINIMUM

#: A z-score of either direction, one of one, a minimum, and a metric that is only kept.
_SETTINGS = Settings(
    monitor=[
        {"metric": "accuracy", "window": {"size": 20, "min_samples": 5}, "detector": {"threshold": 6.0}},
        {
            "metric": "extras.cost",
            "window": {"size": 150, "min_samples": 5},
            "detector": {"direction": "up", "threshold": 6.0},
        },
        {"metric": "recall", "window": {"size": 40, "min_samples": 5}, "detector": {"threshold": 6.0}},
    ],
    retrain=[MINIMUM],
)

#: Records after which a model's state is damaged: windows that warm up, are full, have several panes, or end a block.
_AFTER = (3, 12, 38, 61, 90, 119, 140, 148, 167, 212, 250, 275, 299, 333, 498)


class Given(NamedTuple):
    """States by the names of their models, their parts by keys of the table, and the records that come.

    `whole`: the models of which nothing is damaged.
    """

    states: dict[bytes, bytes]
    parts: dict[bytes, bytes]
    records: list[StoredRecord]
    whole: frozenset[bytes] = frozenset()


class Left(NamedTuple):
    """What records leave: states, their parts, and what was said by the keys of outputs."""

    states: dict[bytes, bytes]
    parts: dict[bytes, dict[bytes, bytes]]
    said: dict[str | bytes | None, list[Output | Forward]]


@cache
def checked(kernel: Kernel[..., Any]) -> Any:
    """A kernel compiled so that it raises IndexError where it would touch what lies outside of an array."""
    from numba import njit

    function = kernel.function
    within = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    scope = {name: checked(found) for name, found in within.items() if isinstance(found, Kernel)}
    bound = FunctionType(function.__code__, function.__globals__ | scope, function.__name__)
    bound.__qualname__ = f"{function.__qualname__}_{kernel.digest}_checked"  # numba keeps it under this name
    return njit(cache=True, boundscheck=True)(bound)


def encoded_targets(draw: random.Random) -> Iterator[Target]:
    """Where there is numba, states of a few models, most of them damaged, that are stepped together."""
    if COMPILED:
        yield _states_target(draw)


def _states_target(draw: random.Random) -> Target:
    mutator, written, (stage, steps) = Mutator(draw, USUAL), _written(), stage_of(_SETTINGS)
    decoded = MonitorStage(_SETTINGS)

    def damaged(state: bytes) -> bytes:
        kind = draw.random()
        if 0.2 <= kind < 0.5:
            state = mutator.packed(state)
            return state if state[:1] < FORMAT else FORMAT + state[1:]  # of a later format it would stop the worker
        return state if kind < 0.2 else FORMAT + changed(draw, state[1:])

    def some() -> Given:
        fleet, most = Fleet(draw.randrange(2**32), 0.01), draw.choice((1, 1, 2, 5))
        records = [fleet.record(model) for model in range(MODELS) for _ in range(draw.randint(1, most))]
        kept = {key: draw.choice(versions) for key, versions in written.items()}
        states = {key: damaged(state) for key, (state, _) in kept.items()}
        parts = {name: value for _, own in kept.values() for name, value in own.items() if draw.random() < 0.98}
        parts = {name: value if draw.random() < 0.95 else mutator.packed(value) for name, value in parts.items()}
        whole = frozenset(
            key
            for key, (state, own) in kept.items()
            if states[key] == state and all(parts.get(name) == value for name, value in own.items())
        )
        return Given(states, parts, records, whole)

    def check(given: Given) -> bool:
        steps.taken = 0
        with patch.object(step_states, "compiled", checked(step_states)):
            seen = _stepped(stage, given)
        assert _stepped(stage, given) == seen, "with checks it does something else"
        _compare(given, seen, _stepped(decoded, given))
        return steps.taken > 0

    # Compiles, or loads what was compiled before: no input is to be blamed for that.
    states = {key: versions[0][0] for key, versions in written.items()}
    check(Given(states, {}, [*map(Fleet(3, 0.0).record, range(MODELS))]))
    return Target("state encoded", some, check)


@cache
def _written() -> dict[bytes, list[tuple[bytes, dict[bytes, bytes]]]]:
    """Of each model its states one after the other, each with its parts."""
    fleet, table, stage = Fleet(3, 0.0), MemoryTable(), MonitorStage(_SETTINGS)
    found = defaultdict[bytes, list[tuple[bytes, dict[bytes, bytes]]]](list)
    for begin, end in pairwise((0, *_AFTER)):
        records = [fleet.record(model) for model in range(MODELS) for _ in range(begin, end)]
        Processor(stage, 0, 1, table).process(records)
        for key, state in _models(table).items():
            found[key].append((state, dict(table.scan(key + b"\0"))))
    return found


def _models(table: MemoryTable) -> dict[bytes, bytes]:
    return {key: state for key, state in table.items() if b"\0" not in key}


def _stepped(stage: MonitorStage, given: Given) -> Left:
    table = MemoryTable({**given.states, **given.parts, CLOCK_KEY: b"700", FORMAT_KEY: TABLE_FORMAT})
    said = defaultdict[str | bytes | None, list[Output | Forward]](list)
    for output in Processor(stage, 0, 1, table).process(given.records):
        said[output.key].append(output)
    states = _models(table)
    return Left(states, {key: dict(table.scan(key + b"\0")) for key in states}, said)


def _compare(given: Given, encoded: Left, decoded: Left) -> None:
    """A state is what it becomes when it is decoded. What is refused then is refused afterwards, too.

    Where a block ends, a step over the decoded state reads panes anew that the state has as well: of what is damaged
    there is no telling which of the two it was.
    """
    keys = {*encoded.said, *decoded.said}
    silent = {key.encode() for key in keys if isinstance(key, str) and encoded.said[key] != decoded.said[key]}
    told_apart = {key for key in encoded.states if key in given.whole or not _ends_block(given, encoded, key)}
    for key in told_apart:
        state = encoded.states[key]
        if key in silent:
            assert not encoded.said[key.decode()], "it says something else"
            assert refused_with(ValueError, partial(decode_state, state)), f"unsaid: {decoded.said[key.decode()]}"
            continue
        assert encoded.parts[key] == decoded.parts[key], "other parts"
        if state != decoded.states[key]:
            assert encode_state(decode_state(state)) == decoded.states[key], "another state"
    assert silent <= encoded.states.keys(), "it says something else of a model of another name"


def _ends_block(given: Given, left: Left, key: bytes) -> bool:
    """Whether a block of any of its windows was full, or got full."""
    try:
        before, after = [decode_state(states[key]) for states in (given.states, left.states)]
    except (KeyError, ValueError):
        return False
    ended = {
        (version.name, metric): (series.window.pushed // max(series.window.size, 1))
        for version in after.versions
        for metric, series in version.series.items()
    }
    return any(
        not series.window.place or ended.get((version.name, metric)) != series.window.pushed // series.window.size
        for version in before.versions
        for metric, series in version.series.items()
    )
