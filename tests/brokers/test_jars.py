from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.brokers.broker import BrokerError
from streams.brokers.jars import JarsBroker
from streams.brokers.java import cache_folder, fetch_jars, find_java, java_version

REQUIRED = os.environ.get("VISUTILITY_REQUIRE_KAFKA", "") not in ("", "0")


@pytest.fixture
def jars_broker() -> Iterator[JarsBroker]:
    """A broker of the test's own, to be killed."""
    broker = JarsBroker(heap="256m")
    try:
        broker.start()
    except BrokerError as problem:
        if REQUIRED:
            pytest.fail(str(problem), pytrace=False)
        pytest.skip(str(problem))
    try:
        yield broker
    finally:
        broker.stop()


async def test_a_killed_broker_comes_back_at_its_address_with_its_data(jars_broker: JarsBroker) -> None:
    address, partition = jars_broker.bootstrap_servers, TopicPartition("kept", 0)
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all")
    await producer.start()
    await producer.send_and_wait("kept", b"value", partition=0)
    await producer.stop()

    jars_broker.kill()
    assert jars_broker.process_id is None
    jars_broker.start()

    assert jars_broker.bootstrap_servers == address
    consumer = AIOKafkaConsumer(bootstrap_servers=address, group_id=None, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([partition])
        assert (await consumer.getone()).value == b"value"
    finally:
        await consumer.stop()


def test_a_stopped_broker_leaves_neither_process_nor_data(jars_broker: JarsBroker) -> None:
    process = jars_broker.process_id
    assert process is not None
    folder = _data_folder(process)
    assert folder.is_dir()
    jars_broker.stop()
    assert not folder.exists()
    assert not Path(f"/proc/{process}").exists()


def test_a_folder_that_was_given_is_kept(jars_broker: JarsBroker, tmp_path: Path) -> None:
    with JarsBroker(tmp_path / "kafka", heap="256m") as broker:
        address = broker.bootstrap_servers
    with JarsBroker(tmp_path / "kafka", heap="256m") as again:
        assert again.bootstrap_servers == address


def _data_folder(process: int) -> Path:
    command = Path(f"/proc/{process}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    return Path(command[-1].decode()).parent


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "21" 2023-09-19', 21),
        ("java: not found", None),
    ],
)
def test_the_version_of_java_is_read_from_what_it_prints(said: str, version: int | None) -> None:
    assert java_version(said) == version


def test_a_machine_without_java_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match=r"needs Java 17 or newer.*VISUTILITY_BOOTSTRAP_SERVERS"):
        find_java()


def test_an_old_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _program(tmp_path / "java", "echo 'openjdk version \"11.0.2\"' >&2")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(BrokerError, match=r'says openjdk version "11\.0\.2"'):
        find_java()


def test_a_machine_without_maven_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match=r"there is no `mvn`.*embedded broker"):
        fetch_jars(tmp_path / "cache")


def test_a_failed_download_says_why_and_leaves_nothing_half_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _program(tmp_path / "mvn", "echo '[ERROR] unknown host'; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(BrokerError, match="unknown host"):
        fetch_jars(tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_the_cache_is_where_the_environment_says(tmp_path: Path) -> None:
    assert cache_folder({"VISUTILITY_CACHE": str(tmp_path), "XDG_CACHE_HOME": "/x"}) == tmp_path
    assert cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/visutility")
    assert cache_folder({}) == Path.home() / ".cache" / "visutility"


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
