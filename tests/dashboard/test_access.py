"""Who is let in, and as what."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agents.dashboard.access import Access, AccessUnsafe, Identity, hashed
from agents.settings.dashboard import DashboardSettings, DashboardToken

ADA = DashboardToken(name="ada", role="operate", sha256=hashed("secret-of-ada"))
BOB = DashboardToken(name="bob", sha256=hashed("secret-of-bob"))
TOKENS = Access(DashboardSettings(tokens=[ADA, BOB]))
PROXIED = Access(DashboardSettings(proxies=["10.0.0.0/24"], proxy_user="X-User", operators=["ada"], tokens=[BOB]))
HERE = {"host": "localhost:8321"}


def bearer(token: str) -> dict[str, str]:
    return {**HERE, "authorization": f"Bearer {token}"}


def test_a_token_is_its_holder_with_their_role() -> None:
    assert TOKENS.identify("127.0.0.1", bearer("secret-of-ada")) == Identity("ada", "operate", "token")
    assert TOKENS.identify("192.0.2.1", bearer("secret-of-bob")) == Identity("bob", "read", "token")


@pytest.mark.parametrize(
    "headers", [HERE, bearer("wrong"), bearer(""), bearer(ADA.sha256), {"authorization": "Basic eA=="}]
)
def test_where_tokens_are_set_nobody_comes_in_without_one(headers: dict[str, str]) -> None:
    assert TOKENS.identify("127.0.0.1", headers) is None


def test_the_settings_hold_no_token_that_could_be_used() -> None:
    assert "secret-of-ada" not in DashboardSettings(tokens=[ADA]).model_dump_json()
    with pytest.raises(ValidationError):
        DashboardToken(name="ada", sha256="secret-of-ada")


def test_without_tokens_all_read_on_the_loopback_and_the_runs_own_token_acts() -> None:
    access = Access(DashboardSettings(), ADA)
    assert access.identify("127.0.0.1", HERE) == Identity("anyone", "read", "open")
    assert access.identify("127.0.0.1", bearer("secret-of-ada")) == Identity("ada", "operate", "token")
    assert access.identify("127.0.0.1", bearer("wrong")) is None


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8321", "", "127.0.0.1.evil.example", "10.0.0.7:8321"])
def test_a_page_elsewhere_that_has_its_name_lead_here_reads_nothing(host: str) -> None:
    assert Access(DashboardSettings()).identify("127.0.0.1", {"host": host}) is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "127.9.9.9:1", "[::1]:8321", "LOCALHOST:80"])
def test_the_names_of_this_machine_are_known(host: str) -> None:
    assert Access(DashboardSettings()).identify("127.0.0.1", {"host": host}) is not None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "dashboard.example"])
def test_it_does_not_listen_to_others_without_tokens_or_proxies(host: str) -> None:
    with pytest.raises(AccessUnsafe, match=r"dashboard\.tokens"):
        Access(DashboardSettings(host=host))
    Access(DashboardSettings(host=host, tokens=[BOB]))


def test_a_trusted_proxy_says_who_asks_and_nobody_else_does() -> None:
    assert PROXIED.identify("10.0.0.7", {"x-user": "ada"}) == Identity("ada", "operate", "proxy")
    assert PROXIED.identify("10.0.0.7", {"x-user": "eve"}) == Identity("eve", "read", "proxy")
    assert PROXIED.identify("10.0.1.7", {"x-user": "ada"}) is None
    assert PROXIED.identify("127.0.0.1", {"x-user": "ada", **HERE}) is None
    assert PROXIED.identify("10.0.0.7", {}) is None
    assert PROXIED.identify("10.0.0.7", {"x-user": "a\x00b"}) is None
    assert PROXIED.identify("10.0.0.7", {**bearer("secret-of-bob"), "x-user": "ada"}) == Identity(
        "bob", "read", "token"
    )


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="networks"):
        DashboardSettings(proxies=["the office"])
