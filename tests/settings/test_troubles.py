"""What is logged while a broker is away: few lines, and none about anything else is lost."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError

from streams.logs import configure_logging
from streams.troubles import QUIET, SAY_EVERY, BrokerTroubles, watch

FLOOD = [
    ("aiokafka", "Unable connect to node with id 1: [Errno 111] Connect call failed ('127.0.0.1', 9092)"),
    ("aiokafka", "Unable to update metadata from [1]"),
    ("aiokafka.producer.sender", "Got error produce response: NodeNotReadyError: not ready (node id 1)."),
    ("aiokafka.producer.sender", "Got error produce response: [Error 19] NotEnoughReplicasError"),
    ("aiokafka.consumer.group_coordinator", "Heartbeat session expired - marking coordinator dead"),
    ("aiokafka.consumer.fetcher", "Failed fetch messages from 1: KafkaConnectionError: Connection closed"),
]


class Bench:
    """A filter under a clock of the test's own, and what it lets through."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.went = 0
        self.lines: list[tuple[int, str]] = []
        self.troubles = BrokerTroubles(lambda: self.now, self._went)

    def _went(self, _: BrokerTroubles) -> None:
        self.went += 1

    def say(self, name: str, text: str, level: int = logging.ERROR) -> None:
        record = logging.LogRecord(name, level, "", 0, "%s", (text,), None)
        if self.troubles.filter(record):
            self.lines.append((record.levelno, record.getMessage()))

    def flood(self, seconds: float) -> None:
        """Twenty lines a second."""
        for step in range(int(seconds * 20)):
            self.say(*FLOOD[step % len(FLOOD)])
            self.now += 0.05


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_broker_that_goes_is_one_line_and_one_more_each_half_a_minute(bench: Bench) -> None:
    bench.flood(SAY_EVERY - 1)
    assert len(bench.lines) == 1
    level, line = bench.lines[0]
    assert (level, bench.went) == (logging.WARNING, 1)
    assert line.startswith("a Kafka broker does not answer (Unable connect to node")
    bench.flood(2 * SAY_EVERY)
    assert len(bench.lines) == 3
    assert bench.lines[1][1].startswith("a Kafka broker has not answered for 30 s (")
    assert bench.lines[1][1].endswith(" such lines left out")
    assert bench.went == 1


def test_a_broker_that_is_back_is_one_line_when_there_was_no_trouble_for_a_while(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="streams.troubles"):
        assert bench.troubles.settle()
        bench.flood(12)
        assert not bench.troubles.settle()
        bench.now += QUIET
        assert bench.troubles.settle()
        assert bench.troubles.settle()
    assert caplog.messages == ["Kafka answers again after 12 s"]
    bench.flood(1)
    assert (len(bench.lines), bench.went) == (2, 2)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("streams.engine", "monitor [0]: NodeNotReadyError: starting again from what is committed"),
        ("aiokafka.consumer.group_coordinator", "Heartbeat failed for group g because it is rebalancing"),
        ("aiokafka.producer.sender", "ProducerFenced: There is a newer producer"),
    ],
)
def test_what_is_not_aiokafkas_or_no_trouble_of_a_broker_is_let_through(bench: Bench, name: str, text: str) -> None:
    bench.flood(1)
    for _ in range(3):
        bench.say(name, text, logging.WARNING)
    assert bench.lines[1:] == [(logging.WARNING, text)] * 3


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logging("json", stream=stream)
    yield stream
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_logging_is_configured_so(logged: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.troubles.QUIET", 0.5)
    for _ in range(10):
        for name, text in FLOOD:
            logging.getLogger(name).error(text)
    for thread in threading.enumerate():
        if thread.name == "broker-troubles":
            thread.join(10)
    said = [json.loads(line)["message"] for line in logged.getvalue().splitlines()]
    back = [line for line in said if line.startswith("Kafka answers again")]
    gone = [line for line in said if line.startswith("a Kafka broker does not answer")]
    assert (len(gone), len(back), len(said)) == (1, 1, 2)


def test_the_thread_that_looks_after_a_broker_ends_when_it_is_back(bench: Bench) -> None:
    bench.flood(1)
    bench.now += QUIET
    watch(bench.troubles)
    for thread in threading.enumerate():
        if thread.name == "broker-troubles":
            thread.join(10)
            assert not thread.is_alive()
    assert bench.troubles._since is None


def test_what_an_acl_denies_is_left_to_the_line_that_says_how_to_grant_it(bench: Bench) -> None:
    for problem in (TopicAuthorizationFailedError("p.drift"), GroupAuthorizationFailedError("p.monitor")):
        record = logging.LogRecord(
            "asyncio", logging.ERROR, "", 0, "never retrieved", (), (type(problem), problem, None)
        )
        assert not bench.troubles.filter(record)
    other = RuntimeError("something else")
    assert bench.troubles.filter(logging.LogRecord("asyncio", 40, "", 0, "x", (), (RuntimeError, other, None)))
