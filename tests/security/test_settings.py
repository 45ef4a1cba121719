"""Security settings: from file and environment, complete or refused in one line, and never shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agents.backtest.report.settings_text import settings_text
from agents.demo.dashboard import _environment
from agents.settings import Settings, SettingsError, load_settings
from agents.settings.paths import PathError, parse_setting
from agents.worker import engine_settings
from streams.security import Connection, Security

SECRET = "correct horse battery"

SCRAM = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": "monitor"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("VISUTILITY_")]:
        monkeypatch.delenv(variable)
    return tmp_path


def environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"VISUTILITY_{name}", value)


def test_everything_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    environment(monkeypatch, **SCRAM, SASL_PASSWORD=SECRET, SSL_CA_FILE="ca.pem", SSL_CHECK_HOSTNAME="false")
    environment(monkeypatch, BOOTSTRAP_SERVERS="kafka:9093")
    expected = Security(
        "SASL_SSL", Path("ca.pem"), check_hostname=False, mechanism="SCRAM-SHA-512", username="monitor", password=SECRET
    )
    assert engine_settings(load_settings()).connection == Connection("kafka:9093", expected)


def test_by_default_nothing_is_encrypted_and_names_are_checked() -> None:
    assert Settings().security == Security()
    assert Security().check_hostname


def test_a_secret_is_in_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    environment(monkeypatch, **SCRAM, SASL_PASSWORD=SECRET, SSL_CERT_FILE="c.pem", SSL_KEY_PASSWORD=f"{SECRET} key")
    environment(monkeypatch, BOOTSTRAP_SERVERS="kafka:9093")
    settings = load_settings()
    engine = engine_settings(settings)
    texts = [repr(settings), str(settings), settings.model_dump_json(), settings_text(settings), repr(engine)]
    texts += [str(engine), repr(engine.connection), str(engine.connection)]
    assert not any(SECRET in text for text in texts)


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("sasl_password = 'SECRET'", "beside sasl_password, not PLAINTEXT"),
        ("security_protocol = 'SASL_SSL'\nsasl_password = 'SECRET'", "expected sasl_mechanism (PLAIN, "),
        ("sasl_password = ['SECRET']", "sasl_password: expected a text"),
        ("sasl_password = ''", "sasl_password: "),
        ("sasl_pasword = 'SECRET'", 'unknown key; did you mean "sasl_password"?'),
        ("ssl_key_password = 'SECRET'", "expected security_protocol = SSL or SASL_SSL beside ssl_key_password"),
    ],
)
def test_no_error_shows_a_secret(folder: Path, file: str, complaint: str) -> None:
    (folder / "visutility.toml").write_text(file.replace("SECRET", SECRET))
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert complaint in str(raised.value)
    assert SECRET not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (
            {"security_protocol": "TLS"},
            "expected 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'",
        ),
        ({"ssl_ca_file": "ca.pem"}, "expected security_protocol = SSL or SASL_SSL beside ssl_ca_file, not PLAINTEXT"),
        ({"security_protocol": "SSL", "ssl_key_file": "k"}, "expected ssl_cert_file beside ssl_key_file"),
        ({"security_protocol": "SSL", "sasl_username": "a"}, "expected security_protocol = SASL_SSL"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "GSSAPI"}, "expected 'PLAIN', "),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"}, "expected sasl_username beside sasl_mechanism"),
        (
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "a"},
            "expected either sasl_password or sasl_password_file beside sasl_mechanism = PLAIN, got both or none",
        ),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}, "expected sasl_token_file beside"),
        (
            {
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "OAUTHBEARER",
                "sasl_token_file": "t",
                "sasl_username": "a",
            },
            "expected neither sasl_username nor a password",
        ),
    ],
)
def test_what_is_incomplete_or_would_not_be_used_is_refused(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(**given)
    assert complaint in str(raised.value)


@pytest.mark.parametrize("key", ["sasl_password", "ssl_key_password"])
def test_a_command_line_takes_no_secret(key: str) -> None:
    with pytest.raises(PathError, match=f"^{key}: a command line is seen by everyone: use VISUTILITY_{key.upper()}"):
        parse_setting(f"{key}={SECRET}")


def test_the_dashboard_of_a_demo_connects_as_the_demo_does(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    environment(monkeypatch, **SCRAM, SASL_PASSWORD=SECRET, SSL_CA_FILE="ca.pem", BOOTSTRAP_SERVERS="kafka:9093")
    settings = load_settings()
    for name, value in _environment(settings).items():
        monkeypatch.setenv(name, value)
    again = load_settings().security
    assert again.ca_file == folder / "ca.pem"
    assert (again.protocol, again.username, again.password) == ("SASL_SSL", "monitor", SECRET)
