"""Settings: where they come from, what they mean, and how the wrong ones are refused."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.drift import DETECTORS
from agents.settings import ExternalDriftSettings, MonitorRule, RetrainRule, Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("CONFIG", *Settings.model_fields):
        monkeypatch.delenv(f"VISUTILITY_{name.upper()}", raising=False)
    return tmp_path


def refused(text: str, folder: Path) -> str:
    file = folder / "x.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    reason = str(caught.value)
    assert "\n" not in reason
    assert reason.startswith(f"{file}: ")
    return reason.removeprefix(f"{file}: ")


def test_without_any_file_accuracy_is_watched_and_drift_asks_for_retraining() -> None:
    settings = load_settings()
    assert settings.bootstrap_servers is None
    assert settings.agents == ["monitor", "retrain", "tuner", "runner"]
    rule = settings.monitor_rule("any-model", "accuracy")
    assert rule is not None
    assert (rule.window.size, rule.window.min_samples) == (500, 50)
    assert rule.detector_meant == ("z_score", {"threshold": 3.0, "direction": "both"})
    policy = settings.retrain_rule("any-model")
    assert policy is not None
    assert policy.on_drift
    assert policy.cooldown == timedelta(minutes=30)
    assert policy.external_drift == ExternalDriftSettings(direction="p_value_below", threshold=0.05)
    assert settings.tune_rule("any-model") is None


def test_a_metric_without_a_rule_is_not_watched() -> None:
    assert Settings().monitor_rule("any-model", "extras.auc") is None


def test_the_file_of_the_working_folder_is_read(in_an_empty_folder: Path) -> None:
    (in_an_empty_folder / "visutility.toml").write_text("partitions = 8")
    assert load_settings().partitions == 8


def test_a_file_named_in_the_environment_is_read(in_an_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (in_an_empty_folder / "other.toml").write_text("partitions = 9")
    monkeypatch.setenv("VISUTILITY_CONFIG", "other.toml")
    assert load_settings().partitions == 9


def test_the_environment_wins_over_the_file_and_an_option_over_both(
    in_an_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (in_an_empty_folder / "visutility.toml").write_text("partitions = 8\ntopic_prefix = 'file.'\nlog_level = 'debug'")
    monkeypatch.setenv("VISUTILITY_TOPIC_PREFIX", "environment.")
    monkeypatch.setenv("VISUTILITY_LOG_LEVEL", "error")
    settings = load_settings(log_level="warning", partitions=None)
    assert (settings.partitions, settings.topic_prefix, settings.log_level) == (8, "environment.", "warning")


def test_the_environment_takes_numbers_booleans_lists_and_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUTILITY_PARTITIONS", "16")
    monkeypatch.setenv("VISUTILITY_LOG_EVENTS", "true")
    monkeypatch.setenv("VISUTILITY_AGENTS", "monitor, retrain")
    monkeypatch.setenv("VISUTILITY_RETRAIN", json.dumps([{"models": "a", "cooldown": 5}]))
    settings = load_settings()
    assert (settings.partitions, settings.log_events, settings.agents) == (16, True, ["monitor", "retrain"])
    assert settings.retrain[0].cooldown == timedelta(seconds=5)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUTILITY_BOOTSTRAP_SERVERS", "")
    assert load_settings().bootstrap_servers is None


def test_the_first_rule_that_matches_wins() -> None:
    settings = Settings(
        monitor=[
            MonitorRule(name="a", models="fraud-*", metric="error"),
            MonitorRule(name="b", models="fraud-*"),
            MonitorRule(name="c"),
        ]
    )

    def chosen(model: str, metric: str) -> str | None:
        rule = settings.monitor_rule(model, metric)
        return None if rule is None else rule.name

    assert [chosen("fraud-eu", "accuracy"), chosen("fraud-eu", "error"), chosen("FRAUD-eu", "accuracy")] == [
        "b",
        "a",
        "c",
    ]
    assert chosen("spam", "error") is None


def test_a_rule_without_a_name_is_named_by_what_it_says() -> None:
    plain, spelt_out = MonitorRule(models="a*"), MonitorRule(models="a*", metric="accuracy")
    assert plain.name == spelt_out.name != ""
    assert plain.name != MonitorRule(models="b*").name
    assert MonitorRule().name != RetrainRule().name
    assert MonitorRule(name="mine", models="a*").name == "mine"


def test_the_default_rules_keep_their_names_for_ids_are_made_from_them() -> None:
    assert (Settings().monitor[0].name, Settings().retrain[0].name) == ("611aeecabb2f", "7488a5f6f6ba")


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detectors_default_spelt_out_does_not_rename_its_rule(name: str) -> None:
    plain = MonitorRule.model_validate({"metric": "error", "detector": {"name": name}})
    meant, parameters = plain.detector_meant
    given = {param: value for param, value in parameters.items() if value is not None}
    spelt_out = MonitorRule.model_validate({"metric": "error", "detector": {"name": name} | given})
    assert (meant, spelt_out.name, spelt_out.detector_meant) == (name, plain.name, plain.detector_meant)


def test_a_parameter_is_a_number_of_the_detectors_own_kind() -> None:
    whole, point = (MonitorRule.model_validate({"detector": {"threshold": value}}) for value in (2, 2.0))
    assert whole.name == point.name
    assert repr(whole.detector_meant) == repr(point.detector_meant)


def test_a_rule_keeps_the_name_that_it_had_when_only_the_z_score_could_be_chosen() -> None:
    assert MonitorRule.model_validate({"detector": {"threshold": 2.5}}).name == "05d7bc6be0e4"
    assert MonitorRule.model_validate({"detector": {"name": "z_score", "threshold": 3.0}}).name == MonitorRule().name


def test_the_recommended_detector_follows_from_the_metric_or_from_its_kind() -> None:
    def meant(metric: str, **params: object) -> tuple[str, dict[str, Any]]:
        table = {"metric": metric, "detector": {"name": "recommended"} | params}
        return MonitorRule.model_validate(table).detector_meant

    name, parameters = meant("error", window_size=200)
    assert (name, parameters["window_size"], parameters["min_change"]) == ("two_proportion", 200, 0.04)
    assert meant("accuracy")[0] == meant("extras.latency")[0] == "cusum"
    assert meant("extras.wrong", kind="errors")[0] == "two_proportion"


@pytest.mark.parametrize("name", ["fhddm", "hddm_a", "hddm_w", "threshold"])
def test_a_detector_that_looks_one_way_looks_for_the_worse_unless_it_is_told(name: str) -> None:
    def direction(metric: str, **params: str) -> object:
        table = {"metric": metric, "detector": {"name": name} | params}
        return MonitorRule.model_validate(table).detector_meant[1]["direction"]

    assert (direction("error"), direction("accuracy")) == ("up", "down")
    assert direction("accuracy", direction="up") == "up"


def test_for_error_less_is_better_unless_it_says_otherwise() -> None:
    assert MonitorRule().higher_wins
    assert not MonitorRule(metric="error").higher_wins
    assert not MonitorRule(metric="extras.latency", higher_is_better=False).higher_wins


def test_external_drift_can_be_switched_off(in_an_empty_folder: Path) -> None:
    (in_an_empty_folder / "visutility.toml").write_text("[[retrain]]\nexternal_drift = false")
    assert load_settings().retrain[0].external_drift is None


def test_a_validation_score_has_two_names(in_an_empty_folder: Path) -> None:
    (in_an_empty_folder / "visutility.toml").write_text("[[retrain]]\nmin = { validation_score = 0.8 }")
    assert load_settings().retrain[0].min == {"score": 0.8}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("montor = []", 'montor: unknown key; did you mean "monitor"?'),
        ("[[monitor]]\nwindw = 1", 'monitor[0].windw: unknown key; did you mean "window"?'),
        ("[[monitor]]\nsize = 9", 'monitor[0].size: unknown key; did you mean "window.size"?'),
        (
            "[[monitor]]\n[[monitor]]\nmodels='a'\nwindow={sise=9}",
            'monitor[1].window.sise: unknown key; did you mean "size"?',
        ),
        ("qqqq = 1", "qqqq: unknown key; docs/settings.md lists the known ones"),
        ("partitions = true", "partitions: expected a whole number, got True"),
        ("partitions = 0", "partitions: expected greater than or equal to 1, got 0"),
        ("log_events = 'perhaps'", "log_events: expected true or false, got 'perhaps'"),
        (
            "bootstrap_servers = 'localhost'",
            "bootstrap_servers: expected HOST:PORT, or several separated by commas, got 'localhost'",
        ),
        ("topic_prefix = 'a b'", "topic_prefix: expected at most 100 letters, digits, '.', '_' and '-', got 'a b'"),
        ("agents = []", "agents: expected at least one of monitor, retrain, tuner, runner, got []"),
        ("monitor = 3", "monitor: expected a list (of tables: [[NAME]]), got 3"),
        ("[monitor]", "monitor: expected a list (of tables: [[NAME]]), got {}"),
        ("[[monitor]]\nwindow = {size = '5'}", "monitor[0].window.size: expected a whole number, got '5'"),
        (
            "[[monitor]]\nwindow = {size = 5}",
            "monitor[0].window: expected min_samples <= size, got min_samples 50 and size 5",
        ),
        (
            "[[monitor]]\ndetector = {threshold = nan}",
            "monitor[0].detector.threshold: expected a finite number, got nan",
        ),
        (
            "[[monitor]]\ndetector = {direction = 'left'}",
            "monitor[0].detector.direction: expected 'both', 'up' or 'down', got 'left'",
        ),
        (
            "[[monitor]]\ndetector = {threshold = 0}",
            "monitor[0].detector.threshold: expected a finite number above 0, got 0.0",
        ),
        (
            "[[monitor]]\ndetector = {size = 9}",
            "monitor[0].detector: z_score has no parameter 'size'; known: threshold, direction",
        ),
        ("[[monitor]]\ndetector = {name = 3}", "monitor[0].detector.name: expected a text, got 3"),
        (
            "[[monitor]]\ndetector = {name = 'page_hinkly'}",
            "monitor[0].detector: unknown detector 'page_hinkly' (did you mean 'page_hinkley'?); known: "
            + ", ".join([*DETECTORS, "recommended"]),
        ),
        (
            "[[monitor]]\ndetector = {name = 'adwin', delte = 0.1}",
            (
                "monitor[0].detector: adwin has no parameter 'delte' (did you mean 'delta'?); known: "
                "delta, clock, max_buckets, min_window_length, grace_period, direction"
            ),
        ),
        (
            "[[monitor]]\ndetector = {name = 'adwin', clock = 3.5}",
            "monitor[0].detector.clock: expected a whole number, got 3.5",
        ),
        (
            "[[monitor]]\ndetector = {name = 'adwin', delta = 2}",
            "monitor[0].detector.delta: expected a number between 0 and 1 (both excluded), got 2.0",
        ),
        (
            "[[monitor]]\ndetector = {name = 'psi', bins = 1}",
            "monitor[0].detector.bins: expected a whole number from 2 to 100, got 1",
        ),
        (
            "[[monitor]]\ndetector = {name = 'psi', size = 40}",
            "monitor[0].detector.size: expected at least 5 values for each of 10 bins, got 40",
        ),
        (
            "[[monitor]]\ndetector = {name = 'ks', reference_file = 'no.csv', column = 'x'}",
            "monitor[0].detector.reference_file: no.csv cannot be read: [Errno 2] No such file or directory: 'no.csv'",
        ),
        (
            "[[monitor]]\ndetector = {name = 'adwn'}",
            (
                "monitor[0].detector: unknown detector 'adwn' (did you mean 'adwin'?); known: "
                f"{', '.join(DETECTORS)}, recommended"
            ),
        ),
        (
            "[[monitor]]\ndetector = {name = 'two_proportion', window_size = 20}",
            "monitor[0].detector: min_samples: expected a whole number from 1 to 20, got 50",
        ),
        (
            "[[monitor]]\ndetector = {name = 'recommended', kind = 'error'}",
            "monitor[0].detector: kind: expected one of errors, metric, distribution, got 'error'",
        ),
        (
            "[[monitor]]\ndetector = {name = 'recommended', kind = 3}",
            "monitor[0].detector: kind: expected one of errors, metric, distribution, got 3",
        ),
        (
            "[[monitor]]\ndetector = {name = 'recommended', min_change = 0.1}",
            (
                "monitor[0].detector: recommended has no parameter 'min_change' (did you mean 'min_instances'?); "
                "known: threshold, slack, target, deviation, min_instances, direction, kind"
            ),
        ),
        (
            "[[monitor]]\ndetector = {name = 'ddm'}",
            (
                "monitor[0].detector: ddm takes errors (0 or 1): "
                'expected the metric "error" or an "extras.NAME" of such, got \'accuracy\'; for that take "recommended"'
            ),
        ),
        (
            "[[monitor]]\nmetric = 'extras.wrong'\ndetector = {name = 'rddm'}",
            "monitor[0].detector: rddm looks for more errors: expected higher_is_better = false beside it",
        ),
        ("[[retrain]]\non_drift = 1", "retrain[0].on_drift: expected true or false, got 1"),
        ("[[retrain]]\nmin = {accuracy = 80}", "retrain[0].min: expected a number in [0, 1] for accuracy, got 80.0"),
        ("[[retrain]]\ndeliver = {}", 'retrain[0].deliver: expected either "webhook" or "command", got {}'),
        (
            "[[monitor]]\n[[monitor]]",
            "monitor: expected names that differ, but entries 0 and 1 are alike, got [{}, {}]",
        ),
        ("x =", "not TOML: Invalid value (at end of document)"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place_and_what_was_expected(
    text: str, reason: str, in_an_empty_folder: Path
) -> None:
    assert refused(text, in_an_empty_folder) == reason


@pytest.mark.parametrize("text", ["[[monitor]]\nmetric = 'acc'", "[[retrain]]\nmin = {acc = 0.5}"])
def test_an_unknown_metric_is_told_which_there_are(text: str, in_an_empty_folder: Path) -> None:
    assert "log_loss, mae, rmse, score, predictions.score or \"extras.NAME\", got 'acc'" in refused(
        text, in_an_empty_folder
    )


def test_what_is_missing_in_a_tune_rule_is_named(in_an_empty_folder: Path) -> None:
    reason = refused("[[tune]]\nobjective = 'a.b:c'", in_an_empty_folder)
    assert reason == "tune[0].space: expected a value, but the key is missing"


def test_a_search_space_that_cannot_be_sampled_is_refused(in_an_empty_folder: Path) -> None:
    reason = refused("[[tune]]\nobjective = 'a.b:c'\nspace = {x = {type = 'flagg'}}", in_an_empty_folder)
    assert reason.startswith("tune[0].space: space.x: expected type to be one of int_range")


def test_many_mistakes_are_counted(in_an_empty_folder: Path) -> None:
    assert refused("a1=1\na2=1\na3=1\na4=1\na5=1", in_an_empty_folder).endswith("; and 2 more")


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("VISUTILITY_PARTITIONS", "many", "environment VISUTILITY_PARTITIONS: expected a whole number, got 'many'"),
        ("VISUTILITY_MONITOR", "[{", "environment VISUTILITY_MONITOR: expected JSON, for example '[{…}]'"),
        (
            "VISUTILITY_MONITOR",
            '[{"metrik": 1}]',
            'environment VISUTILITY_MONITOR[0].metrik: unknown key; did you mean "metric"?',
        ),
        (
            "VISUTILITY_BOOTSTRAP_SERVER",
            "x:1",
            "environment VISUTILITY_BOOTSTRAP_SERVER: unknown setting; did you mean VISUTILITY_BOOTSTRAP_SERVERS?",
        ),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(
    variable: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == reason


def test_variables_that_kubernetes_sets_beside_a_service_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUTILITY_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("VISUTILITY_SERVICE_HOST", "10.0.0.1")
    assert load_settings() == Settings()


def test_a_mistake_in_an_option_names_the_option() -> None:
    with pytest.raises(SettingsError, match=r"^--agents"):
        load_settings(agents="monitr")


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^absent\.toml: cannot be read: No such file or directory$"):
        load_settings("absent.toml")


def test_a_file_that_is_not_text_is_named(in_an_empty_folder: Path) -> None:
    (in_an_empty_folder / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"^x\.toml: expected UTF-8, got byte 0xff$"):
        load_settings("x.toml")


def test_a_worker_that_runs_trials_alone_needs_processes_for_them() -> None:
    with pytest.raises(SettingsError, match="trial_processes of at least 1 where only trials are to be run"):
        load_settings(agents="runner", trial_processes=0)


@pytest.mark.parametrize(
    ("agents", "processes", "runs"),
    [
        ("monitor,retrain", None, False),
        ("tuner", None, True),
        ("tuner", 0, False),
        ("runner", 2, True),
        ("monitor,runner", None, True),
    ],
)
def test_a_tuner_runs_trials_too_unless_it_is_told_not_to(agents: str, processes: int | None, runs: bool) -> None:
    assert load_settings(agents=agents, trial_processes=processes).runs_trials is runs


def test_a_runner_uses_the_topics_of_the_tuner() -> None:
    assert load_settings(agents="runner,monitor").topic_stages == ["monitor", "tuner"]
    assert load_settings().topic_stages == ["monitor", "retrain", "tuner"]
