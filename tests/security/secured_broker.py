"""A real Kafka with TLS, SASL and ACLs, and an authority for certificates, for the tests of security alone.

Four listeners: plain text for the tests' own administration (its ANONYMOUS is a super user), SASL over TLS, SASL
without TLS, and TLS that wants a client's certificate. Its certificate is for `localhost`, not for 127.0.0.1.
"""

from __future__ import annotations

import argparse
import shlex
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # they are there
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from streams.brokers.jars import JarsBroker

PLAIN_USER, PLAIN_PASSWORD = "plain-user", "plain password"

_NO_NAME: Any = None
_ANYTHING = AclBindingFilter(
    ResourceType.ANY, _NO_NAME, ResourcePatternType.ANY, _NO_NAME, _NO_NAME, AclOperation.ANY, AclPermissionType.ANY
)

_LISTENERS = """
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},SASL://127.0.0.1:{sasl},\
CLEAR://127.0.0.1:{clear},MUTUAL://127.0.0.1:{mutual}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL://localhost:{sasl},CLEAR://localhost:{clear},\
MUTUAL://localhost:{mutual}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,CLEAR:SASL_PLAINTEXT,MUTUAL:SSL
inter.broker.listener.name=PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.principal.mapping.rules=RULE:^.*CN=([^,]+).*$/$1/,DEFAULT
"""

_SASL = """
listener.name.{name}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.{name}.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_{user}="{password}";
listener.name.{name}.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.{name}.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.{name}.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
"""


@dataclass(frozen=True)
class Certificates:
    """An authority and what it signed, as files in a folder."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)

    def write(self) -> None:
        """The broker's files, and `other-ca.pem`: an authority that signed nothing here."""
        self.authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        trustme.CA().cert_pem.write_to_path(str(self.folder / "other-ca.pem"))
        server = self.authority.issue_cert("localhost")
        chain = b"".join(each.bytes() for each in server.cert_chain_pems)
        (self.folder / "server.pem").write_bytes(_pkcs8(server.private_key_pem.bytes()) + chain)

    def client(self, name: str, password: str | None = None) -> tuple[Path, Path]:
        """A certificate and its key for a client of this name."""
        made = self.authority.issue_cert(f"{name}.example", common_name=name)
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
        key.write_bytes(_pkcs8(made.private_key_pem.bytes(), password))
        return cert, key


def _pkcs8(key: bytes, password: str | None = None) -> bytes:
    """As Kafka wants keys in PEM files."""
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    return load_pem_private_key(key, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


class SecuredBroker(JarsBroker):
    """`bootstrap_servers` is the plain listener; `sasl`, `clear` and `mutual` are the others."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.certificates = Certificates(folder.resolve())
        self.certificates.write()
        self._ports = dict(zip(("sasl", "clear", "mutual"), _free_ports(3), strict=True))

    @property
    def sasl(self) -> str:
        return f"localhost:{self._ports['sasl']}"

    @property
    def clear(self) -> str:
        return f"localhost:{self._ports['clear']}"

    @property
    def mutual(self) -> str:
        return f"localhost:{self._ports['mutual']}"

    @property
    def ca_file(self) -> Path:
        return self.certificates.folder / "ca.pem"

    def admin(self) -> AdminClient:
        """A super user. Keep it as long as it works: what it does ends with it."""
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

    def add_user(self, name: str, password: str) -> None:
        """A user of SCRAM, in both sizes."""
        admin = self.admin()
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            change = UserScramCredentialUpsertion(name, ScramCredentialInfo(mechanism, 4096), password.encode())
            for done in admin.alter_user_scram_credentials([change]).values():
                done.result()
        _wait_until(lambda: _knows(admin, name))

    def run_acls(self, lines: Iterable[str]) -> None:
        """Do what `kafka-acls` would at these lines: a Java for each of them takes too long."""
        bindings = {binding for line in lines for binding in bindings_in(line)}
        admin = self.admin()
        for done in admin.create_acls(list(bindings)).values():
            done.result()
        _wait_until(lambda: bindings <= set(admin.describe_acls(_ANYTHING).result()))

    def revoke(self, principal: str, operation: AclOperation, kind: ResourceType, name: str) -> None:
        """Take one right away, whatever the pattern's type."""
        which = AclBindingFilter(
            kind, name, ResourcePatternType.ANY, principal, "*", operation, AclPermissionType.ALLOW
        )
        admin = self.admin()
        for done in admin.delete_acls([which]).values():
            assert done.result(), f"{principal} had no {operation} on {name}"
        _wait_until(lambda: not admin.describe_acls(which).result())

    def _properties(self, port: int, controller_port: int, folder: Path) -> str:
        own = _LISTENERS.format(port=port, controller=controller_port, folder=folder, **self._ports)
        for name in ("sasl", "clear"):
            own += _SASL.format(name=name, user=PLAIN_USER, password=PLAIN_PASSWORD)
        replaced = {line.partition("=")[0] for line in own.splitlines()}
        usual = super()._properties(port, controller_port, folder).splitlines()
        return "\n".join(line for line in usual if line.partition("=")[0] not in replaced) + own


def _knows(admin: AdminClient, user: str) -> bool:
    try:
        asked: Any = admin.describe_user_scram_credentials([user])
        return len(asked[user].result().scram_credential_infos) == 2
    except KafkaException:
        return False


def _wait_until(seen: Callable[[], bool]) -> None:
    """What the controller has written a broker learns a moment later."""
    until = time.monotonic() + 30
    while not seen():
        assert time.monotonic() < until, "the broker does not learn what the controller has written"
        time.sleep(0.02)


def bindings_in(line: str) -> Iterator[AclBinding]:
    """What a line of `kafka-acls --add` grants."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--command-config")
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--operation", action="append", required=True)
    parser.add_argument("--resource-pattern-type", default="literal")
    for option in ("topic", "group", "transactional-id"):
        parser.add_argument(f"--{option}", action="append", default=[])
    program, *arguments = shlex.split(line)
    assert program in ("kafka-acls", "kafka-acls.sh")
    given = parser.parse_args(arguments)
    kinds = {
        ResourceType.TOPIC: given.topic,
        ResourceType.GROUP: given.group,
        ResourceType.TRANSACTIONAL_ID: given.transactional_id,
    }
    for kind, names in kinds.items():
        for name in names:
            for operation in given.operation:
                yield AclBinding(
                    kind,
                    name,
                    ResourcePatternType[given.resource_pattern_type.upper()],
                    given.allow_principal,
                    "*",
                    AclOperation[_constant(operation)],
                    AclPermissionType.ALLOW,
                )


def _constant(operation: str) -> str:
    """`DescribeConfigs` as the client calls it."""
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in operation).strip("_").upper()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
