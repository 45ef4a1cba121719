"""From the producer's send to the drift event at a read-committed consumer, with a worker as users start it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.cli_worker import cli_worker
from benchmarks.kafka import PARTITIONS, QUIET, Kafka
from benchmarks.run import Json, ProcessFailed, Run, median
from benchmarks.traffic import MODELS, message


@dataclass(frozen=True)
class Case:
    """`rate` records a second, of which `events` are far from their model's others and make a drift event."""

    name: str
    rate: int
    events: int

    @property
    def spacing(self) -> int:
        """One record in so many of each model is such an outlier."""
        return self.rate // self.events


CASES = (
    Case("1000_per_second", 1_000, 50),
    Case("20000_per_second", 20_000, 50),
    Case("50000_per_second", 50_000, 50),
    Case("20000_per_second_of_which_5_percent_drift", 20_000, 1_000),
)

#: Seconds of one case, at least.
_SHORTEST = 2.0

#: Values of each model that come first, as fast as may be, to fill its window; seconds until they are done with.
_WARM_UP, _PAUSE = 500, 3.0

#: Seconds for which the first case goes on before what counts.
_BROKER_WARM_UP = 10.0

_LAST_EVENT = 10.0

_QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


def latency(run: Run, cases: Sequence[Case] = CASES) -> Json:
    """`records` are sent at 1,000 a second; the other cases last as long.

    Once more the first case comes before, and does not count: a broker that has just started takes longer.
    """
    seconds, results = max(run.records / CASES[0].rate, _SHORTEST), dict[str, list[Json]]()
    cold = _measure(run.kafka, cases[0], min(seconds, _BROKER_WARM_UP))
    run.say(f"{cases[0].name}, of a broker that may have just started: p99 {cold['p99_ms']:.4g} ms")
    for _ in range(run.rounds):
        for case in cases:
            results.setdefault(case.name, []).append(done := _measure(run.kafka, case, seconds))
            run.say(f"{case.name}: " + ", ".join(f"{name} {value:.4g}" for name, value in done.items()))
    return {
        case: {name: median(each[name] for each in rounds) for name in rounds[0]} for case, rounds in results.items()
    }


def _measure(kafka: Kafka, case: Case, seconds: float) -> Json:
    prefix = kafka.name("latency.")
    with cli_worker(kafka, prefix):
        return figures(kafka, prefix, case, seconds)


def figures(kafka: Kafka, prefix: str, case: Case, seconds: float) -> Json:
    """Send to a worker that is ready, and wait for what it makes of it: quantiles in ms, and how many drift events."""
    reader = _Reader(kafka, f"{prefix}drift")
    sent = _send(kafka, f"{prefix}metrics", case, seconds)
    arrived = reader.finish(len(sent))
    delays = sorted((arrived[number] - at) * 1000 for number, at in sent.items() if number in arrived)
    if len(delays) < 0.99 * len(sent):
        raise ProcessFailed(f"{len(delays)} drift events came of {len(sent)} ({case.name})")
    found = {f"{name}_ms": delays[int(len(delays) * share)] for name, share in _QUANTILES.items()}
    return found | {"drift_events": len(delays)}


def _send(kafka: Kafka, topic: str, case: Case, seconds: float) -> dict[int, float]:
    """Fill the windows, then send at a steady rate; for each outlier, its number and when it was sent."""
    options = {"bootstrap.servers": kafka.bootstrap_servers, "partitioner": "murmur2_random", "linger.ms": 1}
    producer = Producer(QUIET | options)
    kafka.fill(topic, (_record(number, outlier=False) for number in range(MODELS * _WARM_UP)))
    time.sleep(_PAUSE)
    sent, first = dict[int, float](), MODELS * _WARM_UP
    begin = time.monotonic()
    for number in range(first, first + int(case.rate * seconds)):
        turn, model = divmod(number, MODELS)
        outlier = (turn + model) % case.spacing == 0
        key, value = _record(number, outlier=outlier)
        ahead = begin + (number - first) / case.rate - time.monotonic()
        if ahead > 0.0005:
            time.sleep(ahead)
        if outlier:
            sent[number] = time.monotonic()
        producer.produce(topic, key=key, value=value)
        producer.poll(0)
    producer.flush(_LAST_EVENT)
    return sent


def _record(number: int, *, outlier: bool) -> tuple[bytes, bytes]:
    """Around 0.93 within 0.01, or far below."""
    name = f"model-{number % MODELS}"
    return name.encode(), message(number, name, 0.5 if outlier else 0.93 + (number * 7919 % 1000 - 500) / 50_000)


class _Reader:
    """Notes in a thread of its own when each drift event arrives, by the number of the record that caused it."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._consumer = Consumer(
            QUIET
            | {
                "bootstrap.servers": kafka.bootstrap_servers,
                "group.id": kafka.mark,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 5,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        self._arrived, self._stop = dict[int, float](), threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def finish(self, wanted: int) -> dict[int, float]:
        """Wait for the last events, but not for ever."""
        end = time.monotonic() + _LAST_EVENT
        while len(self._arrived) < wanted and time.monotonic() < end:
            time.sleep(0.1)
        self._stop.set()
        self._thread.join()
        self._consumer.close()
        return self._arrived

    def _read(self) -> None:
        while not self._stop.is_set():
            event = self._consumer.poll(0.1)  # not `consume`, which waits that long for more than one
            while event is not None:
                if event.error() is None:
                    now = time.monotonic()
                    self._arrived[int(json.loads(event.value() or b"")["cause"]["event_id"])] = now
                event = self._consumer.poll(0)
