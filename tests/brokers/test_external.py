from __future__ import annotations

import socket

import pytest

from streams.brokers.broker import Broker, BrokerError
from streams.brokers.choose import choose_broker
from streams.brokers.external import ExternalBroker, parse_bootstrap_servers


@pytest.mark.parametrize(
    "text", ["", "localhost", ":9092", "localhost:", "localhost:kafka", "a:1,,b:2", "a:0", "a:65536"]
)
def test_what_is_no_address_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(BrokerError, match="expected bootstrap servers as host:port"):
        parse_bootstrap_servers(text)


def test_addresses_are_kept_without_blanks() -> None:
    assert parse_bootstrap_servers(" a:9092, [::1]:9093 ") == "a:9092,[::1]:9093"


def test_an_address_where_nobody_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(BrokerError, match=f"no Kafka broker answers at 127.0.0.1:{port}"):
        ExternalBroker(f"127.0.0.1:{port}", timeout=0.5).start()


def test_a_server_that_accepts_but_never_answers_is_not_taken_for_a_broker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(BrokerError, match="timed out"):
            ExternalBroker(f"127.0.0.1:{port}", timeout=0.5).start()


def test_a_running_broker_is_found_by_its_address(broker: Broker) -> None:
    with ExternalBroker(broker.bootstrap_servers) as external:
        assert external.bootstrap_servers == broker.bootstrap_servers


@pytest.mark.parametrize(
    ("choice", "settings", "kind"),
    [
        ("auto", None, "embedded"),
        ("auto", "kafka:9092", "external"),
        ("embedded", "kafka:9092", "embedded"),
        ("kafka:9092", None, "external"),
        ("jars", None, "jars"),
        ("containers", None, "containers"),
    ],
)
def test_the_choice_decides_the_kind_of_broker(choice: str, settings: str | None, kind: str) -> None:
    assert choose_broker(choice, settings).kind == kind


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(BrokerError, match="host:port"):
        choose_broker("embeded")


@pytest.mark.parametrize("choice", ["embedded", "jars", "containers"])
def test_a_broker_that_was_not_started_has_no_address(choice: str) -> None:
    with pytest.raises(BrokerError, match="has not been started"):
        assert choose_broker(choice).bootstrap_servers
