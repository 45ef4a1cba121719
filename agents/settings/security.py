"""How the settings say to reach Kafka: TLS and SASL, by the names that users of Kafka know."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from streams.security import Mechanism, Protocol, Security

#: Keys whose values are shown nowhere, and never taken from a command line.
SECRETS: Final = ("sasl_password", "ssl_key_password")

_TLS_KEYS: Final = ("ssl_ca_file", "ssl_cert_file", "ssl_key_file", "ssl_key_password")
_SASL_KEYS: Final = ("sasl_mechanism", "sasl_username", "sasl_password", "sasl_password_file", "sasl_token_file")

Secret = Annotated[SecretStr, Field(min_length=1, max_length=10_000)]
Username = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=r"^[^\x00-\x1f\x7f]+$")]


class SecuritySettings(BaseSettings):
    """The part of the settings that says how to speak to the brokers. What is set but would not be used is refused:
    whoever sets a password without a protocol that sends it would believe to be safe.
    """

    model_config = SettingsConfigDict(use_attribute_docstrings=True)

    security_protocol: Protocol = "PLAINTEXT"
    """TLS or not, SASL or not, as Kafka calls it."""
    ssl_ca_file: Path | None = None
    """PEM file of the authorities that may have signed the brokers' certificates; without it the system's."""
    ssl_cert_file: Path | None = None
    """PEM file of this client's certificate, for brokers that want one."""
    ssl_key_file: Path | None = None
    """PEM file of its key, if it is not in the same file."""
    ssl_key_password: Secret | None = None
    """What opens the key; better `VISUTILITY_SSL_KEY_PASSWORD` than the file."""
    ssl_check_hostname: bool = True
    """Whether a broker's certificate must be for the name it is reached by."""
    sasl_mechanism: Mechanism | None = None
    """How this client says who it is; needed with the two protocols of SASL."""
    sasl_username: Username | None = None
    """Who it is, for PLAIN and SCRAM."""
    sasl_password: Secret | None = None
    """Its password; better `VISUTILITY_SASL_PASSWORD`, or the next one."""
    sasl_password_file: Path | None = None
    """A file that holds the password and nothing else."""
    sasl_token_file: Path | None = None
    """A file that holds the token of OAUTHBEARER; read for each connection."""

    @property
    def security(self) -> Security:
        """The same as the engine wants it."""
        return Security(
            protocol=self.security_protocol,
            ca_file=self.ssl_ca_file,
            cert_file=self.ssl_cert_file,
            key_file=self.ssl_key_file,
            key_password=_shown(self.ssl_key_password),
            check_hostname=self.ssl_check_hostname,
            mechanism=self.sasl_mechanism,
            username=self.sasl_username,
            password=_shown(self.sasl_password),
            password_file=self.sasl_password_file,
            token_file=self.sasl_token_file,
        )

    @property
    def security_given(self) -> dict[str, Any]:
        """The keys of this part that are not as by default, to make other settings of."""
        own = {name: getattr(self, name) for name in SecuritySettings.model_fields}
        return {name: value for name, value in own.items() if value != SecuritySettings.model_fields[name].default}

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.security_protocol in ("PLAINTEXT", "SASL_PLAINTEXT"):
            self._refuse(_TLS_KEYS, "SSL or SASL_SSL")
        elif self.ssl_cert_file is None and (self.ssl_key_file or self.ssl_key_password):
            raise ValueError("expected ssl_cert_file beside ssl_key_file and ssl_key_password")
        if self.security_protocol in ("PLAINTEXT", "SSL"):
            self._refuse(_SASL_KEYS, "SASL_SSL (or SASL_PLAINTEXT)")
        else:
            self._check_credentials()
        return self

    def _refuse(self, keys: tuple[str, ...], protocols: str) -> None:
        for key in keys:
            if getattr(self, key) is not None:
                raise ValueError(f"expected security_protocol = {protocols} beside {key}, not {self.security_protocol}")

    def _check_credentials(self) -> None:
        if self.sasl_mechanism is None:
            raise ValueError(
                f"expected sasl_mechanism (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER) beside "
                f"security_protocol = {self.security_protocol}"
            )
        beside = f"beside sasl_mechanism = {self.sasl_mechanism}"
        if self.sasl_mechanism == "OAUTHBEARER":
            if self.sasl_token_file is None:
                raise ValueError(f"expected sasl_token_file {beside}")
            if self.sasl_username or self.sasl_password or self.sasl_password_file:
                raise ValueError(f"expected neither sasl_username nor a password {beside}: the token says who it is")
            return
        if self.sasl_token_file is not None:
            raise ValueError(f"expected no sasl_token_file {beside}: it is for OAUTHBEARER")
        if self.sasl_username is None:
            raise ValueError(f"expected sasl_username {beside}")
        if (self.sasl_password is None) == (self.sasl_password_file is None):
            raise ValueError(f"expected either sasl_password or sasl_password_file {beside}, got both or none")


def _shown(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
