"""docs/security.md shows what is so: the rights that the command prints, and settings that can be used."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from agents.rights import ROLES, rights_of
from agents.settings import Settings
from streams.grants import Grant
from tests.cli.running import visutility

DOCUMENT = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
COMMANDS = re.findall(r"```console\n\$ visutility (topics acls .*)\n((?:kafka-acls .*\n)+)```", DOCUMENT)


@pytest.mark.parametrize(("command", "shown"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_the_rights_shown_are_those_that_are_printed(command: str, shown: str, shell: Path) -> None:
    ran = visutility(*command.split())
    assert (ran.status, ran.out) == (0, shown)


def test_every_role_is_shown() -> None:
    shown = {match[1] for command, _ in COMMANDS if (match := re.search(r"--role (\w+)", command))}
    assert shown | {"worker"} == set(ROLES)


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL))
def test_every_example_can_be_used_as_it_stands(example: str) -> None:
    assert Settings(**tomllib.loads(example)).security.encrypted


def test_rules_that_notify_and_deliver_need_groups_of_their_own() -> None:
    settings = Settings(
        notify=[{"to": "slack", "url_variable": "SLACK", "name": "n"}],
        retrain=[{"deliver": {"command": ["true"]}}],
        topic_prefix="p.",
    )
    more = set(rights_of("worker", settings)) - set(rights_of("worker", Settings(topic_prefix="p.")))
    assert {Grant("group", "Read", "p.notify"), Grant("group", "Read", "p.retrain-delivery")} <= more
    assert Grant("topic", "Read", "p.alerts") in more


def test_topics_of_others_are_read_by_workers_and_looked_at_by_operators_alone() -> None:
    settings = Settings(inputs=[{"topic": "logs", "layout": "kserve"}], topic_prefix="p.")
    rights = {role: set(rights_of(role, settings)) for role in ROLES}

    def having(right: Grant) -> set[str]:
        return {role for role, grants in rights.items() if right in grants}

    assert having(Grant("topic", "Read", "logs")) == {"worker", "operator"}
    assert having(Grant("group", "Read", "p.inputs")) == {"worker"}
    assert having(Grant("group", "Describe", "p.inputs")) == {"operator"}


def test_without_a_prefix_looking_is_at_all_topics_for_kafka_has_no_empty_one() -> None:
    assert Grant("topic", "Describe", "*") in rights_of("worker", Settings(topic_prefix=""))


def test_an_unknown_role_is_refused_with_those_there_are(shell: Path) -> None:
    ran = visutility("topics", "acls", "--role", "king")
    assert (ran.status, ran.err) == (
        2,
        f"visutility: --role: expected one of {', '.join(ROLES)}, got 'king'\n",
    )
