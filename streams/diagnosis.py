"""Why a broker is not reached or refuses: one line that says what was denied and what to do.

aiokafka tries all addresses and says in the end only that none would do; what each said is in its log. So the question
is asked once more, without it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from aiokafka.client import collect_hosts
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from streams.security import Cluster, Security, connection_to

#: Seconds for one address to answer.
_PATIENCE = 5.0

DENIED = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
"""What the broker answers to whom an ACL is missing. Asked again, it answers the same."""

#: OpenSSL's numbers of what is wrong with a certificate (X509_V_ERR_…).
_EXPIRED, _NOT_YET, _NAME_DIFFERS, _ADDRESS_DIFFERS = 10, 9, 62, 64


class NotConnected(KafkaConnectionError):  # type: ignore[misc] # aiokafka has no types
    """No broker could be talked to; the text is one line that says why, and what to do."""

    def __str__(self) -> str:
        return str(self.args[0])


async def why_not(cluster: Cluster, arguments: Mapping[str, Any]) -> NotConnected:
    """Ask each address, then the brokers it names, until one says why it does not serve us.

    `arguments` are those of `streams.clients.client_arguments`.
    """
    said = await refusal(cluster, arguments)
    return NotConnected(said or f"no Kafka broker answers at {cluster}; it did when it was asked again")


async def refusal(cluster: Cluster, arguments: Mapping[str, Any]) -> str:
    """What the first address that does not serve us says; nothing if all do. `arguments` as above."""
    connection = connection_to(cluster)
    for host, port, _ in collect_hosts(connection.servers):
        if said := await _asked(host, port, connection.security, arguments):
            return said
    return ""


async def _asked(host: str, port: int, security: Security, arguments: Mapping[str, Any]) -> str:
    """What is wrong with an address or a broker that it names; nothing if all serve us."""
    try:
        async with asyncio.timeout(_PATIENCE):
            brokers = await _brokers(host, port, arguments)
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is the answer
        return reason(problem, f"{host}:{port}", security)
    for broker_host, broker_port in brokers:
        if (broker_host, broker_port) == (host, port):
            continue
        try:
            async with asyncio.timeout(_PATIENCE):
                await _brokers(broker_host, broker_port, arguments)
        except Exception as problem:  # noqa: BLE001
            at = f"{broker_host}:{broker_port} (as {host}:{port} calls one of its brokers)"
            return reason(problem, at, security)
    return ""


async def _brokers(host: str, port: int, arguments: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The addresses that a broker tells of its cluster."""
    own = {name: value for name, value in arguments.items() if name != "bootstrap_servers"}
    connection: AIOKafkaConnection = await create_conn(host, port, **own)
    try:
        answer = await connection.send(MetadataRequest([]))
    finally:
        closed = connection.close()
        if closed is not None:
            await asyncio.wait({closed}, timeout=1.0)
    if not answer.brokers and own.get("sasl_mechanism") == "OAUTHBEARER":
        # A token that is refused is told in an answer of its own kind, which aiokafka takes for one to its question.
        raise SaslAuthenticationFailed("it is not valid, or not any more")
    return [(broker[1], broker[2]) for broker in answer.brokers]


def reason(problem: BaseException, at: str, security: Security) -> str:
    """What went wrong with a connection, in one line."""
    cause = _deepest(problem)
    if isinstance(cause, ssl.SSLError):
        return _of_tls(cause, at, security)
    if isinstance(cause, (SaslAuthenticationFailed, IllegalSaslStateError)) and security.authenticated:
        return _of_credentials(cause, at, security)
    if isinstance(cause, UnsupportedSaslMechanismError):
        offered = str(cause).rpartition(": ")[2]
        return f"{at} does not take {security.mechanism}: set sasl_mechanism to one that it offers ({offered})"
    if isinstance(cause, socket.gaierror):
        return f"no Kafka broker answers at {at}: the name is not known ({cause.strerror}); check bootstrap_servers"
    if isinstance(cause, ConnectionRefusedError):
        return f"no Kafka broker answers at {at}: nothing listens there; check bootstrap_servers"
    if isinstance(cause, TimeoutError):
        return f"no Kafka broker answers at {at} within {_PATIENCE:g} s; check bootstrap_servers{_perhaps(security)}"
    if isinstance(cause, (ConnectionError, EOFError, KafkaConnectionError)):
        return f"no Kafka broker answers at {at}: it hung up{_perhaps(security)}"
    return f"no Kafka broker answers at {at}: {type(cause).__name__}: {cause}"


def _perhaps(security: Security) -> str:
    """What may be behind a broker that accepts a connection and then says nothing."""
    if security.protocol == "PLAINTEXT":
        return "; if it wants TLS or credentials, set security_protocol (SSL, SASL_SSL)"
    if not security.encrypted:
        return "; if it wants TLS, set security_protocol to SASL_SSL"
    if not security.authenticated:
        return "; if it wants credentials, set security_protocol to SASL_SSL; if a certificate, ssl_cert_file"
    return "; a port without TLS does that: check that security_protocol is the one of this port"


