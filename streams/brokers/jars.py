"""A real Kafka broker (KRaft, one node) on loopback, from jars: for machines with Java but without Docker."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from streams.brokers.broker import Broker, BrokerError, not_started
from streams.brokers.java import cache_folder, fetch_jars, find_java
from streams.brokers.probe import BrokerSilent, wait_until_ready

#: Quick to start and to restart: no wait for a rebalance, few internal partitions, a killed broker's session is short,
#: an expired transaction is aborted soon.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/data
num.partitions=4
num.network.threads=2
num.io.threads=4
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=16777216
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
"""

_LOG4J = """\
Configuration:
  Appenders: {Console: {name: C, PatternLayout: {pattern: "%d %p %c %m%n"}}}
  Loggers: {Root: {level: warn, AppenderRef: {ref: C}}}
"""

_START_TIMEOUT, _STOP_TIMEOUT = 60.0, 30.0


class JarsBroker(Broker):
    """Kafka in a child process. Its data lives in `folder`; by default in a temporary one that `stop` deletes.

    `kill` and `start` again keep data and address, as a crashed broker would. Needs Java 17; Maven fetches the jars
    into `cache` (default: `cache_folder()`) the first time.
    """

    kind = "jars"

    def __init__(self, folder: Path | None = None, *, cache: Path | None = None, heap: str = "512m") -> None:
        self._given_folder = folder
        self._folder: Path | None = folder
        self._cache = cache or cache_folder()
        self._heap = heap
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        if self._port is None:
            raise not_started(self)
        return f"127.0.0.1:{self._port}"

    @property
    def process_id(self) -> int | None:
        """The process id while the broker runs, else None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        if self.process_id is not None:
            return
        java, jars = find_java(), fetch_jars(self._cache)
        folder = self._prepare(java, jars)
        options = [f"-Xmx{self._heap}", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={folder}/log4j2.yaml"]
        command = [*_dying_with_us(), java, *options, "-cp", f"{jars}/*", "kafka.Kafka", f"{folder}/server.properties"]
        with (folder / "kafka.log").open("ab") as log:
            # A session of its own, so that Ctrl-C in a terminal stops the worker first and the broker after it.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_until_ready(self.bootstrap_servers, _START_TIMEOUT, lambda: self.process_id is not None)
        except BrokerSilent as problem:
            said = _last_lines(folder / "kafka.log")
            self.stop()
            raise BrokerError(f"Kafka did not start ({problem}); its log ends with: {said}") from problem

    def stop(self) -> None:
        """Shut down cleanly, and delete the data unless a folder was given."""
        self._end(signal.SIGTERM)
        if self._given_folder is None and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = self._port = None

    def kill(self) -> None:
        """End the broker at once (SIGKILL), as a crash would; `start` brings it back with its data."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Shut down cleanly and start again, keeping data and address."""
        self._end(signal.SIGTERM)
        self.start()

    def _properties(self, port: int, controller_port: int, folder: Path) -> str:
        """The broker's settings; a broker with other listeners says more."""
        return _PROPERTIES.format(port=port, controller_port=controller_port, folder=folder)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _prepare(self, java: str, jars: Path) -> Path:
        """The broker's folder, written and formatted the first time."""
        folder = self._folder = self._folder or Path(tempfile.mkdtemp(prefix="visutility-kafka-"))
        folder = self._folder = folder.resolve()
        properties = folder / "server.properties"
        if (folder / "data" / "meta.properties").exists():
            self._port = _port_in(properties)
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        self._port, controller_port = _free_ports(2)
        properties.write_text(self._properties(self._port, controller_port, folder))
        (folder / "log4j2.yaml").write_text(_LOG4J)
        cluster_id = base64.urlsafe_b64encode(b"v" + os.urandom(15)).decode().rstrip("=")
        options = ["-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={folder}/log4j2.yaml"]
        format_command = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties)]
        done = subprocess.run(
            [java, *options, "-cp", f"{jars}/*", *format_command], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise BrokerError(f"Kafka could not format {folder}: {(done.stdout + done.stderr).strip()[-500:]}")
        return folder


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; held together, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _port_in(properties: Path) -> int:
    advertised = next(line for line in properties.read_text().splitlines() if line.startswith("advertised.listeners="))
    return int(advertised.rpartition(":")[2])


def _dying_with_us() -> list[str]:
    """A prefix that has the kernel end the broker with the thread that started it, however that ends.

    Without it (it is util-linux's) a test run that is killed leaves its broker behind.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return " | ".join(lines[-3:]) or "nothing"
