"""What is sent, and what can be sent."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agents.notify.core import Notice, Told
from agents.notify.kinds import ALERT_KINDS, OTHER_KINDS, alert_of, topics_for
from agents.notify.texts import alertmanager, slack
from agents.settings import NotifyRule, SettingsError, load_settings
from agents.settings.notify import SEVERITIES
from schemas.alerts import Alert
from schemas.drift import ThresholdBreached
from schemas.message import Message
from schemas.models import ModelVersion, Promotion
from schemas.status import ModelState
from tests.dashboard.making import WINDOW, drift, made, request, status
from tests.notify.making import WEBHOOK, alert, rule

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def breach() -> ThresholdBreached:
    cause = {"event_id": "e", "topic": "metrics", "partition": 0, "offset": 7}
    found: dict[str, Any] = {
        "metric": "accuracy",
        "rule": "r",
        "value": 0.7,
        "threshold": 0.8,
        "window": WINDOW,
        "cause": cause,
    }
    return made(ThresholdBreached, **found)


def version(promotion: Promotion | None = None) -> ModelVersion:
    verdict = None if promotion is None else promotion.model_dump(mode="json")
    return made(ModelVersion, version="2", sha256="0" * 64, artifact="a", promotion=verdict)


def notice(*alerts: Alert, by: NotifyRule | None = None, more: int = 0) -> Notice:
    return Notice(by or rule(), tuple(Told(each, ("alerts", 0, 0), more) for each in alerts))


def test_people_read_who_what_and_why() -> None:
    text = slack(notice(alert(model_version="7"), alert(state="resolved"), by=rule(team="payments"), more=3))["text"]
    assert text.split("\n") == [
        "*payments*",
        ":red_circle: *fraud-eu 7* silence: silence is firing (and 3 before it)",
        ":white_check_mark: *fraud-eu* silence resolved: silence is resolved (and 3 before it)",
    ]


def test_a_name_cannot_call_everyone() -> None:
    assert "*&lt;!channel&gt;*" in slack(notice(alert(model="<!channel>")))["text"]


def test_a_thousand_models_are_twenty_lines_and_a_number() -> None:
    lines = slack(notice(*(alert(model=f"m{number}", message="x" * 9_000) for number in range(1_000))))["text"]
    assert lines.endswith("\nand 980 more; `visutility dashboard` has all")
    assert len(lines) < 8_000


def test_the_end_has_the_labels_of_the_beginning() -> None:
    by = rule(to="alertmanager", team="payments", expires="1h")
    (begun,), (ended,) = (alertmanager(notice(alert(state=each), by=by), NOW) for each in ("firing", "resolved"))
    assert begun["labels"] == ended["labels"] == {
        "alertname": "visutility_silence", "model": "fraud-eu", "kind": "silence", "severity": "error",
        "team": "payments",
    }  # fmt: skip
    assert (begun["endsAt"], ended["endsAt"]) == ("2026-01-02T01:00:00+00:00", "2026-01-02T00:00:00+00:00")
    assert begun["annotations"]["runbook"] == "docs/runbook.md#silence"


def test_what_begins_in_the_future_begins_now_and_of_one_condition_the_newest_counts() -> None:
    future = alert(state="resolved", timestamp="2027-01-01T00:00:00Z")
    (sent,) = alertmanager(notice(alert(), future), NOW)
    assert sent["startsAt"] == sent["endsAt"] == NOW.isoformat()


@pytest.mark.parametrize(
    ("message", "kind", "state"),
    [
        (drift(), "drift", "firing"),
        (drift(severity="warning"), "drift_warning", "firing"),
        (drift(direction="better"), "drift_for_the_better", "firing"),
        (breach(), "threshold_breached", "firing"),
        (request(), "retrain_request", "firing"),
        (version(promotion=Promotion(promoted=True, reason="better")), "version_promoted", "firing"),
        (version(promotion=Promotion(promoted=False, reason="worse")), "version_not_promoted", "firing"),
        (status(ModelState.RECOVERED), "drift", "resolved"),
        (status(ModelState.DRIFT), None, None),
        (version(), None, None),
    ],
)
def test_messages_of_other_topics_are_told_as_alerts(message: Message, kind: str | None, state: str | None) -> None:
    made = alert_of(message)
    assert (kind, state) == (None, None) if made is None else (made.kind, made.state) == (kind, state)
    if made is not None and made.state == "firing":
        assert made.severity == OTHER_KINDS[made.kind][1]


def test_only_topics_that_a_rule_wants_are_read() -> None:
    assert topics_for([rule(kinds=["silence"])]) == ["alerts"]
    assert topics_for([rule()]) == ["alerts", "drift", "models", "status"]
    assert topics_for([rule(kinds=["retrain_request"], severity="info")]) == ["alerts", "retrain"]
    assert topics_for([rule(kinds=["retrain_request"])]) == ["alerts"]  # it is an info


def kinds_in_the_code() -> set[str]:
    """Texts that stand before a severity in a call or a tuple, or where the kind of an alert is given by itself."""
    found: set[str] = set()
    for folder in ("agents/monitor", "agents/retrain", "agents/tuner", "streams"):
        for path in (ROOT / folder).rglob("*.py"):
            found.update(*(_kinds(node) for node in ast.walk(ast.parse(path.read_text()))))
    return found - {*SEVERITIES}


def _kinds(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Call):
        told = isinstance(node.func, ast.Attribute) and node.func.attr in ("tell", "_tell")
        alert = isinstance(node.func, ast.Name) and node.func.id == "Alert"
        noted = isinstance(node.func, ast.Attribute) and node.func.attr == "note"
        named = [each.value for each in node.keywords if alert and each.arg == "kind"] + (
            node.args[1:2] if told else node.args[2:3] if noted else []
        )
        return _before_severity(node.args) | {
            each.value for each in named if isinstance(each, ast.Constant) and isinstance(each.value, str)
        }
    return _before_severity(node.elts) if isinstance(node, ast.Tuple) else set()


def _before_severity(values: list[ast.expr]) -> set[str]:
    constants = [each.value if isinstance(each, ast.Constant) else None for each in values]
    return {kind for kind, severity in pairwise(constants) if isinstance(kind, str) and severity in SEVERITIES}


def test_every_kind_in_the_code_is_known() -> None:
    found = kinds_in_the_code()
    assert len(found) > 15
    assert found <= set(ALERT_KINDS)
    # These are put together: expired_ and what expired.
    assert set(ALERT_KINDS) - found == {"expired_labels", "expired_predictions"}


@pytest.mark.parametrize(
    "keys",
    [
        'url = "htp://hooks/secret"',
        'url = ["http://hooks/secret"]',
        'url = "http://hooks/secret"\nurl_variable = "SLACK"',
        'url = "http://hooks/secret"\nteem = "x"',
        'url = "http://hooks/secret"\nkinds = []',
    ],
)
def test_no_error_of_the_settings_tells_an_address(keys: str, tmp_path: Path) -> None:
    file = tmp_path / "visutility.toml"
    file.write_text(f'[[notify]]\nto = "slack"\n{keys}\n')
    with pytest.raises(SettingsError) as refused:
        load_settings(file)
    assert str(refused.value).startswith(f"{file}: notify[0]")
    assert "secret" not in str(refused.value)


def test_no_text_of_a_rule_tells_its_address() -> None:
    assert "secret" not in repr(rule()) + str(rule().model_dump(mode="json")) + rule().name
    assert WEBHOOK not in repr(rule())
