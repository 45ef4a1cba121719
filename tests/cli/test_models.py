"""`visutility models` on a broker: what is registered, promoted, rolled back and retired is on the topics, with who."""

from __future__ import annotations

import asyncio
import getpass
import json
from pathlib import Path
from typing import Any

import pytest

from agents.cli import kafka
from agents.registry.actions import Change
from agents.registry.artifacts import load_artifact
from agents.registry.client import record_of
from agents.registry.promotion import alias_of, decide
from agents.settings import Settings
from schemas.models import alias_key, version_key
from tests.cli.running import everything_on, visutility
from tests.registry.making import version


def registered(settings: Settings, folder: Path, *versions: str) -> None:
    """Versions of `digits` on the topic, registered by hand."""
    for each in versions:
        (folder / "model").write_text(each)
        ran = visutility("models", "register", "digits", each, "model", "--json")
        assert ran.status == 0, ran.err


def champion() -> Any:
    return visutility("models", "show", "digits", "--json").json["champion"]


def test_nothing_is_registered_at_first(settings: Settings) -> None:
    assert visutility("models", "list", "--json").json == {"models": []}
    assert visutility("models", "list").out == "no models are registered\n"
    ran = visutility("models", "show", "digits")
    assert (ran.status, ran.err) == (2, "visutility: no model 'digits' is registered; models: none\n")


def test_a_registered_version_is_listed_and_its_file_kept(settings: Settings, folder: Path) -> None:
    (folder / "model").write_text("weights")
    document = visutility("models", "register", "digits", "1", "model", "--note", "the first", "--json").json
    (made,) = document["published"]
    assert load_artifact(made["artifact"], made["sha256"]) == b"weights"
    assert Path(folder / ".visutility" / "artifacts").is_dir()
    (listed,) = visutility("models", "list", "--json").json["models"]
    assert listed == {
        "model_name": "digits", "champion": None, "challenger": None, "latest": "1", "number_of_versions": 1,
        "state": "not in service",
    }  # fmt: skip
    assert visutility("models", "show", "digits", "1", "--json").json["versions"] == [made]


def test_promotion_and_rollback_are_one_command_each_and_say_who(settings: Settings, folder: Path) -> None:
    registered(settings, folder, "1", "2")
    for each in ("1", "2"):
        ran = visutility("models", "promote", "digits", each, "--note", "checked", "--actor", "ada", "--json")
        assert [message["version"] for message in ran.json["published"]] == [each]
    assert champion() == "2"
    ran = visutility("models", "rollback", "digits", "--note", "slow")
    assert (ran.status, ran.out) == (0, f"champion: digits 1; rolled back from 2 by {getpass.getuser()}: slow\n")
    assert champion() == "1"
    shown = visutility("models", "show", "digits", "--json").json["aliases"]["champion"]
    assert (shown["actor"], shown["previous"]) == (getpass.getuser(), [])
    records = [json.loads(record.value) for record in everything_on(settings, "models")]
    assert [each["actor"] for each in records if each["type"] == "model_alias"] == ["ada", "ada", getpass.getuser()]


def test_what_cannot_be_done_is_refused_with_the_reason(settings: Settings, folder: Path) -> None:
    registered(settings, folder, "1")
    assert visutility("models", "promote", "digits", "1").status == 0
    refused = {
        ("promote", "digits", "2"): (2, "'digits' has no version '2'; versions: 1"),
        ("promote", "digits", "1"): (1, "champion of 'digits' is version '1' already"),
        ("promote", "digits", "1", "--alias", "a/b"): (2, "alias: String should match"),
        ("rollback", "digits"): (1, "nothing to go back to"),
        ("rollback", "digits", "--alias", "canary"): (2, "no alias 'canary'; aliases: champion"),
        ("register", "digits", "1", "absent"): (2, "absent: cannot be read"),
        ("register", "digits", "1", "other"): (1, "a version never changes"),
        ("register", "digits", "1/2", "other"): (2, "version: String should match"),
        ("retire", "a\nb"): (2, "model_name"),
    }
    (folder / "other").write_text("another model")
    for arguments, (status, reason) in refused.items():
        ran = visutility("models", *arguments)
        assert (ran.status, reason in ran.err) == (status, True), ran.err
    assert len(everything_on(settings, "models")) == 2


def test_a_retired_model_has_no_alias_and_the_stages_are_told(settings: Settings, folder: Path) -> None:
    registered(settings, folder, "1")
    visutility("models", "promote", "digits", "1")
    document = visutility("models", "retire", "digits", "--note", "replaced", "--actor", "ada", "--json").json
    assert document["removed"] == ["digits@champion"]
    (listed,) = visutility("models", "list", "--json").json["models"]
    assert (listed["champion"], listed["state"]) == (None, "retired")
    for stage in ("monitor", "retrain", "tuner"):
        (record,) = everything_on(settings, f"{stage}-internal")
        assert json.loads(record.value) == document["order"]
    assert (document["order"]["action"], document["order"]["actor"]) == ("retire", "ada")
    assert visutility("models", "retire", "digits").status == 0
    assert visutility("models", "promote", "digits", "1").status == 0
    assert champion() == "1"


def test_a_model_without_versions_can_be_retired(settings: Settings) -> None:
    document = visutility("models", "retire", "fraud-eu", "--json").json
    assert (document["published"], document["removed"]) == ([], [])
    assert len(everything_on(settings, "monitor-internal")) == 1


@pytest.mark.parametrize("wanted", ["champion", "challenger"])
def test_people_read_why_a_version_was_promoted_or_not(settings: Settings, wanted: str) -> None:
    old, new = [1.0] * 50 + [0.0] * 50, [1.0] * 90 + [0.0] * 10
    made = version("2", promotion=decide(*((old, new) if wanted == "champion" else (new, old))), metrics={"score": 0.9})
    alias = alias_of(made, [])
    changes = [
        Change(version_key("digits", "2"), "digits", made),
        Change(alias_key("digits", alias.alias), "digits", alias),
    ]
    records = [record_of(each, f"{settings.topic_prefix}models") for each in changes]
    asyncio.run(kafka.publish(settings, records))
    out = visutility("models", "show", "digits").out
    assert made.promotion is not None
    assert made.promotion.reason in out
    assert f"{wanted}: 2 since 2025-06-01 12:00:00" in out
    (listed,) = visutility("models", "list", "--json").json["models"]
    assert listed[wanted] == "2"
