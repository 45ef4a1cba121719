"""A fleet in Python: reports quality figures, labelled predictions, and predictions whose labels come later.

    python examples/producers/producer.py --bootstrap broker:9092 --model fraud-eu

Needs confluent-kafka alone, nothing of VisuTility Streams: what travels is JSON (docs/formats.md).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

#: What a fleet should not leave to defaults.
RELIABLE = {
    # A record is sent once all in-sync replicas have it, and a repetition after a lost answer does not count twice.
    "acks": "all",
    "enable.idempotence": True,
    # As Java's clients place keys, so that a model's records are where its state is; librdkafka's own default places
    # most of them elsewhere, and the worker would have to send them on.
    "partitioner": "murmur2_random",
    # Records wait a moment for others: a batch costs little more than one of them.
    "linger.ms": 20,
    "compression.type": "lz4",
}


def records(model: str, count: int, now: float) -> Iterator[dict[str, Any]]:
    """Messages of every kind that a fleet usually sends, `count` of each."""
    common = {"model_name": model, "model_version": "7", "labels": {"region": "eu"}}
    for number in range(count):
        time_of = {**common, "timestamp": now + number, "event_id": str(uuid.uuid4())}
        # Quality figures that the fleet has worked out by itself: of a batch, a minute, a canary.
        yield {**time_of, "type": "metrics", "accuracy": 0.94, "extras": {"latency_ms": 12.5}}
        # Predictions whose labels are known: the monitor works the figures out. 1 to 100,000 in one message.
        yield {**time_of, "type": "outcomes", "y_true": [0, 1, 1], "y_pred": [0, 1, 0], "scores": [0.1, 0.9, 0.4]}
        # A prediction now, its label when it is known: here at once, in life days later.
        yield {**time_of, "type": "prediction", "prediction_id": f"{model}-{number}", "y_pred": 1, "score": 0.8}
        yield {**time_of, "type": "label", "prediction_id": f"{model}-{number}", "y_true": 1}
    # A model that sends heartbeats is reported when it falls silent.
    yield {**common, "type": "heartbeat", "timestamp": now + count}


def main() -> None:
    """Send the records, and say how many the cluster has taken; exit 1 if one of them was not."""
    options = argparse.ArgumentParser(description="Sends what a fleet would.")
    options.add_argument("--bootstrap", required=True, metavar="HOST:PORT")
    options.add_argument("--topic", default="visutility.metrics")
    options.add_argument("--model", default="fraud-eu")
    options.add_argument("--count", type=int, default=10)
    given = options.parse_args()

    taken, refused = [0], list[str]()

    def delivered(error: KafkaError | None, message: Message) -> None:
        taken[0] += error is None
        if error is not None:
            refused.append(error.str())

    producer = Producer({**RELIABLE, "bootstrap.servers": given.bootstrap})
    for record in records(given.model, given.count, time.time()):
        # The key is the model's name: a model's records stay in order, and meet in one partition.
        producer.produce(given.topic, key=given.model, value=json.dumps(record), on_delivery=delivered)
        producer.poll(0)  # or what was delivered is never told
    if producer.flush(30) or refused:
        sys.exit(f"not delivered: {refused[0] if refused else 'no answer within 30 s'}")
    print(f"sent {taken[0]} records of {given.model} to {given.topic}")


if __name__ == "__main__":
    main()
