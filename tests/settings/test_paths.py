"""Single settings on the command line: `--set PATH=VALUE`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from agents.settings import SettingsError, load_settings
from agents.settings.keys import known_keys
from agents.settings.paths import parse_setting
from agents.settings.security import SECRETS

FILE = """
[[monitor]]
name = "first"
window = { size = 100, min_samples = 20 }

[[monitor]]
name = "second"
metric = "extras.auc"
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Path:
    (tmp_path / "mine.toml").write_text(FILE)
    return tmp_path / "mine.toml"


def test_a_value_replaces_the_files_and_leaves_its_neighbours(loaded: Path) -> None:
    rules = load_settings(loaded, ["monitor[0].window.size=300", "monitor[1].detector.threshold = 2.5"]).monitor
    assert (rules[0].name, rules[0].window.size, rules[0].window.min_samples) == ("first", 300, 20)
    assert rules[1].detector.given == {"threshold": 2.5}


def test_the_last_of_two_wins_and_so_does_a_change_over_the_environment(
    loaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUTILITY_PARTITIONS", "7")
    assert load_settings(loaded, ["partitions=8", "partitions=9"]).partitions == 9


def test_without_a_file_a_change_is_one_of_the_defaults() -> None:
    settings = load_settings(None, ["monitor[0].detector.threshold=2.5", "retrain[0].cooldown=10m"])
    assert settings.monitor[0].detector.given == {"threshold": 2.5}
    assert settings.retrain[0].cooldown == timedelta(minutes=10)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("log_format=json", "json"),
        ('log_format="json"', "json"),
        ("log_events=true", True),
        ("partitions=12", 12),
        ('agents=["monitor"]', ["monitor"]),
        ('monitor[0].detector={name="cusum", slack=0.5}', {"name": "cusum", "slack": 0.5}),
        ("monitor[0].models=fraud-*", "fraud-*"),
        ('retrain[0].min."extras.auc"=0.9', 0.9),
    ],
)
def test_values_are_tomls_and_a_bare_word_is_a_text(change: str, value: object) -> None:
    assert parse_setting(change)[1] == value
    load_settings(None, [change])


def test_every_documented_key_but_secrets_is_a_path() -> None:
    for key in known_keys().keys() - {*SECRETS}:
        path, _ = parse_setting(key.replace("[]", "[0]") + "=1")
        assert path[-1] == key.rpartition(".")[2]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("partitoins=3", "--set partitoins: unknown setting; did you mean partitions?"),
        ("monitor[0].windw.size=3", "--set monitor[0].windw.size: unknown setting; did you mean monitor[0].window?"),
        ("monitor[0].size=30", "--set monitor[0].size: unknown setting; did you mean monitor[0].window.size?"),
        ("monitor.window.size=3", "--set monitor.window.size: monitor is a list: did you mean monitor[0].window.size?"),
        ("monitor[1].models=a", "--set monitor[1].models: monitor has 1 entry, [0]"),
        ("monitor[0].detector.treshold=3", "--set monitor[0].detector: z_score has no parameter 'treshold' (did"),
        ("monitor[0].window.size=x", "--set monitor[0].window.size: expected a whole number, got 'x'"),
        ("monitor[0].window.size=[", "--set monitor[0].window.size: expected a value as TOML has it"),
        ("partitions[0]=3", "--set partitions[0]: partitions is no list of tables"),
        ("monitor[0]..models=a", "--set monitor[0]..models: not a path"),
        ("partitions", "--set partitions: expected PATH=VALUE"),
        ("=3", "--set (nothing): expected the name of a setting"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_path(change: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, [change])
    assert str(caught.value).startswith(complaint)


def test_a_fault_of_the_file_is_still_the_files(loaded: Path) -> None:
    loaded.write_text(FILE + "\n[[retrain]]\ncooldwn = 3\n")
    with pytest.raises(SettingsError, match=r"mine\.toml: retrain\[0\]\.cooldwn: unknown key"):
        load_settings(loaded, ["partitions=3"])


def test_no_change_changes_nothing() -> None:
    assert load_settings(None) == load_settings(None, [])
