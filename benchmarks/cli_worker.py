"""A worker as users start it, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.kafka import PARTITIONS, Kafka
from benchmarks.run import ROOT, ProcessFailed

_START_TIMEOUT, _STOP_TIMEOUT = 60.0, 15.0


@contextmanager
def cli_worker(
    kafka: Kafka, prefix: str, partitions: int = PARTITIONS, agents: str = "monitor", config: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """`visutility worker` with its defaults but for `config` (TOML). Raises `ProcessFailed` if it is never ready."""
    with tempfile.TemporaryDirectory(prefix="visutility-bench-") as folder:
        log, file = Path(folder) / "log", Path(folder) / "visutility.toml"
        file.write_text(config)
        settings = {
            "BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TOPIC_PREFIX": prefix,
            "PARTITIONS": str(partitions),
            "AGENTS": agents,
            "DATA_DIR": folder,
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "info",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VISUTILITY_")}
        given = {f"VISUTILITY_{name}": value for name, value in settings.items()}
        environment = kept | {"PYTHONPATH": str(ROOT)} | given
        command = [sys.executable, "-m", "agents.cli.main", "worker", "--config", str(file)]
        with log.open("wb") as stderr:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
        try:
            _wait_ready(process, log)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_TIMEOUT
    while b'"ready"' not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > end:
            raise ProcessFailed(f"the worker did not get ready: {log.read_text()[-500:]}")
        time.sleep(0.05)
