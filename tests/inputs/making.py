"""Logged events as KServe (through Knative) and Seldon (by itself) write them to Kafka, and their labels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined] # it is there

from tests.loop.traffic import START, event


@dataclass(frozen=True)
class Logged:
    """One record of an inference logger."""

    value: bytes
    headers: list[tuple[str, bytes]]


def kserve(model: str, number: int, kind: str = "response") -> Logged:
    """The model says 1. Headers are those of binary mode."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": f"{model}-{number}",
        "ce_type": f"org.kubeflow.serving.inference.{kind}",
        "ce_time": datetime.fromtimestamp(START + number, UTC).isoformat(),
        "ce_inferenceservicename": model,
        "ce_namespace": "default",
    }
    return Logged(json.dumps({"predictions": [1]}).encode(), _encoded(attributes))


def seldon(model: str, number: int) -> Logged:
    """The model says 1, with a score."""
    attributes = {
        "type": "io.seldon.serving.inference.response",
        "requestid": f"{model}-{number}",
        "inferenceservicename": model,
        "namespace": "seldon",
        "endpoint": "default",
    }
    return Logged(json.dumps({"data": {"ndarray": [[0.2, 0.8]]}}).encode(), _encoded(attributes))


def label(model: str, number: int, y_true: int) -> tuple[str, bytes]:
    """What became of a prediction, for `metrics`."""
    return event("label", model, START + number + 600, prediction_id=f"{model}-{number}", y_true=y_true)


def create(servers: str, *topics: str, partitions: int = 2) -> None:
    """Topics of others, with another number of partitions than ours."""
    admin = AdminClient({"bootstrap.servers": servers})
    for made in admin.create_topics([NewTopic(topic, partitions) for topic in topics]).values():
        made.result()


def write(servers: str, topic: str, records: list[Logged], partitions: int = 2) -> None:
    """Spread over all partitions, for loggers have no key."""
    producer = Producer({"bootstrap.servers": servers})
    for number, record in enumerate(records):
        producer.produce(topic, value=record.value, headers=list(record.headers), partition=number % partitions)
        producer.poll(0)
    assert producer.flush(30) == 0


def _encoded(attributes: dict[str, str]) -> list[tuple[str, bytes]]:
    return [(name, text.encode()) for name, text in attributes.items()]
