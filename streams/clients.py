"""The one place where Kafka clients are made: all of them connect as the settings say.

`tests/security/test_clients.py` refuses any other.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.abc import AbstractTokenProvider
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from streams.diagnosis import NotConnected, refusal, why_not
from streams.security import Cluster, Security, SecurityError, connection_to

#: Bytes of a password or token file, at most: a mistaken path must not fill the memory.
_MOST_SECRET = 64 * 1024


def new_consumer(cluster: Cluster, *topics: str, **options: Any) -> AIOKafkaConsumer:
    """A consumer with aiokafka's `options`. Raises `SecurityError`; its `start` says why it cannot connect."""
    return _Consumer(*topics, cluster=cluster, **options)


def new_producer(cluster: Cluster, **options: Any) -> AIOKafkaProducer:
    """A producer with aiokafka's `options`. Raises `SecurityError`; its `start` says why it cannot connect."""
    return _Producer(cluster=cluster, **options)


def new_admin(cluster: Cluster, **options: Any) -> AIOKafkaAdminClient:
    """An admin client with aiokafka's `options`. Raises `SecurityError`; its `start` says why it cannot connect."""
    return _Admin(cluster=cluster, **options)


def client_arguments(cluster: Cluster) -> dict[str, Any]:
    """How aiokafka's clients are told where and how to connect. Raises `SecurityError`."""
    connection = connection_to(cluster)
    security = connection.security
    arguments: dict[str, Any] = {"bootstrap_servers": connection.servers, "security_protocol": security.protocol}
    if security.encrypted:
        arguments["ssl_context"] = tls_context(security)
    if security.authenticated:
        arguments["sasl_mechanism"] = security.mechanism
        if security.mechanism == "OAUTHBEARER":
            arguments["sasl_oauth_token_provider"] = _TokenFile(_needed(security.token_file, "sasl_token_file"))
        else:
            arguments["sasl_plain_username"] = security.username
            arguments["sasl_plain_password"] = _password(security)
    return arguments


def faust_credentials(cluster: Cluster) -> Any:
    """The same for Faust, which makes its own clients; None for plain text. Raises `SecurityError`."""
    security, given = connection_to(cluster).security, client_arguments(cluster)
    context = given.get("ssl_context")
    if security.authenticated and security.mechanism == "OAUTHBEARER":
        return faust.OAuthCredentials(oauth_cb=given["sasl_oauth_token_provider"], ssl_context=context)
    if security.authenticated:
        return faust.SASLCredentials(
            username=given["sasl_plain_username"],
            password=given["sasl_plain_password"],
            ssl_context=context,
            mechanism=security.mechanism,
        )
    return faust.SSLCredentials(context) if security.encrypted else None


def check_security(cluster: Cluster) -> None:
    """Read what the settings name, and connect nowhere. Raises `SecurityError`."""
    client_arguments(cluster)
    if (file := connection_to(cluster).security.token_file) is not None:
        _secret_in(file, "sasl_token_file")


def tls_context(security: Security) -> ssl.SSLContext:
    """TLS 1.2 or newer, certificates verified. Raises `SecurityError`."""
    _check_readable(security.ca_file, "ssl_ca_file")
    _check_readable(security.cert_file, "ssl_cert_file")
    _check_readable(security.key_file, "ssl_key_file")
    try:
        context = ssl.create_default_context(cafile=security.ca_file)
    except ssl.SSLError:
        raise SecurityError(f"ssl_ca_file: {security.ca_file} holds no certificate in PEM form") from None
    context.check_hostname = security.check_hostname
    if security.cert_file is not None:
        _load_certificate(context, security, security.cert_file)
    return context


def _load_certificate(context: ssl.SSLContext, security: Security, cert_file: Path) -> None:
    key, asked = security.key_file or cert_file, False

    def password() -> str:
        """Without this OpenSSL would ask on the terminal."""
        nonlocal asked
        asked = True
        return security.key_password or ""

    try:
        context.load_cert_chain(cert_file, security.key_file, password)
    except (ssl.SSLError, ValueError) as problem:  # ValueError: a password longer than OpenSSL takes
        if asked:
            has = "does not open" if security.key_password else "is needed to open"
            raise SecurityError(f"ssl_key_password: it {has} {key}") from None
        if "MISMATCH" in (getattr(problem, "reason", None) or ""):
            raise SecurityError(f"ssl_key_file: {key} is not the key of the certificate in {cert_file}") from None
        raise SecurityError(
            f"ssl_cert_file: {cert_file} and {key} hold no certificate with its key in PEM form"
        ) from None


def _check_readable(file: Path | None, key: str) -> None:
    if file is not None:
        try:
            with file.open("rb"):
                pass
        except OSError as problem:
            raise SecurityError(f"{key}: {file} cannot be read: {problem.strerror}") from None


def _password(security: Security) -> str:
    if security.password is not None:
        return security.password
    return _secret_in(_needed(security.password_file, "sasl_password_file"), "sasl_password_file")


def _secret_in(file: Path, key: str) -> str:
    """A file's text without the line break that editors put at its end. Raises `SecurityError`."""
    try:
        with file.open("rb") as content:
            text = content.read(_MOST_SECRET).decode()
    except OSError as problem:
        raise SecurityError(f"{key}: {file} cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise SecurityError(f"{key}: {file} is no text in UTF-8") from None
    if not (secret := text.strip("\r\n")):
        raise SecurityError(f"{key}: {file} is empty")
    return secret


def _needed(file: Path | None, key: str) -> Path:
    if file is None:
        raise SecurityError(f"{key} is needed")
    return file


class _TokenFile(AbstractTokenProvider):  # type: ignore[misc] # aiokafka has no types
    """Gives the token that the file holds now: Kubernetes replaces it before it expires."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def token(self) -> str:
        try:
            return await asyncio.to_thread(_secret_in, self._file, "sasl_token_file")
        except SecurityError as problem:
            # An error of any other kind would end aiokafka's tasks; this one it tells, and tries again.
            raise KafkaConnectionError(str(problem)) from None


class _Diagnosed:
    """Before aiokafka's own class: a client that is made for a cluster, and says why it cannot connect."""

    def __init__(self, *topics: str, cluster: Cluster, **options: Any) -> None:
        super().__init__(*topics, **client_arguments(cluster), **options)
        self._made_for = cluster

    async def start(self) -> None:
        """As aiokafka's; raises `NotConnected` with the reason, where there is one to be found."""
        # aiokafka does not notice that a token is refused, and would wait for ever for what comes after.
        by_token = connection_to(self._made_for).security.mechanism == "OAUTHBEARER"
        if by_token and (said := await refusal(self._made_for, client_arguments(self._made_for))):
            raise NotConnected(said)
        try:
            await super().start()  # type: ignore[misc]
        except KafkaConnectionError as problem:
            raise await why_not(self._made_for, client_arguments(self._made_for)) from problem


class _Consumer(_Diagnosed, AIOKafkaConsumer):  # type: ignore[misc] # aiokafka has no types
    pass


class _Producer(_Diagnosed, AIOKafkaProducer):  # type: ignore[misc]
    pass


class _Admin(_Diagnosed, AIOKafkaAdminClient):  # type: ignore[misc]
    pass
