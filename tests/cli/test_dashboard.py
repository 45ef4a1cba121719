"""`visutility dashboard`: tokens, and what it refuses before it listens."""

from __future__ import annotations

import socket
import tomllib

from agents.dashboard.access import Access, Identity
from agents.settings import Settings
from tests.cli.running import visutility


def test_a_token_comes_with_the_settings_that_let_it_in() -> None:
    ran = visutility("dashboard", "token", "--name", 'Ada "the" \\ first', "--role", "operate")
    first, _, *settings = ran.out.splitlines()
    token = first.rpartition(" ")[2]
    assert token not in "".join(settings)
    access = Access(Settings(**tomllib.loads("\n".join(settings))).dashboard)
    found = access.identify("192.0.2.1", {"authorization": f"Bearer {token}"})
    assert found == Identity('Ada "the" \\ first', "operate", "token")


def test_no_two_tokens_are_alike() -> None:
    made = [visutility("dashboard", "token", "--name", "ada", "--json").json for _ in range(2)]
    assert made[0]["token"] != made[1]["token"]
    assert {each["role"] for each in made} == {"read"}
    assert len(made[0]["token"]) >= 43


def test_a_role_that_is_none_is_refused() -> None:
    ran = visutility("dashboard", "token", "--name", "ada", "--role", "admin")
    assert (ran.status, ran.out) == (2, "")
    assert "--role" in ran.err


def test_it_needs_a_broker_and_does_not_listen_to_others_without_tokens() -> None:
    assert visutility("dashboard").status == 2
    ran = visutility("dashboard", "--host", "0.0.0.0", "--port", "0", "--bootstrap", "127.0.0.1:9")
    assert ran.status == 2
    assert "dashboard.tokens" in ran.err


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = visutility("dashboard", "--port", port, "--bootstrap", "127.0.0.1:9")
    assert ran.status == 1
    assert f"127.0.0.1:{port}" in ran.err
