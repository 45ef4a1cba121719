"""Bytewax: a stateful map with its state in memory; the recovery store is off, which is the fastest it can be."""

from __future__ import annotations

import json
from typing import Any

from bytewax import operators  # type: ignore[import-not-found]
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage  # type: ignore[import-not-found]
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
from bytewax.testing import run_main  # type: ignore[import-not-found]

from benchmarks.peers.job import ALARMS, BOOTSTRAP, EMPTY, THRESHOLD, TOPIC, Clock, z_score

clock = Clock()


def parse(message: Any) -> tuple[str, float]:
    """The key and the value of the job."""
    fields = json.loads(message.value)
    return fields["model_name"], fields["accuracy"]


def watch(window: list[float] | None, value: float) -> tuple[list[float], float]:
    """The job."""
    window = list(EMPTY) if window is None else window
    z = z_score(window, value)
    clock.count()
    return window, z


def alarm(score: tuple[str, float]) -> Any:
    """A record of the alarms' topic."""
    return KafkaSinkMessage(score[0].encode(), json.dumps({"model_name": score[0], "z": score[1]}).encode())


flow = Dataflow("peer")
source = kafka.input("source", flow, brokers=[BOOTSTRAP], topics=[TOPIC], batch_size=5000)
scores = operators.stateful_map("watch", operators.map("parse", source.oks, parse), watch)
high = operators.filter("high", scores, lambda score: abs(score[1]) > THRESHOLD)
operators.output("alarms", operators.map("alarm", high, alarm), KafkaSink([BOOTSTRAP], ALARMS))
run_main(flow)
