"""Against a real Kafka with TLS, SASL and ACLs: everybody has the rights that `topics acls` prints, and no other."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from aiokafka.errors import TopicAuthorizationFailedError
from confluent_kafka import Producer
from confluent_kafka.admin import AclOperation, ResourceType  # type: ignore[attr-defined] # they are there

from agents.cli.main import main
from agents.dashboard.access import Identity as Person
from agents.dashboard.actions import Actions
from agents.dashboard.source import KafkaSource
from agents.doctor.checks import examine
from agents.doctor.gather import gather
from agents.registry.actions import By
from agents.settings import STAGES, Settings, load_settings
from agents.worker import Worker, engine_settings
from streams.clients import new_admin
from streams.diagnosis import NotConnected
from streams.settings import EngineSettings
from streams.topic_log import newest
from streams.topics import create_topics, wanted_topics
from tests.cli.running import visutility
from tests.conftest import delete_topics
from tests.inputs.making import create, kserve, write
from tests.security.identities import How, Identity, unsecured_token
from tests.security.secured_broker import PLAIN_PASSWORD, PLAIN_USER, SecuredBroker

Become = Callable[[Identity], None]
ADA = Person("ada", "operate", "token")


@pytest.fixture
def become(shell: Path, monkeypatch: pytest.MonkeyPatch) -> Become:
    """Sets the environment to somebody's settings."""

    def switch(identity: Identity) -> None:
        for name, value in identity.settings(shell).items():
            monkeypatch.setenv(f"VISUTILITY_{name.upper()}", value)

    return switch


