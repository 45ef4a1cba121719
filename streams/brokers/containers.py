"""Kafka in a container, through testcontainers: where a Docker engine answers."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

from streams.brokers.broker import Broker, BrokerError, not_started

IMAGE = "confluentinc/cp-kafka:7.9.0"

#: As for the broker from jars: nothing waits, and few internal partitions.
_ENVIRONMENT = {
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_NUM_PARTITIONS": "4",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
}


class ContainerBroker(Broker):
    """One Kafka node (KRaft) in a container that testcontainers starts and removes."""

    kind = "containers"

    def __init__(self, image: str = IMAGE) -> None:
        self._image = image
        self._container: Any = None

    @property
    def bootstrap_servers(self) -> str:
        if self._container is None:
            raise not_started(self)
        return str(self._container.get_bootstrap_server())

    def start(self) -> None:
        try:
            from testcontainers.kafka import KafkaContainer
        except ImportError as problem:
            raise BrokerError("Kafka in a container needs testcontainers: pip install testcontainers") from problem
        if not docker_answers():
            raise BrokerError("Kafka in a container needs a Docker engine, and `docker version` reaches none")
        container = KafkaContainer(self._image).with_kraft()
        for name, value in _ENVIRONMENT.items():
            container.with_env(name, value)
        try:
            container.start()
        except Exception as problem:
            raise BrokerError(f"the container of {self._image} did not start: {problem}") from problem
        self._container = container

    def stop(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            container.stop()


def docker_answers() -> bool:
    """Whether a Docker engine (not only its command) is there."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        asked = [docker, "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(asked, capture_output=True, timeout=10, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
