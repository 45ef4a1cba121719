"""How Kafka is reached: addresses, TLS and SASL, as plain values. Secrets are in no `repr`. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]

#: Stands for the name of whoever connects, where only the broker knows it: by a certificate, or by a token.
UNKNOWN_PRINCIPAL = "User:NAME"


class SecurityError(ValueError):
    """The security settings cannot be used: a file that is missing, a key that does not fit. The text is one line."""


@dataclass(frozen=True, slots=True)
class Security:
    """TLS and SASL of a connection; the names are those of Kafka's own settings.

    Without `ca_file` the system's certificate authorities are trusted. `password_file` and `token_file` are read
    whenever a connection is made, so that what replaces them is used without a restart.
    """

    protocol: Protocol = "PLAINTEXT"
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    check_hostname: bool = True
    mechanism: Mechanism | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    token_file: Path | None = None

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken."""
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def authenticated(self) -> bool:
        """Whether SASL says who connects."""
        return self.protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    @property
    def principal(self) -> str:
        """Whom access is granted to, as `kafka-acls` takes it."""
        return f"User:{self.username}" if self.authenticated and self.username else UNKNOWN_PRINCIPAL


@dataclass(frozen=True, slots=True)
class Connection:
    """Kafka brokers (`HOST:PORT[,HOST:PORT…]`) and how to speak to them. As a text it is the addresses alone."""

    servers: str
    security: Security = field(default_factory=Security)

    def __str__(self) -> str:
        return self.servers


Cluster = Connection | str
"""What clients are made for. Addresses alone are reached in plain text, as those of a broker for tests are."""


def connection_to(cluster: Cluster) -> Connection:
    """Addresses alone as a connection."""
    return Connection(cluster) if isinstance(cluster, str) else cluster