def _of_tls(problem: ssl.SSLError, at: str, security: Security) -> str:
    if isinstance(problem, ssl.SSLCertVerificationError):
        code, said = problem.verify_code, problem.verify_message
        if code in (_NAME_DIFFERS, _ADDRESS_DIFFERS):
            return f"{at} shows a certificate for another name ({said}): put a name that is in it in bootstrap_servers"
        if code in (_EXPIRED, _NOT_YET):
            return f"{at} shows a certificate that is not valid now ({said}): have it renewed; check this clock"
        trusted = f"what {security.ca_file} holds" if security.ca_file else "an authority that this system trusts"
        return f"{at} shows a certificate that is not signed by {trusted} ({said}): set ssl_ca_file to its authority's"
    said = (problem.reason or str(problem)).replace("_", " ").lower()
    if "certificate required" in said or "handshake failure" in said or "bad certificate" in said:
        return f"{at} wants a certificate of ours that it trusts ({said}): set ssl_cert_file and ssl_key_file"
    if "unknown ca" in said or "certificate unknown" in said:
        return f"{at} does not trust our certificate ({said}): check ssl_cert_file against the broker's authorities"
    if "wrong version number" in said or "record layer failure" in said or "packet length too long" in said:
        plain = "SASL_PLAINTEXT" if security.authenticated else "PLAINTEXT"
        return f"{at} speaks no TLS: use its TLS port; security_protocol = {plain} would send all in clear text"
    return f"{at} and we agree on no TLS: {said}"


def _of_credentials(problem: KafkaError, at: str, security: Security) -> str:
    said = " ".join(str(problem).split())
    if security.mechanism == "OAUTHBEARER":
        return f"{at} refuses the token in {security.token_file}: {said}"
    keys = "sasl_username, sasl_password and sasl_mechanism"
    return f"{at} refuses the credentials of {security.username} ({security.mechanism}): check {keys}"


def told(problem: BaseException, cluster: Cluster) -> str:
    """What Kafka's refusal or silence comes to, in one line."""
    if isinstance(problem, NotConnected):
        return str(problem)
    if isinstance(problem, KafkaConnectionError):
        return f"no Kafka broker answers at {cluster}"
    if isinstance(problem, TimeoutError):
        return f"Kafka at {cluster} did not answer in time{_perhaps(connection_to(cluster).security)}"
    return denial(problem, cluster) or f"Kafka at {cluster}: {type(problem).__name__}: {problem}"


def silence(cluster: Cluster, seconds: float) -> str:
    """That nothing came for so long, in one line."""
    hint = _perhaps(connection_to(cluster).security)
    return f"no Kafka broker answered at {cluster} within {seconds:g} s; check the address{hint}"


def denial(problem: BaseException, cluster: Cluster) -> str | None:
    """What an ACL denies and what to grant, in one line; None for what is no denial."""
    connection = connection_to(cluster)
    principal = connection.security.principal
    names = _names_in(problem)
    named = ", ".join(names)
    if isinstance(problem, TopicAuthorizationFailedError):
        what, needed = f"topic {named}", [f"--operation Read --topic {name}" for name in names]
        also = "; to write to it, --operation Write"
    elif isinstance(problem, GroupAuthorizationFailedError):
        what, needed, also = f"consumer group {named}", [f"--operation Read --group {name}" for name in names], ""
    elif isinstance(problem, TransactionalIdAuthorizationFailed):
        begin = f"{names[0].rpartition('-')[0]}-" if names else "…"
        needed = [f"--operation Write --resource-pattern-type prefixed --transactional-id {begin}"]
        what, also = f"transactional id {named}", ""
    elif isinstance(problem, ClusterAuthorizationFailedError):
        what, needed, also = (
            f"the cluster {named}".rstrip(),
            ["--operation IdempotentWrite --cluster"],
            "; Write on what is written to does, too",
        )
    else:
        return None
    flags = needed[0] if needed else "…"
    line = f"kafka-acls --bootstrap-server {connection.servers} --add --allow-principal {principal} {flags}"
    return f"Kafka at {cluster} denies {principal} {what}: grant it with {line}{also}"


def denial_in(problem: BaseException) -> BaseException | None:
    """The denial that an error is, or follows from: what aiokafka does after one may fail in other ways."""
    seen: BaseException | None = problem
    while seen is not None and not isinstance(seen, DENIED):
        seen = seen.__cause__ or seen.__context__
    return seen


def _names_in(problem: BaseException) -> list[str]:
    """Aiokafka gives a name, or some in a set or a list."""
    given = problem.args[0] if problem.args else ()
    return sorted(map(str, given)) if isinstance(given, (set, frozenset, list, tuple)) else [str(given)]


def _deepest(problem: BaseException) -> BaseException:
    """What the others follow from."""
    while problem.__cause__ is not None:
        problem = problem.__cause__
    return problem
