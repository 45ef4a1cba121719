"""The dashboard's API while records stream, and what it costs the monitor that it is there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import cycle

from aiohttp import ClientError, ClientSession, TCPConnector
from confluent_kafka import Producer

from benchmarks.cli_worker import cli_worker
from benchmarks.kafka import PARTITIONS, QUIET, Kafka
from benchmarks.run import ROOT, Json, ProcessFailed, Run, median
from benchmarks.traffic import in_turn, message, metrics

MODELS, STREAMED, WARM_UP = 1_000, 2_000, 60
"""Models; records a second that stream meanwhile; values of each model that come first, so that all have a state."""

RATE, SECONDS, CONNECTIONS = 1_000, 15.0, 64
"""Requests a second, for how long, over so many connections."""

QUESTIONS = (
    "models?limit=50", "model?model_name=model-7", "models?search=model-5&sort=mean&limit=50", "alerts?firing=true",
    "findings?limit=20", "flow", "dead-letters", "model?model_name=model-123", "health/ready", "models?offset=500",
)  # fmt: skip

_START_TIMEOUT = 60.0


def dashboard(run: Run) -> Json:
    """`records` are what the monitor works off at its maximum rate, without and with the dashboard, in turns."""
    rates: dict[str, list[float]] = {"without": [], "with": []}
    answers: list[Json] = []
    for _ in range(run.rounds):
        for mode, found in rates.items():
            found.append(rate := _maximum_rate(run, with_dashboard=mode == "with"))
            run.say(f"monitor {mode} a dashboard: {rate:,.0f} records/s")
        answers.append(done := _answers(run))
        run.say(", ".join(f"{name} {value:.4g}" for name, value in done.items()))
    with_it, without = median(rates["with"]), median(rates["without"])
    return {
        "records_per_second": {"with": with_it, "without": without},
        "ratios": {"with_over_without": float(f"{with_it / without:.4g}")},
        "api": {name: median(each[name] for each in answers) for name in answers[0]},
    }


def _maximum_rate(run: Run, *, with_dashboard: bool) -> float:
    """Records a second of a worker that finds them all there, a page of one model being open where it is `with`."""
    prefix = run.kafka.name("dashboard.")
    run.kafka.create(f"{prefix}metrics")
    run.kafka.fill(f"{prefix}metrics", metrics(in_turn(run.records, 50)))
    with ExitStack() as open_:
        if with_dashboard:
            port = open_.enter_context(cli_dashboard(run.kafka, prefix, ready=False))
            open_.enter_context(_page(port, "model-7"))
        done = run.worker(f"{prefix}metrics", run.records, prefix=prefix)
    return done.records / done.seconds


def _answers(run: Run) -> Json:
    """Quantiles of the answers' times, in ms, while records stream through a worker."""
    prefix = run.kafka.name("dashboard.")
    with cli_worker(run.kafka, prefix, agents="monitor,retrain"), cli_dashboard(run.kafka, prefix, ready=True) as port:
        run.kafka.fill(f"{prefix}metrics", metrics(in_turn(MODELS * WARM_UP, MODELS)))
        with _streaming(run.kafka, f"{prefix}metrics"):
            _wait(lambda: _total(port) == MODELS, "the dashboard to know all models")
            return asyncio.run(_ask(port))


async def _ask(port: int) -> Json:
    """Ask at a steady rate, whether answers come or not: a slow one does not hold the others up."""
    loop, times, failed = asyncio.get_running_loop(), list[float](), list[str]()
    questions = cycle(QUESTIONS)

    async def one(session: ClientSession, question: str) -> None:
        began = loop.time()
        try:
            async with session.get(f"http://127.0.0.1:{port}/api/v1/{question}") as answer:
                await answer.read()
                if answer.status != 200:
                    failed.append(f"{question}: {answer.status}")
        except (ClientError, OSError) as problem:
            failed.append(f"{question}: {problem}")
        times.append((loop.time() - began) * 1000)

    async with ClientSession(connector=TCPConnector(limit=CONNECTIONS)) as session, asyncio.TaskGroup() as group:
        begin, asked = loop.time(), 0
        while (now := loop.time()) < begin + SECONDS:
            while asked < (now - begin) * RATE:
                group.create_task(one(session, next(questions)))
                asked += 1
            await asyncio.sleep(0.001)
    seconds = loop.time() - begin
    if failed:
        raise ProcessFailed(f"{len(failed)} of {asked} requests failed, the first: {failed[0]}")
    times.sort()
    quantiles = {f"{name}_ms": times[int(len(times) * share)] for name, share in (("p50", 0.5), ("p99", 0.99))}
    return {"requests_per_second": len(times) / seconds} | quantiles


@contextmanager
def cli_dashboard(kafka: Kafka, prefix: str, *, ready: bool) -> Iterator[int]:
    """`visutility dashboard` with its defaults; its port, once it is ready if that is waited for."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VISUTILITY_")}
    own = {"BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "TOPIC_PREFIX": prefix, "PARTITIONS": str(PARTITIONS)}
    environment = kept | {f"VISUTILITY_{name}": value for name, value in own.items()}
    command = [sys.executable, "-m", "agents.cli.main", "dashboard", "--port", "0"]
    env = environment | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None, "it was asked for"
        line = process.stdout.readline()
        if not line.startswith("dashboard: "):
            raise ProcessFailed("the dashboard did not start")
        port = int(line.partition("127.0.0.1:")[2].partition("/")[0])
        if ready:
            _wait(lambda: _status(port, "health/ready") == 200, "the dashboard to be ready")
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _page(port: int, model: str) -> Iterator[None]:
    """What an open page of a model asks: its values once a second, and the rest every few seconds."""
    stop = threading.Event()

    def ask() -> None:
        for turn in cycle(range(4)):
            if stop.wait(1.0):
                return
            for question in (
                f"points?model_name={model}",
                *(("flow", f"model?model_name={model}") if not turn else ()),
            ):
                _status(port, question)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


@contextmanager
def _streaming(kafka: Kafka, topic: str) -> Iterator[None]:
    """STREAMED records a second of MODELS models; every hundredth is far off."""
    stop = threading.Event()

    def stream() -> None:
        producer = Producer(QUIET | {"bootstrap.servers": kafka.bootstrap_servers, "partitioner": "murmur2_random"})
        begin, number = time.monotonic(), 0
        while not stop.wait(0.01):
            while number < (time.monotonic() - begin) * STREAMED:
                name, value = f"model-{number % MODELS}", 0.5 if number % 100 == 7 else 0.93
                producer.produce(topic, key=name, value=message(number + MODELS * WARM_UP, name, value))
                number += 1
            producer.poll(0)
        producer.flush(10)

    thread = threading.Thread(target=stream, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(15)


def _status(port: int, question: str) -> int:
    return _fetched(port, question)[0]


def _total(port: int) -> int:
    return int(json.loads(_fetched(port, "models?limit=1")[1] or b"{}").get("total", 0))


def _fetched(port: int, question: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", f"/api/v1/{question}")
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException):
        return 0, b""
    finally:
        connection.close()


def _wait(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _START_TIMEOUT
    while not true():
        if time.monotonic() > end:
            raise ProcessFailed(f"waited in vain for {what}")
        time.sleep(0.1)
