"""The retrain policy as operators meet it: pauses, budgets, dry runs, and where requests go."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from uuid import uuid4

import pytest
from confluent_kafka import Consumer

from streams.brokers.broker import Broker
from streams.partitioner import partition_of
from tests.loop.driving import PARTITIONS, Cluster, Json, wait_until
from tests.loop.traffic import START, accuracies, event


class Receiver(ThreadingHTTPServer):
    """A web address that is out of order for the first request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = iter([503])
        self.taken: Queue[tuple[int, str, Json]] = Queue()

    def answer(self) -> int:
        """The status of the next answer."""
        return next(self.answers, 204)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/retrain"


class SlowReceiver(Receiver):
    """A web address that answers a request only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived, self.may_answer = Event(), Event()

    def answer(self) -> int:
        """Wait, then take it."""
        self.arrived.set()
        self.may_answer.wait(120)
        return 204


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.server.answer()
        self.send_response(status)
        self.end_headers()
        self.server.taken.put((status, self.headers["Idempotency-Key"], body))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the command of a rule fills."""
    return tmp_path_factory.mktemp("mailbox") / "request.json"


@pytest.fixture(scope="module", params=["real", "embedded"])
def cluster(
    request: pytest.FixtureRequest, receiver: Receiver, mailbox: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A worker that most tests of this module share, each with models of its own."""
    broker: Broker = request.getfixturevalue(f"{request.param}_broker")
    receiver.answers = iter([503])
    mailbox.unlink(missing_ok=True)
    file = shlex.quote(str(mailbox))
    settings = f"""
agents = ["monitor", "retrain", "tuner"]

[[retrain]]
models = "dry"
dry_run = true

[[retrain]]
models = "webhook"
deliver = {{ webhook = "{receiver.url}" }}

[[retrain]]
models = "command"
deliver = {{ command = ["sh", "-c", "cat > {file}.part && mv {file}.part {file}"] }}

[[retrain]]
models = "*"

[[tune]]
models = "by-hand"
objective = "tests.loop.objective:objective"
trials = 2
space = {{ learning_rate = {{ type = "float_range", min = 1e-4, max = 0.3, log = true }} }}
"""
    cluster = Cluster(broker, f"test-{uuid4().hex[:12]}.", tmp_path_factory.mktemp("cluster"), settings)
    cluster.worker()
    yield cluster
    cluster.stop()


def drifting(*models: str) -> list[tuple[str, bytes]]:
    """Models that do well a hundred times, and then three times not."""
    return [record for model in models for record in accuracies(model, healthy=100, drifted=3)]


def kinds(alerts: list[Json]) -> list[tuple[str, str]]:
    return [(alert["kind"], alert["state"]) for alert in alerts]


def test_a_paused_model_is_watched_but_not_retrained_until_it_is_resumed(cluster: Cluster) -> None:
    ran = cluster.visutility("pause", "paused", "--note", "the data centre moves")
    assert (ran.returncode, ran.stderr) == (0, "")
    cluster.wait_idle()
    records = drifting("paused")
    cluster.produce(records[:-1])
    cluster.wait_idle()
    assert len(cluster.about("paused", "drift")) == 2
    assert cluster.about("paused", "retrain") == []
    assert kinds(cluster.about("paused", "alerts")) == [
        ("retrain_paused", "firing"), ("retrain_suppressed", "firing"),
    ]  # fmt: skip
    assert "the data centre moves" in cluster.about("paused", "alerts")[0]["message"]

    ran = cluster.visutility("resume", "paused")
    assert (ran.returncode, ran.stderr) == (0, "")
    cluster.wait_idle()
    cluster.produce(records[-1:])
    cluster.wait_idle()
    (request,) = cluster.about("paused", "retrain")
    assert request["cause_ids"][0] == "paused-102"
    assert kinds(cluster.about("paused", "alerts"))[2:] == [("retrain_paused", "resolved")]


def test_a_dry_run_says_what_would_be_retrained(cluster: Cluster) -> None:
    cluster.produce(drifting("dry"))
    cluster.wait_idle()
    assert cluster.about("dry", "retrain") == []
    told, suppressed = cluster.about("dry", "alerts")
    assert (told["kind"], told["severity"]) == ("retrain_dry_run", "info")
    assert told["message"].startswith("would be retrained: accuracy 0.65 is worse")
    assert suppressed["kind"] == "retrain_suppressed"


@pytest.mark.any_broker
def test_a_request_reaches_a_web_address_that_was_out_of_order(cluster: Cluster, receiver: Receiver) -> None:
    cluster.produce(drifting("webhook"))
    (request,) = cluster.wait_for("retrain", 1, "webhook")
    assert receiver.taken.get(timeout=120) == (503, request["event_id"], request)
    assert receiver.taken.get(timeout=120) == (204, request["event_id"], request)
    ran = cluster.visutility("retrain", "webhook")  # the next one, in the same partition: what was taken is done with
    assert (ran.returncode, ran.stderr) == (0, "")
    status, _, by_hand = receiver.taken.get(timeout=120)
    assert (status, by_hand["rule"], by_hand["cause_ids"]) == (204, "by-hand", [])


def test_a_request_is_the_standard_input_of_a_command(cluster: Cluster, mailbox: Path) -> None:
    cluster.produce(drifting("command"))
    (request,) = cluster.wait_for("retrain", 1, "command")
    wait_until(mailbox.exists, "the command has not run")
    assert json.loads(mailbox.read_text()) == request


def test_the_tuner_acts_on_a_request_made_by_hand(cluster: Cluster) -> None:
    ran = cluster.visutility("retrain", "by-hand", "--model-version", "3", "--note", "new labels", "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    published = json.loads(ran.stdout)["message"]
    *trials, finished = cluster.wait_for("trials", 3, "by-hand")
    assert [trial["state"] for trial in trials] == ["complete"] * 2
    assert (finished["request_id"], finished["state"]) == (published["event_id"], "complete")
    version, _ = cluster.wait_for("models", 1, "by-hand")
    assert (version["version"], version["parent_version"]) == ("4", "3")


def test_the_p_value_of_another_monitor_counts_if_it_is_low(cluster: Cluster) -> None:
    cluster.produce([event("external_drift", "p-low", START, event_id="low", p_value=0.01)])
    cluster.produce([event("external_drift", "p-high", START, event_id="high", p_value=0.5)])
    cluster.wait_idle()
    (request,) = cluster.about("p-low", "retrain")
    assert (request["value"], request["threshold"], request["cause_ids"][0]) == (0.01, 0.05, "low")
    assert len(cluster.about("p-high", "drift")) == 1
    assert cluster.about("p-high", "retrain") == []


def test_a_budget_holds_for_all_models_together(broker: Broker, topic_prefix: str, tmp_path: Path) -> None:
    cluster = Cluster(broker, topic_prefix, tmp_path)
    cluster.settings = 'agents = ["monitor", "retrain"]\nretrain_budget_per_hour = 1\n'
    try:
        worker = cluster.worker()
        cluster.produce(drifting("a", "b", "c"))
        cluster.wait_idle()
        (request,) = cluster.messages("retrain")
        refused = [alert for alert in cluster.messages("alerts") if alert["kind"] == "retrain_budget_exceeded"]
        assert {request["model_name"], *(alert["model_name"] for alert in refused)} == {"a", "b", "c"}
        assert len(refused) == 2
        assert worker.terminate() == 0
    finally:
        cluster.stop()


def test_a_delivery_that_a_rebalance_overtakes_does_not_stop_the_others(
    real_broker: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    cluster = Cluster(real_broker, topic_prefix, tmp_path)
    with SlowReceiver() as receiver:
        Thread(target=receiver.serve_forever, daemon=True).start()
        cluster.settings = f'agents = ["retrain"]\n[[retrain]]\ndeliver = {{ webhook = "{receiver.url}" }}\n'
        try:
            cluster.worker()
            first, second = (model_in(partition) for partition in (0, 1))
            assert cluster.visutility("retrain", first).returncode == 0
            assert receiver.arrived.wait(120)
            with closing(other_member(cluster)) as other:
                wait_until(lambda: partition_0_is_of(other), "the partition has not moved")
                receiver.may_answer.set()
                receiver.taken.get(timeout=120)
            assert cluster.visutility("retrain", second).returncode == 0
            # The first is delivered again, for its new owner never said that it was.
            assert {receiver.taken.get(timeout=120)[2]["model_name"] for _ in range(2)} == {first, second}
        finally:
            receiver.may_answer.set()
            receiver.shutdown()
            cluster.stop()


def model_in(partition: int) -> str:
    return next(name for name in map(str, count()) if partition_of(name, PARTITIONS) == partition)


def other_member(cluster: Cluster) -> Consumer:
    """A member of the group that delivers, whose id comes first: round robin gives it partition 0."""
    consumer = Consumer(
        {
            "bootstrap.servers": cluster.broker.bootstrap_servers,
            "group.id": f"{cluster.prefix}retrain-delivery",
            "client.id": "a",
            "partition.assignment.strategy": "roundrobin",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([f"{cluster.prefix}retrain"])
    return consumer


def partition_0_is_of(consumer: Consumer) -> bool:
    consumer.poll(0.1)
    return 0 in {place.partition for place in consumer.assignment()}
