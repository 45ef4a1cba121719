"""A fleet that goes on sending while things break: every model in order, nothing lost on the way to the broker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
from confluent_kafka import Producer

from tests.chaos.poison import POISON
from tests.loop.driving import JAVA, LIBRDKAFKA
from tests.loop.traffic import START, malformed, metrics

MODELS = 12

#: A header that only the verifier knows: it tells bad records from good ones without reading them.
MALFORMED = "malformed"

#: Seconds of event time between two records of the fleet, and between two sendings on the clock.
STEP, PAUSE = 2.0, 0.05

#: How many records in a thousand are an outlier, sent twice, sent with an old time, malformed, poison to the monitor's
#: step. At the fleet's rate that is about one bad record in each batch.
OUTLIERS, TWICE, LATE, BAD, POISONED = 10, 10, 10, 40, 20


@dataclass(frozen=True, slots=True)
class Sent:
    """A record as the fleet sends it; `malformed` ones must become dead letters, poison among them."""

    key: str
    value: bytes | None
    partitioner: str
    malformed: bool = False


def stream(seed: int) -> Iterator[Sent]:
    """Without end: accuracies that fall now and then, now and then a duplicate, a late or a bad record."""
    rng = np.random.default_rng(seed)
    bad = malformed(2**62)
    for number in count():
        model = int(rng.integers(MODELS))
        partitioner = (LIBRDKAFKA, JAVA)[model % 2]
        chance = rng.integers(1000, size=5)
        if chance[0] < BAD:
            key, value = next(bad)
            yield Sent(key or "", value, partitioner, malformed=True)
        time = START + STEP * (number - (300 if chance[2] < LATE else 0))
        name = f"m{model}"
        if chance[4] < POISONED:
            poison = metrics(name, f"p{number}", time, POISON)
            yield Sent(name, poison, partitioner, malformed=True)
        accuracy = 0.6 if chance[1] < OUTLIERS else rng.normal(0.93, 0.01)
        record = Sent(name, metrics(name, f"e{number}", time, accuracy), partitioner)
        yield record
        if chance[3] < TWICE:
            yield record


class Fleet(threading.Thread):
    """Sends the stream of a seed at a steady rate (records a second) until `stop`, whatever the broker does."""

    def __init__(self, bootstrap_servers: str, topic: str, seed: int, rate: float) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self.failed: list[str] = []
        self._topic, self._records, self._size = topic, stream(seed), max(1, round(rate * PAUSE))
        self._stopped = threading.Event()
        self._producers = {name: _producer(bootstrap_servers, name) for name in (JAVA, LIBRDKAFKA)}

    def run(self) -> None:
        while not self._stopped.wait(PAUSE):
            for record in islice(self._records, self._size):
                self._send(record)

    def stop(self, seconds: float = 120.0) -> int:
        """Send no more; wait until the broker has everything. Returns how many records it acknowledged."""
        self._stopped.set()
        self.join()
        left = sum(producer.flush(seconds) for producer in self._producers.values())
        if left or self.failed:
            raise RuntimeError(f"the broker did not take {left + len(self.failed)} records: {self.failed[:3]}")
        return self.sent

    def _send(self, record: Sent) -> None:
        headers: list[tuple[str, str | bytes | None]] = [(MALFORMED, b"1")] if record.malformed else []
        producer = self._producers[record.partitioner]
        producer.produce(self._topic, record.value, record.key, headers=headers, on_delivery=self._delivered)
        producer.poll(0)

    def _delivered(self, problem: object, _: object) -> None:
        if problem is None:
            self.sent += 1
        else:
            self.failed.append(str(problem))


def _producer(bootstrap_servers: str, partitioner: str) -> Producer:
    return Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "partitioner": partitioner,
            "enable.idempotence": True,  # retries over a broker's restart neither reorder nor repeat
            "message.timeout.ms": 300_000,
            "queue.buffering.max.messages": 1_000_000,
            "linger.ms": 5,
            "log_level": 0,
        }
    )
