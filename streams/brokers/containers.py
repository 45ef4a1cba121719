"""Kafka in a container, through testcontainers: where a Docker engine answers."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

from streams.brokers.broker import Broker, BrokerError, not_started
from streams.brokers.probe import BrokerSilent, wait_until_ready

#: The same Kafka as from jars, and in docker-compose.yml.
IMAGE = "apache/kafka:4.1.1"

_PORT, _START_TIMEOUT = 9092, 60.0

#: As for the broker from jars: nothing waits, and few internal partitions.
_ENVIRONMENT = {
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_NODE_ID": "1",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_LISTENERS": f"HOST://:{_PORT},BROKER://localhost:9093,CONTROLLER://localhost:9094",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "HOST:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_NUM_PARTITIONS": "4",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS": "1000",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
}

#: Kafka must be told the port of the host at which it is reached, and only a container that runs has one: it waits for
#: a file with it.
_TOLD = "/tmp/advertised"
_COMMAND = (
    f"sh -c 'while [ ! -e {_TOLD} ]; do sleep 0.1; done; "
    f"KAFKA_ADVERTISED_LISTENERS=$(cat {_TOLD}) exec /etc/kafka/docker/run'"
)


class ContainerBroker(Broker):
    """One Kafka node (KRaft) in a container that testcontainers starts and removes."""

    kind = "containers"

    def __init__(self, image: str = IMAGE) -> None:
        self._image = image
        self._container: Any = None
        self._address: str | None = None

    @property
    def bootstrap_servers(self) -> str:
        if self._address is None:
            raise not_started(self)
        return self._address

    def start(self) -> None:
        try:
            from testcontainers.core.container import DockerContainer
        except ImportError as problem:
            raise BrokerError("Kafka in a container needs testcontainers: pip install testcontainers") from problem
        if not docker_answers():
            raise BrokerError("Kafka in a container needs a Docker engine, and `docker version` reaches none")
        self._container = DockerContainer(self._image, env=dict(_ENVIRONMENT), command=_COMMAND)
        self._container.with_exposed_ports(_PORT)
        try:
            self._container.start()
            self._address = self._advertise()
            wait_until_ready(self._address, _START_TIMEOUT, self._runs)
        except Exception as problem:
            said = self._last_lines() if isinstance(problem, BrokerSilent) else ""
            self.stop()
            raise BrokerError(f"the container of {self._image} did not start: {problem}{said}") from problem

    def stop(self) -> None:
        container, self._container, self._address = self._container, None, None
        if container is not None:
            container.stop()

    def _advertise(self) -> str:
        """Tell Kafka its address, in one step, so that it never reads half of it; returns the address."""
        host, port = self._container.get_container_host_ip(), self._container.get_exposed_port(_PORT)
        address = f"{'127.0.0.1' if host == 'localhost' else host}:{port}"
        listeners = f"HOST://{address},BROKER://localhost:9093"
        told = self._container.exec(["sh", "-c", f"echo {listeners} > {_TOLD}.new && mv {_TOLD}.new {_TOLD}"])
        if told.exit_code != 0:
            raise BrokerError(f"it could not be told its address: {told.output.decode(errors='replace').strip()}")
        return address

    def _runs(self) -> bool:
        running = self._container.get_wrapped_container()
        running.reload()
        return bool(running.status == "running")

    def _last_lines(self) -> str:
        output, errors = self._container.get_logs()
        lines = (output + errors).decode(errors="replace").splitlines()
        return f"; its log ends with: {' | '.join(lines[-3:]) or 'nothing'}"


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
