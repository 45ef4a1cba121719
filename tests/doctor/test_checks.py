"""Each mistake is found by its check, and by no other; without any, nothing is."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from agents.doctor.checks import NEED_BROKER, NEED_NONE, examine
from agents.doctor.facts import Facts, Folder, Input, Sample
from agents.doctor.gather import _folder
from agents.doctor.rules import covers
from agents.settings import Settings
from streams.partitioner import partition_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
GIB = 1 << 30
MODELS = [f"m{number}" for number in range(40)]
RETRAIN = [{"dry_run": True}]
SPACE = {"depth": {"type": "int_range", "min": 1, "max": 3}}


def settings(**keys: Any) -> Settings:
    return Settings(**{"retrain": RETRAIN} | keys)


def sample(model: str, **fields: Any) -> Sample:
    return replace(Sample(partition_of(model, 4), True, NOW, model, NOW), **fields)


HEALTHY = Facts(
    settings(),
    NOW,
    folder=Folder("", 50 * GIB, 100 * GIB),
    samples=tuple(map(sample, MODELS)),
    lags={"monitor": (5_000, 4_000), "inputs": (0, 10)},
    models=frozenset(MODELS),
    inputs=(Input("logs", "kserve", read=20, wrong=("type: expected",) * 19, predictions=1),),
)


def logs(**fields: Any) -> dict[str, Any]:
    return {"inputs": (*HEALTHY.inputs, Input("more", "seldon", **fields))}


def wrong(facts: Facts) -> list[tuple[str, str, str]]:
    """What is not as it should be: check, state, what was found and the remedy."""
    every = examine(facts)
    assert {each.check for each in every} == {*NEED_BROKER, *NEED_NONE}
    assert all("\n" not in each.found + each.remedy for each in every)
    assert all(each.found and each.remedy for each in every if each.state in ("problem", "hint"))
    return [(each.check, each.state, f"{each.found} | {each.remedy}") for each in every if each.state != "ok"]


def test_where_nothing_is_wrong_nothing_is_found() -> None:
    assert wrong(HEALTHY) == []


def misplaced(share: float) -> tuple[Sample, ...]:
    many = round(len(MODELS) * share)
    first = [sample(model, partition=(partition_of(model, 4) + 1) % 4, keyed=False) for model in MODELS[:many]]
    return (*first, *map(sample, MODELS[many:]))


def timed(offset: timedelta, count: int) -> tuple[Sample, ...]:
    return (*(sample(model, time=NOW + offset) for model in MODELS[:count]), *map(sample, MODELS[count:]))


NOTIFY = {"to": "slack", "url_variable": "HOOK"}
TUNED = {"objective": "a:b", "space": SPACE, "sampler": "tpe"}


@pytest.mark.parametrize(
    ("check", "state", "text", "fields"),
    [
        ("topics", "problem", r"x does not exist \(and 1 more amiss\) \| visutility topics create",
         {"topics": ("x does not exist; z", "y does not exist")}),
        ("topics", "problem", r"\(and 1 more amiss\) \| visutility topics check",
         {"topics": ("x has 3 partitions", "y does not exist")}),
        ("transactions", "problem", "knows none | .*at_least_once", {"transactions": "the broker knows none"}),
        ("traffic", "problem", "no record on visutility.metrics for 3 h",
         {"samples": tuple(sample(each, written=NOW - timedelta(hours=3)) for each in MODELS)}),
        ("placement", "problem", r"10% of the records.*\(4 of them have no key\).*murmur2",
         {"samples": misplaced(0.1)}),
        ("clocks", "problem", "10% of the events are more than 5 min ahead",
         {"samples": timed(timedelta(minutes=6), 4)}),
        ("clocks", "problem", "10% of the events are more than 24 h older",
         {"samples": timed(-timedelta(hours=25), 4)}),
        ("dead letters", "problem", "3 dead letters in the last hour; 2 of them: type: expected",
         {"letters": ("type: expected", "no JSON", "type: expected")}),
        ("lag", "problem", "monitor is 6000 records behind, 1000 more",
         {"lags": {**HEALTHY.lags, "monitor": (5_000, 6_000)}}),
        ("lag", "problem", "no worker has read metrics", {"lags": {}, "inputs": ()}),
        ("lag", "problem", "no worker has read logs yet", {"lags": {"monitor": (0, 0)}}),
        ("lag", "problem", "inputs is 6000 records behind", {"lags": {**HEALTHY.lags, "inputs": (5_000, 6_000)}}),
        ("inputs", "problem", r"inputs\[1\]: there is no topic more | mend inputs\[1\]\.topic, which is the full name",
         logs(missing=True, problem="no topic more")),
        ("inputs", "problem", r"inputs\[1\]: more cannot be read: Kafka denies | visutility topics acls",
         logs(problem="Kafka denies")),
        ("inputs", "hint", r"inputs\[1\]: no record on more | let seldon log responses", logs()),
        ("inputs", "problem", r"none of the newest 2 records of more is seldon's: id: expected | mend inputs\[1\]\.l",
         logs(read=2, wrong=("no JSON", "id: expected"))),
        ("inputs", "hint", "the newest 2 records of more hold no predictions", logs(read=2, wrong=("no JSON",))),
        ("rules never used", "problem", r"monitor\[1\] is never used: monitor\[0\]",
         {"settings": settings(monitor=[{"models": "m*"}, {"name": "b", "models": "m1*"}])}),
        ("rules that fit nothing", "hint", r"retrain\[0\] fits no model seen so far \(models = 'M\*'\)",
         {"settings": settings(retrain=[{"models": "M*"}, *RETRAIN])}),
        ("requests nobody takes", "hint", r"requests of retrain\[0\] go to the topic alone",
         {"settings": Settings(tune=[TUNED | {"models": "m1"}])}),
        ("data folder", "problem", "no folder | .*data_dir", {"folder": Folder("x is no folder")}),
        ("data folder", "problem", r"9\.0 GiB of 100\.0 are free", {"folder": Folder("", 9 * GIB, 100 * GIB)}),
        ("extras", "problem", r"tune\[0\]\.sampler tpe needs optuna | pip install 'visutility-streams\[tuning\]'",
         {"settings": settings(tune=[TUNED]), "absent": frozenset({"optuna"})}),
        ("environment", "problem", r"notify\[0\]: the environment variable HOOK is not set",
         {"settings": settings(notify=[NOTIFY]), "unset": frozenset({"HOOK"})}),
    ],
)  # fmt: skip
def test_a_mistake_is_found_by_its_check(check: str, state: str, text: str, fields: dict[str, Any]) -> None:
    ((found_by, found_state, told),) = wrong(replace(HEALTHY, **fields))
    assert (found_by, found_state) == (check, state)
    assert re.search(text.replace(" | ", r" \| "), told), told


def test_without_a_broker_the_rest_is_still_looked_at() -> None:
    found = wrong(replace(HEALTHY, unreachable="no broker answers at x:1", folder=Folder("is full")))
    assert [check for check, state, _ in found if state == "problem"] == ["broker", "data folder"]
    assert {check for check, state, _ in found if state == "unknown"} == set(NEED_BROKER)


@pytest.mark.parametrize(
    "fields",
    [
        {"samples": misplaced(0.05)},
        {"samples": timed(timedelta(minutes=6), 2)},
        {"samples": tuple(Sample(0, False, NOW) for _ in range(9))},  # those are dead letters, and told as such
        {"lags": {"monitor": (10, 900), "inputs": (10, 900)}},
        {"lags": {"monitor": (0, 0)}, "inputs": ()},
        {"settings": settings(monitor=[{"models": "m1*"}, {"models": "m*"}])},
        {"settings": settings(monitor=[{}, {"metric": "f1_score"}, {"segment_by": "region"}])},
        {"settings": settings(monitor=[{"models": "x"}, {}]), "models": frozenset()},
        {"settings": Settings(tune=[TUNED])},
        {"settings": Settings(retrain=[{"deliver": {"command": ["true"]}}])},
        {"settings": settings(notify=[NOTIFY | {"dry_run": True}]), "unset": frozenset({"HOOK"})},
        {"folder": Folder("", 11 * GIB, 100 * GIB)},
    ],
)
def test_what_is_no_mistake_is_not_found(fields: dict[str, Any]) -> None:
    assert wrong(replace(HEALTHY, **fields)) == []


@pytest.mark.parametrize(
    ("earlier", "later", "all_of_them"),
    [
        ("*", "[ab]?*", True), ("a*", "a?", True), ("a*", "*", False), ("a?", "a*", False), ("a?", "a?", True),
        ("[ab]", "[ab]", True), ("[ab]*", "a", False), ("*-eu", "fraud-*-eu", True), ("a", "b", False),
    ],
)  # fmt: skip
def test_a_pattern_covers_another_where_that_is_sure(earlier: str, later: str, all_of_them: bool) -> None:
    assert covers(earlier, later) is all_of_them


def test_the_folder_is_looked_at_or_the_nearest_above_it(tmp_path: Path) -> None:
    assert _folder(tmp_path / "not" / "yet").size > 0
    (tmp_path / "file").write_text("")
    assert "is no folder" in _folder(tmp_path / "file" / "data").problem


def test_a_folder_that_must_not_be_written_to_is_found() -> None:
    with TemporaryDirectory(dir="/tmp") as name:  # where everybody may look, unlike pytest's own
        Path(name).chmod(0o555)
        child = os.fork()
        if not child:
            if os.geteuid() == 0:
                os.setuid(65_534)  # root may write everywhere
            os._exit(_folder(Path(name) / "data").problem != "cannot be written to")
        assert os.waitpid(child, 0)[1] == 0
