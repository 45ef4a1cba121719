"""What the measured worker reads: messages of a fleet, and the states of models it has known for long."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from agents.monitor.stage import MonitorStage
from agents.monitor.state import decode_state, encode_state
from agents.settings import Settings
from streams.panes import PANE
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import StoredRecord

Pairs = Iterator[tuple[bytes, bytes]]

#: Models of a fleet where nothing else is said; labelled predictions in one `outcomes` message.
MODELS, PER_MESSAGE = 50, 500

_START, _STEP = 1_700_000_000.0, 0.01
_VALUE = (
    '{"type": "metrics", "event_id": "%d", "model_name": "%s", "model_version": "1.2.0", "timestamp": %.2f, '
    '"accuracy": %.6f, "precision": 0.91, "recall": 0.9, "extras": {"f1": 0.905}}'
)


def names(count: int) -> list[str]:
    """Names of so many models."""
    return [f"model-{number}" for number in range(count)]


def in_turn(count: int, models: int = MODELS) -> Iterator[str]:
    """One record of each model after the other."""
    known = names(models)
    return (known[number % models] for number in range(count))


def zipf(count: int, models: int, seed: int = 7) -> Iterator[str]:
    """Model n has 1/n of the records that the first one has, in random order."""
    shares = list(accumulate(1 / rank for rank in range(1, models + 1)))
    return iter(random.Random(seed).choices(names(models), cum_weights=shares, k=count))


def metrics(models: Iterator[str], seed: int = 7) -> Pairs:
    """One `metrics` message for each name: four numbers, some 200 bytes."""
    gauss = random.Random(seed).gauss
    for number, name in enumerate(models):
        yield name.encode(), message(number, name, gauss(0.93, 0.01))


def message(number: int, name: str, accuracy: float) -> bytes:
    """One `metrics` message; its `event_id` is its number."""
    return (_VALUE % (number, name, _START + number * _STEP, accuracy)).encode()


def outcomes(models: Iterator[str], seed: int = 7, *, scores: bool = False) -> Pairs:
    """One `outcomes` message for each name: PER_MESSAGE labelled predictions of ten classes, of which 7 % are wrong."""
    rng = random.Random(seed)
    bodies = [_outcomes_body(rng, scores) for _ in range(100)]
    for number, name in enumerate(models):
        head = f'{{"type": "outcomes", "model_name": "{name}", "timestamp": {_START + number * _STEP:.2f}, '
        yield name.encode(), (head + bodies[number % len(bodies)]).encode()


def _outcomes_body(rng: random.Random, with_scores: bool) -> str:
    labels = rng.choices(range(10), k=PER_MESSAGE)
    predicted = [label if rng.random() > 0.07 else (label + 1) % 10 for label in labels]
    columns: dict[str, list[int] | list[float]] = {"y_true": labels, "y_pred": predicted}
    if with_scores:
        columns["scores"] = [round(rng.random(), 4) for _ in labels]
    return json.dumps(columns)[1:]


def states(settings: Settings, models: Sequence[str], values: int, spread: int = PANE) -> Pairs:
    """Changelog records of models that the monitor has seen `values` messages of, as its own steps make them.

    Of each model all that it has: its state and the panes beside it. Each model has seen one message more than the one
    before it, so that `spread` numbers occur: with a pane's length open panes are half full on average, and become full
    at different times, as in any fleet.
    """
    known = [*_known(settings, values, spread)]
    for number, name in enumerate(models):
        encoded, parts = known[number % spread]
        state = decode_state(encoded)
        state.model = name
        yield name.encode(), encode_state(state)
        yield from ((name.encode() + part, value) for part, value in parts)


def _known(settings: Settings, values: int, spread: int) -> Iterator[tuple[bytes, list[tuple[bytes, bytes]]]]:
    """A model's state after so many messages, after one more, and so on; with how its parts' keys end, and these."""
    stage, table, first = MonitorStage(settings), MemoryTable(), "model-0"
    processor, key = Processor(stage, 0, 1, table), first.encode()
    pairs = metrics(in_turn(values + spread, 1))
    records = [StoredRecord("metrics", 0, at, 0, key, value) for at, (key, value) in enumerate(pairs)]
    for begin, end in pairwise([0, *range(values, values + spread)]):
        processor.process(records[begin:end])
        parts = [(name[len(first) :], value) for name, value in table.scan(f"{first}\0".encode())]
        yield table[key], parts
