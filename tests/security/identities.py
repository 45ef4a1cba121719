"""Who connects to the secured broker, and how: the environment that makes commands and workers be somebody."""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.security.secured_broker import SecuredBroker

How = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "certificate", "OAUTHBEARER"]

PASSWORD = "a password: ünïcode, 'quotes' and all"


@dataclass(frozen=True)
class Identity:
    """A principal of its own, and the settings by which it connects."""

    broker: SecuredBroker
    how: How = "SCRAM-SHA-512"
    name: str = field(default_factory=lambda: f"somebody-{uuid.uuid4().hex[:8]}")

    @property
    def principal(self) -> str:
        return f"User:{self.name}"

    def settings(self, folder: Path) -> dict[str, str]:
        """Keys of the settings; makes the user, certificate or token they need."""
        trust = {"ssl_ca_file": str(self.broker.ca_file)}
        if self.how == "certificate":
            cert, key = self.broker.certificates.client(self.name)
            own = {"security_protocol": "SSL", "ssl_cert_file": str(cert), "ssl_key_file": str(key)}
            return trust | own | {"bootstrap_servers": self.broker.mutual}
        own = {"security_protocol": "SASL_SSL", "sasl_mechanism": self.how, "bootstrap_servers": self.broker.sasl}
        if self.how == "OAUTHBEARER":
            token = folder / f"{self.name}.token"
            token.write_text(unsecured_token(self.name))
            return trust | own | {"sasl_token_file": str(token)}
        self.broker.add_user(self.name, PASSWORD)
        file = folder / f"{self.name}.password"
        file.write_text(f"{PASSWORD}\n")
        return trust | own | {"sasl_username": self.name, "sasl_password_file": str(file)}


def unsecured_token(subject: str, seconds: float = 3_600.0) -> str:
    """A token that nobody signed, which Kafka takes unless it is told to check them."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": subject, "iat": now, "exp": now + seconds})
    return ".".join([base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts]) + "."
