"""Certificates, keys, passwords and tokens in files: each mistake is one line that names the setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.clients import check_security, client_arguments
from streams.security import Connection, Security, SecurityError
from tests.security.secured_broker import Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.write()
    return made


def complaint(security: Security) -> str:
    with pytest.raises(SecurityError) as raised:
        check_security(Connection("kafka:9093", security))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_missing_file_is_named_with_its_setting(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.pem"
    for key in ("ca_file", "cert_file", "key_file"):
        files = {"cert_file": tmp_path / "c.pem", key: nowhere}
        (tmp_path / "c.pem").touch()
        said = complaint(Security("SSL", **files))  # type: ignore[arg-type] # a keyword a file
        assert said == f"ssl_{key}: {nowhere} cannot be read: No such file or directory"


def test_a_file_that_holds_something_else_is_told(certificates: Certificates, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    cert, key = certificates.client("holder")
    assert complaint(Security("SSL", junk)) == f"ssl_ca_file: {junk} holds no certificate in PEM form"
    assert "hold no certificate with its key in PEM form" in complaint(Security("SSL", cert_file=junk, key_file=key))
    assert "hold no certificate with its key in PEM form" in complaint(Security("SSL", cert_file=cert, key_file=junk))


def test_a_key_of_another_certificate_is_told(certificates: Certificates) -> None:
    (cert, _), (_, other) = certificates.client("one"), certificates.client("other")
    assert complaint(Security("SSL", cert_file=cert, key_file=other)) == (
        f"ssl_key_file: {other} is not the key of the certificate in {cert}"
    )


def test_a_sealed_key_is_opened_by_its_password_alone_and_nobody_is_asked(certificates: Certificates) -> None:
    cert, key = certificates.client("sealed", "open sesame")
    for wrong, said in ((None, "is needed to open"), ("open barley", "does not open")):
        sealed = Security("SSL", cert_file=cert, key_file=key, key_password=wrong)
        assert complaint(sealed) == f"ssl_key_password: it {said} {key}"
    check_security(Connection("kafka:9093", Security("SSL", cert_file=cert, key_file=key, key_password="open sesame")))


def test_a_password_file_is_read_anew_for_each_client(tmp_path: Path) -> None:
    file = tmp_path / "password"
    security = Security("SASL_SSL", mechanism="PLAIN", username="a", password_file=file)
    for password in ("first ", "second"):
        file.write_text(f"{password}\n")
        assert client_arguments(Connection("kafka:9093", security))["sasl_plain_password"] == password


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe", "is no text in UTF-8")]
)
def test_a_secret_that_cannot_be_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    password = Security("SASL_SSL", mechanism="PLAIN", username="a", password_file=file)
    assert complaint(password) == f"sasl_password_file: {file} {said}"
    assert (
        complaint(Security("SASL_SSL", mechanism="OAUTHBEARER", token_file=file)) == f"sasl_token_file: {file} {said}"
    )


async def test_a_token_file_is_read_anew_for_each_connection(tmp_path: Path) -> None:
    file = tmp_path / "token"
    security = Security("SASL_SSL", mechanism="OAUTHBEARER", token_file=file)
    file.write_text("before")
    provider = client_arguments(Connection("kafka:9093", security))["sasl_oauth_token_provider"]
    assert await provider.token() == "before"
    file.write_text("after\n")
    assert await provider.token() == "after"


def test_names_are_checked_unless_the_settings_say_otherwise() -> None:
    strict = client_arguments(Connection("kafka:9093", Security("SSL")))["ssl_context"]
    lax = client_arguments(Connection("kafka:9093", Security("SSL", check_hostname=False)))["ssl_context"]
    assert (strict.check_hostname, strict.verify_mode.name) == (True, "CERT_REQUIRED")
    assert (lax.check_hostname, lax.verify_mode.name) == (False, "CERT_REQUIRED")
