"""What reads state: that of each stage, as its changelog has it, and of each detector."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from agents.drift import DETECTORS, Detector, make_detector
from agents.drift.distribution import DistributionDetector
from agents.monitor.stage import MonitorStage
from agents.retrain.stage import RetrainStage
from agents.tuner.stage import TunerStage
from schemas.drift import DriftDetected, ThresholdBreached
from schemas.metrics import Label, Metrics, Outcomes, Prediction
from schemas.models import ModelVersion
from schemas.retrain import RetrainRequest
from streams.identity import TopicOnBroker, remember, remembered
from streams.parts import MemoryTable, Parts
from streams.processor import Processor
from streams.records import Output, StoredRecord
from streams.stage import Stage
from tests.fuzz.message_targets import SETTINGS
from tests.fuzz.mutation import Mutator
from tests.fuzz.seeds import USUAL, messages
from tests.fuzz.target import Target, refused_with

_SMALL = {"reference": 50, "size": 50, "stride": 3}


def state_targets(draw: random.Random) -> Iterator[Target]:
    """The state of each stage, with what is kept beside it, and of each detector."""
    monitored = [*USUAL[:8], *messages([Metrics, Outcomes, Prediction, Label], 10)] * 3
    yield _stage_target(draw, MonitorStage(SETTINGS), monitored, 2)
    yield _stage_target(draw, RetrainStage(SETTINGS), messages([DriftDetected, ThresholdBreached], 10), 1)
    yield _stage_target(draw, TunerStage(SETTINGS), messages([RetrainRequest, ModelVersion], 10), 1)
    yield _detectors_target(draw)
    yield _identity_target(draw)


def _stage_target(draw: random.Random, stage: Stage[Any], seeds: list[bytes], share: int) -> Target:
    table, topic = MemoryTable(), f"visutility.{stage.topics[0]}"
    records = [StoredRecord(topic, 0, at, 1_700_000_000_000, None, value) for at, value in enumerate(seeds)]
    Processor(stage, 0, 1, table).process(records)
    states = [name for name in table if b"\0" not in name]
    mutator = Mutator(draw, seeds)

    def damaged() -> tuple[bytes, MemoryTable]:
        """A key's state, with its parts, of which one is not as it was written."""
        name = draw.choice(states)
        kept = MemoryTable(table.scan(name))
        changed = draw.choice([name, name, draw.choice(list(kept))])
        kept[changed] = mutator.packed(kept[changed])
        return name, kept

    def check(given: tuple[bytes, MemoryTable]) -> bool:
        name, kept = given
        key = name.decode()
        if refused_with(ValueError, lambda: stage.decode_state(key, kept[name], Parts(kept, name + b"\0"))):
            return False
        of_key = [each for each, value in zip(records, seeds, strict=True) if stage_key(value, key)]
        outputs = Processor(stage, 0, 1, kept).process([draw.choice(of_key)] if of_key else [])
        return not any(isinstance(each, Output) and each.topic == "dead-letter" for each in outputs)

    def stage_key(value: bytes, key: str) -> bool:
        message = stage.decode(value, ())
        return message is not None and message.model_name == key

    return Target(f"state {stage.name}", damaged, check, share)


def _detectors_target(draw: random.Random) -> Target:
    values = np.random.default_rng(3).random(130)
    states: list[tuple[type[Detector], bytes]] = []
    for name, kind in DETECTORS.items():
        made = make_detector(name, **(_SMALL if issubclass(kind, DistributionDetector) else {}))
        for part in (values[:5], values[5:]):
            made.update_many(part)
            states.append((kind, made.state()))
    mutator = Mutator(draw, USUAL)

    def damaged() -> tuple[type[Detector], bytes]:
        kind, state = draw.choice(states)
        return kind, mutator.packed(state)

    def check(given: tuple[type[Detector], bytes]) -> bool:
        kind, state = given
        return not refused_with(ValueError, lambda: kind.from_state(state))

    return Target("state detectors", damaged, check, 3)


def _identity_target(draw: random.Random) -> Target:
    written = remember({"visutility.metrics": TopicOnBroker("id", 4), "visutility.drift": TopicOnBroker(None, 4)})
    mutator = Mutator(draw, [written])
    return Target("topic ids", mutator.json, lambda data: not refused_with(ValueError, lambda: remembered(data)))
