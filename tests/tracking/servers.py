"""A tracking server of MLflow's for tests, where one is installed: VISUTILITY_MLFLOW names its program."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import pytest

PROGRAM = "VISUTILITY_MLFLOW"
PATIENCE = 240.0
"""Seconds; it makes its database first."""


def mlflow_program() -> str:
    """The program to start; the test is skipped where there is none."""
    program = os.environ.get(PROGRAM)
    if not program:
        pytest.skip(f"{PROGRAM} names no mlflow program with a server (mlflow-skinny has none)")
    return program


@contextmanager
def mlflow_server(program: str, folder: Path) -> Iterator[str]:
    """A server on a database of its own, until the end of the block; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--default-artifact-root", str(folder)]
    log = folder / "server.log"
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # it takes long to begin, and runs no jobs here
    environment.pop("PYTHONPATH", None)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *stores], cwd=folder, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    try:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE
        while not _answers(f"{address}/health"):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def forget_all(address: str) -> None:
    """Delete what tests recorded, so that the next one finds nothing."""
    from mlflow import MlflowClient

    client = MlflowClient(address)
    experiments = [each.experiment_id for each in client.search_experiments()]
    for run in client.search_runs(experiments):
        client.delete_run(run.info.run_id)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