@pytest.fixture
def prefix(secured: SecuredBroker, shell: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of topics that no other test has; commands take it from the environment."""
    prefix = f"test-{uuid.uuid4().hex[:8]}."
    monkeypatch.setenv("VISUTILITY_TOPIC_PREFIX", prefix)
    monkeypatch.setenv("VISUTILITY_PARTITIONS", "2")
    monkeypatch.setenv("VISUTILITY_LOG_LEVEL", "warning")
    yield prefix
    delete_topics(secured.bootstrap_servers, prefix)


@pytest.fixture
def topics(secured: SecuredBroker, prefix: str) -> str:
    """All topics, made by a super user; their prefix."""
    engine = EngineSettings(secured.bootstrap_servers, topic_prefix=prefix, partitions=2)
    asyncio.run(create_topics(secured.bootstrap_servers, wanted_topics(engine, STAGES)))
    return prefix


def grant(secured: SecuredBroker, role: str, principal: str) -> list[str]:
    """Give somebody the rights of a role, by the lines that the command prints."""
    ran = visutility("topics", "acls", "--role", role, "--principal", principal)
    assert ran.status == 0, ran.err
    secured.run_acls(ran.out.splitlines())
    return ran.out.splitlines()


def produce(settings: Mapping[str, str], topic: str) -> None:
    """A fleet's accuracies, the last of which are far too low, by another client than ours."""
    protocol = settings.get("security_protocol", "PLAINTEXT")
    common = {"bootstrap.servers": settings["bootstrap_servers"], "partitioner": "murmur2_random", "log_level": 0}
    common |= {"security.protocol": protocol, "ssl.ca.location": settings.get("ssl_ca_file", "")}
    own = {}
    if protocol == "SSL":
        own = {"ssl.certificate.location": settings["ssl_cert_file"], "ssl.key.location": settings["ssl_key_file"]}
    elif protocol == "SASL_SSL":
        password = Path(settings["sasl_password_file"]).read_text().strip("\n")
        own = {"sasl.mechanism": settings["sasl_mechanism"], "sasl.username": settings["sasl_username"]}
        own["sasl.password"] = password
    producer = Producer(common | own)
    for number in range(80):
        accuracy = 0.9 + number % 5 / 100 if number < 75 else 0.2
        event = {"type": "metrics", "model_name": "m", "timestamp": 1_750_000_000 + number, "accuracy": accuracy}
        producer.produce(topic, key="m", value=json.dumps(event))
    assert producer.flush(30) == 0


async def requests_on(settings: Settings) -> int:
    engine = engine_settings(settings)
    return len([each async for each in newest(engine.connection, engine.topic("retrain"), 100)])


async def is_taken(settings: Settings) -> bool:
    """Whether the event that an inference server logged is on `metrics`."""
    engine = engine_settings(settings)
    return b"logged" in {each.key async for each in newest(engine.connection, engine.topic("metrics"), 100)}


async def told_by(settings: Settings) -> str:
    """What a worker tells Prometheus."""
    async with ClientSession() as session, session.get(f"http://{settings.metrics_address}/metrics") as answer:
        return await answer.text()


@pytest.mark.parametrize("how", ["SCRAM-SHA-512", "certificate"])
def test_the_loop_runs_with_the_rights_that_are_printed_and_no_other(
    how: How,
    secured: SecuredBroker,
    become: Become,
    prefix: str,
    shell: Path,
    unused_tcp_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VISUTILITY_METRICS_ADDRESS", f"127.0.0.1:{unused_tcp_port}")
    logs = f"{prefix}kserve-logs"
    monkeypatch.setenv("VISUTILITY_INPUTS", json.dumps([{"topic": logs, "layout": "kserve"}]))
    create(secured.bootstrap_servers, logs)
    write(secured.bootstrap_servers, logs, [kserve("logged", 0)])
    roles = {role: Identity(secured, how) for role in ("worker", "dashboard", "fleet", "operator", "recorder")}
    for role, identity in roles.items():
        grant(secured, role, identity.principal)
    become(roles["operator"])
    created = visutility("topics", "create", "--json")
    assert (created.status, len(created.json["created"])) == (0, 19), created.err
    operator = load_settings()
    produce(roles["fleet"].settings(shell), f"{prefix}metrics")

    become(roles["worker"])
    asyncio.run(_work_until_retraining_is_asked(load_settings(), operator))
    become(roles["recorder"])
    recorded = visutility("record", "metrics", "drift", "--to", "all.jsonl", "--json")
    assert (recorded.status, recorded.json["records"] > 80) == (0, True), recorded.err
    become(roles["dashboard"])
    asyncio.run(_look_and_pause(load_settings()))
    become(roles["operator"])
    assert visutility("dlq", "list", "--json").json == {"dead_letters": []}
    assert visutility("retrain", "m", "--json").status == 0
    assert visutility("topics", "check").status == 0


async def _work_until_retraining_is_asked(settings: Settings, operator: Settings) -> None:
    worker = Worker(settings)
    try:
        await worker.start()
        async with asyncio.timeout(60):
            while not (await requests_on(operator) and await is_taken(operator)):  # noqa: ASYNC110 - Kafka tells nobody
                await asyncio.sleep(0.1)
            while 'visutility_records_total{stage="inputs"} 1.0' not in await told_by(settings):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # it was published a moment ago
    finally:
        await worker.stop()


async def _look_and_pause(settings: Settings) -> None:
    source = KafkaSource(settings)
    await source.start()
    try:
        async with asyncio.timeout(60):
            while "m" not in source.view.models:  # noqa: ASYNC110 - what changes it is not ours to wait for
                await asyncio.sleep(0.05)
        assert source.troubles() == []
        action = Actions(settings.topic_prefix).pause("m", By("ada", datetime.now(UTC), ""), ADA)
        await source.publish(action.all_records(settings.topic_prefix))
        assert (await source.series("m")).complete
    finally:
        await source.stop()


@pytest.mark.parametrize(
    ("kind", "name", "operation", "said"),
    [
        ("TOPIC", "metrics", "READ", r"denies \S+ Read on topic \S+metrics: grant it with kafka-acls .* Read --topic"),
        ("TOPIC", "drift", "WRITE", r"denies \S+ Write on topic \S+drift: grant it with kafka-acls .* Write --topic"),
        ("GROUP", "monitor", "READ", r"denies \S+ Read on group \S+monitor: grant it with kafka-acls .*--group"),
        ("TRANSACTIONAL_ID", "monitor-", "WRITE", r"refuses transactional ids that begin with \S+monitor-: allow Wri"),
    ],
    ids=["read", "write", "group", "transactional id"],
)
def test_a_worker_that_lacks_one_right_says_which_and_ends(
    kind: str, name: str, operation: str, said: str, secured: SecuredBroker, become: Become, topics: str
) -> None:
    worker = Identity(secured)
    become(worker)
    grant(secured, "worker", worker.principal)
    secured.revoke(worker.principal, AclOperation[operation], ResourceType[kind], topics + name)
    assert re.search(said, refused_worker())


def refused_worker() -> str:
    """How `visutility worker` says that it cannot work: the one error of its log."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        assert main(["worker"]) == 1
    # A machine that is very busy may make aiokafka warn of something besides.
    logged = [json.loads(line) for line in err.getvalue().splitlines()]
    (said,) = [each["message"] for each in logged if each["level"] == "error"]
    assert "Traceback" not in err.getvalue()
    return str(said)


def test_a_worker_whose_right_is_taken_away_ends_and_says_which(
    secured: SecuredBroker, become: Become, topics: str, shell: Path
) -> None:
    worker, fleet = Identity(secured), Identity(secured)
    become(worker)
    grant(secured, "worker", worker.principal)
    grant(secured, "fleet", fleet.principal)
    settings = load_settings(agents="monitor")

    async def lose() -> None:
        running = Worker(settings)
        try:
            await running.start()
            changelog = f"{topics}monitor-changelog"
            secured.revoke(worker.principal, AclOperation.WRITE, ResourceType.TOPIC, changelog)
            produce(fleet.settings(shell), f"{topics}metrics")
            async with asyncio.timeout(60):
                with pytest.raises(TopicAuthorizationFailedError) as raised:
                    await running.wait()
            line = running.told(raised.value)
            assert f"denies {worker.principal} topic {changelog}: grant it with kafka-acls" in line
        finally:
            await running.stop()

    asyncio.run(lose())


def test_commands_without_a_right_say_which(secured: SecuredBroker, become: Become, topics: str) -> None:
    nobody = Identity(secured)
    become(nobody)
    hidden = visutility("dlq", "list")
    assert hidden.status == 1
    assert f"denies {nobody.principal} topic {topics}dead-letter: grant it with kafka-acls" in hidden.err
    describe = f"kafka-acls --bootstrap-server x:1 --add --allow-principal {nobody.principal} --operation Describe"
    secured.run_acls([f"{describe} --resource-pattern-type prefixed --topic {topics}"])
    produce({"bootstrap_servers": secured.bootstrap_servers}, f"{topics}metrics")
    Path("one.jsonl").write_text('{"type": "heartbeat", "model_name": "m", "timestamp": 1}\n')
    recorded = visutility("record", "--no-cuts", "--to", "all.jsonl")
    assert recorded.status == 1
    assert f"denies {nobody.principal} topic {topics}metrics: grant it with kafka-acls" in recorded.err
    replayed = visutility("replay", "one.jsonl", "--speed", "max")
    assert replayed.status == 1
    assert f"denies {nobody.principal} the cluster: grant it with kafka-acls" in replayed.err
    assert "Write on what is written to does, too; 0 records are sent" in replayed.err


def test_a_topic_that_is_not_there_may_not_be_created_by_whoever(
    secured: SecuredBroker, become: Become, prefix: str
) -> None:
    worker = Identity(secured)
    become(worker)
    grant(secured, "worker", worker.principal)
    said = refused_worker()
    assert "could not be created: Authorization failed. Let somebody who may run visutility topics create" in said


def test_an_operator_rebuilds_each_stage_and_without_a_right_is_told_which(
    secured: SecuredBroker, become: Become, topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Identity(secured)
    become(operator)
    grant(secured, "operator", operator.principal)
    for stage, delivery in (("monitor", "exactly_once"), ("retrain", "at_least_once"), ("tuner", "exactly_once")):
        monkeypatch.setenv("VISUTILITY_DELIVERY", delivery)
        rebuilt = visutility("rebuild", "--stage", stage, "--yes", "--json")
        assert (rebuilt.status, rebuilt.json["stage"]) == (0, stage), rebuilt.err
    changelog = f"{topics}monitor-changelog"
    secured.revoke(operator.principal, AclOperation.DELETE, ResourceType.TOPIC, changelog)
    refused = visutility("rebuild", "--yes")
    assert refused.status == 1
    assert f"denies {operator.principal} Delete on topic {changelog}: grant it with kafka-acls" in refused.err
    assert f"--operation Delete --topic {changelog}" in refused.err


async def names(settings: Settings) -> list[str]:
    admin = new_admin(engine_settings(settings).connection)
    try:
        await admin.start()
        return list(await admin.list_topics())
    finally:
        await admin.close()


@pytest.mark.parametrize("how", ["SCRAM-SHA-256", "OAUTHBEARER"])
def test_other_mechanisms_connect(how: How, secured: SecuredBroker, become: Become, topics: str) -> None:
    somebody = Identity(secured, how)
    become(somebody)
    assert f"{topics}models" not in asyncio.run(names(load_settings()))
    grant(secured, "fleet", somebody.principal)
    assert f"{topics}models" in asyncio.run(names(load_settings()))


@pytest.mark.parametrize("listener", ["sasl", "clear"])
def test_plain_passwords_connect(listener: str, secured: SecuredBroker, topics: str) -> None:
    common: dict[str, Any] = {"sasl_mechanism": "PLAIN", "sasl_username": PLAIN_USER, "sasl_password": PLAIN_PASSWORD}
    tls = {"security_protocol": "SASL_SSL", "ssl_ca_file": secured.ca_file}
    own = tls if listener == "sasl" else {"security_protocol": "SASL_PLAINTEXT"}
    grant(secured, "fleet", f"User:{PLAIN_USER}")
    settings = Settings(**common, **own, bootstrap_servers=getattr(secured, listener))
    assert f"{topics}models" in asyncio.run(names(settings))


def _address(text: str) -> str:
    return text.replace("localhost", "127.0.0.1")


#: What is changed in good settings, and what is said. `{sasl}` and others are the broker's listeners.
MISTAKES: dict[str, tuple[dict[str, str], str]] = {
    "wrong password": ({"sasl_password_file": "wrong"}, "refuses the credentials of .* check sasl_username, sasl_pass"),
    "wrong user": ({"sasl_username": "nobody"}, r"refuses the credentials of nobody \(SCRAM-SHA-512\)"),
    "wrong authority": (
        {"ssl_ca_file": "other-ca.pem"},
        "not signed by what other-ca.pem holds .* set ssl_ca_file",
    ),
    "the system's authorities": ({"ssl_ca_file": ""}, "not signed by an authority that this system trusts"),
    "wrong name": ({"bootstrap_servers": "{address}"}, "shows a certificate for another name .* in bootstrap_servers"),
    "TLS to a plain port": ({"bootstrap_servers": "{plain}"}, "a port without TLS does that: check that security_prot"),
    "no certificate": ({"bootstrap_servers": "{mutual}"}, "wants a certificate of ours .* set ssl_cert_file"),
    "nobody there": (
        {"bootstrap_servers": "localhost:1"},
        "answers at localhost:1: nothing listens there",
    ),
    "no such host": ({"bootstrap_servers": "nowhere.invalid:9"}, "the name is not known"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_connection_that_cannot_be_is_one_line_that_says_why(
    mistake: str, secured: SecuredBroker, become: Become, shell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, said = MISTAKES[mistake]
    (shell / "wrong").write_text("wrong")
    (shell / "other-ca.pem").write_bytes((secured.ca_file.parent / "other-ca.pem").read_bytes())
    become(Identity(secured))
    ports = {"plain": secured.bootstrap_servers, "mutual": secured.mutual, "address": _address(secured.sasl)}
    for name, value in changed.items():
        monkeypatch.setenv(f"VISUTILITY_{name.upper()}", value.format(**ports))
    ran = visutility("topics", "check")
    assert ran.status == 1
    assert re.search(said, ran.err)


@pytest.mark.parametrize("listener", ["sasl", "clear", "mutual"])
def test_plain_text_to_a_secured_port_says_what_to_set(
    listener: str, secured: SecuredBroker, shell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUTILITY_BOOTSTRAP_SERVERS", getattr(secured, listener))
    ran = visutility("topics", "check")
    assert ran.status == 1
    assert "if it wants TLS or credentials, set security_protocol (SSL, SASL_SSL)" in ran.err


def test_a_token_that_has_expired_is_refused(
    secured: SecuredBroker, become: Become, shell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(Identity(secured, "OAUTHBEARER"))
    (shell / "old").write_text(unsecured_token("somebody", -600.0))
    monkeypatch.setenv("VISUTILITY_SASL_TOKEN_FILE", "old")
    with pytest.raises(NotConnected, match="refuses the token in old"):
        asyncio.run(names(load_settings()))


def test_the_doctor_names_what_is_missing(secured: SecuredBroker, become: Become, topics: str) -> None:
    worker = Identity(secured)
    become(worker)
    grant(secured, "worker", worker.principal)
    secured.revoke(worker.principal, AclOperation.READ, ResourceType.GROUP, f"{topics}retrain")
    facts = asyncio.run(gather(load_settings(), datetime.now(UTC), pause=0.0))
    (found,) = [each for each in examine(facts) if each.check == "rights"]
    assert found.state == "problem"
    assert found.found == f"Kafka denies {worker.principal} Read on group {topics}retrain"
    assert "kafka-acls" in found.remedy
