"""The API over topics in memory: what it tells, what it lets whom do, and what it refuses in one line."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from agents.dashboard.access import Access, hashed
from agents.dashboard.api import make_app
from agents.settings.dashboard import DashboardSettings, DashboardToken
from schemas.message import Message
from schemas.metrics import Metrics
from schemas.models import alias_key, version_key
from tests.dashboard.making import MODEL, alert, drift, letter, made, request, status, trial
from tests.dashboard.memory import PREFIX, MemorySource
from tests.dashboard.serving import Client, served
from tests.registry.making import alias, version

TOKENS = [
    DashboardToken(name="ada", role="operate", sha256=hashed("ada's")),
    DashboardToken(name="bob", role="read", sha256=hashed("bob's")),
]


@pytest.fixture(scope="module")
def serving() -> Iterator[tuple[Client, list[MemorySource]]]:
    """One server for all tests; each has topics of its own."""
    current = [MemorySource()]

    class Current:
        """Whatever source is the current one."""

        def __getattr__(self, name: str) -> object:
            return getattr(current[0], name)

    app = make_app(Current(), Access(DashboardSettings(tokens=TOKENS)), PREFIX)  # type: ignore[arg-type]
    with served(app) as port:
        yield Client(port), current


@pytest.fixture
def source(serving: tuple[Client, list[MemorySource]]) -> MemorySource:
    serving[1][0] = MemorySource()
    return serving[1][0]


@pytest.fixture
def anyone(serving: tuple[Client, list[MemorySource]], source: MemorySource) -> Client:
    return serving[0]


@pytest.fixture
def ada(anyone: Client) -> Client:
    return Client(anyone.port, "ada's")


@pytest.fixture
def bob(anyone: Client) -> Client:
    return Client(anyone.port, "bob's")


def registered(source: MemorySource) -> None:
    for name in ("1", "2"):
        source.put("models", version(name, MODEL), key=version_key(MODEL, name))
    source.put("models", alias("champion", "2", MODEL, previous=["1"]), key=alias_key(MODEL, "champion"))


def messages(source: MemorySource) -> list[tuple[str, dict[str, object]]]:
    """What the one action published, in one go: topic and message of each record."""
    (records,) = source.published
    return [(each.topic.removeprefix(PREFIX), json.loads(each.value or b"{}")) for each in records]


def test_everything_about_a_model_can_be_asked(ada: Client, source: MemorySource) -> None:
    asked = request(minutes=0)
    source.put("status", status("drift"))
    source.put("drift", drift())
    source.put("retrain", asked)
    source.put("trials", trial(asked, 0))
    source.put("alerts", alert())
    source.put("dead-letter", letter(7))
    registered(source)
    source.metrics.append(made(Metrics, accuracy=0.5))
    about: dict[str, Any] = {"model_name": MODEL}
    assert ada.ask("models").json["models"][0]["champion"] == "2"
    detail = ada.ask("model", **about).json
    assert [each["state"] for each in detail["rules"]] == ["drift"]
    assert [each["version"] for each in detail["versions"]] == ["1", "2"]
    assert ada.ask("points", **about).json["points"][0]["value"] == 0.5
    assert ada.ask("findings", **about).json["findings"][0]["statistic"] == -5.0
    assert ada.ask("studies", **about).json["studies"][0]["trials"][0]["params"] == {"depth": 0}
    assert ada.ask("alerts", firing="true").json["alerts"][0]["kind"] == "silence"
    assert ada.ask("dead-letters", reason="REASON 7").json["dead_letters"][0]["preview"] == "{"
    assert ada.ask("lineage", version="2", **about).json["aliases"][0]["alias"] == "champion"
    assert ada.ask("me").json == {"name": "ada", "role": "operate", "access": "token"}


def test_a_page_of_the_list_is_not_answered_from_before_a_change(ada: Client, source: MemorySource) -> None:
    source.put("status", status("ok"))
    assert ada.ask("models").json["models"][0]["state"] == "ok"
    source.put("status", status("warning"))
    assert ada.ask("models").json["models"][0]["state"] == "warning"


def test_what_has_not_changed_is_not_sent_again(ada: Client, anyone: Client, source: MemorySource) -> None:
    source.put("status", status("ok"))
    first = ada.ask("models")
    tag = {"if-none-match": first.headers["etag"]}
    again = ada.ask("models", headers=tag)
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert "content-security-policy" in again.headers
    assert ada.ask("models").body == first.body
    assert anyone.ask("models", headers=tag).status == 401  # remembered or not
    source.put("status", status("warning"))
    assert ada.ask("models", headers=tag).json["models"][0]["state"] == "warning"


QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "status": ("models", {}), "drift": ("findings", {}), "alerts": ("alerts", {}), "dead-letter": ("dead-letters", {}),
    "retrain": ("studies", {"model_name": MODEL}), "models": ("model", {"model_name": MODEL}),
}  # fmt: skip


@pytest.mark.parametrize("topic", QUESTIONS)
def test_no_answer_is_remembered_beyond_what_it_tells_of(topic: str, ada: Client, source: MemorySource) -> None:
    source.put("status", status("ok"))
    path, query = QUESTIONS[topic]
    before = ada.ask(path, None, **query).body
    assert ada.ask(path, None, **query).body == before
    news: dict[str, Message] = {
        "status": status("drift"), "drift": drift(), "alerts": alert(), "dead-letter": letter(1), "retrain": request(),
        "models": version("1", MODEL),
    }  # fmt: skip
    source.put(topic, news[topic], key=version_key(MODEL, "1") if topic == "models" else None)
    assert ada.ask(path, None, **query).body != before


@pytest.mark.parametrize("name", ["a/b", "a b%2F?&#", "naïve—模型", "x@champion", "..", "' OR 1=1"])
def test_names_of_any_kind_can_be_asked_for(name: str, ada: Client, source: MemorySource) -> None:
    source.put("status", status("ok", name))
    assert ada.ask("model", model_name=name).json["model"]["model_name"] == name


READS = (
    "me", "models", "model", "points", "findings", "studies", "lineage", "alerts", "dead-letters", "actions", "flow",
    "changes", "mutes",
)  # fmt: skip
ACTIONS = (
    "retrain", "pause", "resume", "promote", "rollback", "retire", "retry-dead-letter", "mute", "unmute", "acknowledge",
)  # fmt: skip


@pytest.mark.parametrize("path", READS)
def test_nothing_is_told_to_strangers(path: str, anyone: Client) -> None:
    answer = anyone.ask(path)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert Client(anyone.port, "wrong").ask(path).status == 401


@pytest.mark.parametrize("action", ACTIONS)
def test_who_may_read_may_not_act(action: str, bob: Client, anyone: Client, source: MemorySource) -> None:
    registered(source)
    wishes: dict[str, dict[str, object]] = {
        "retry-dead-letter": {"event_id": "x"}, "unmute": {"mute_id": "x"},
        "mute": {"model_name": MODEL, "minutes": 5, "note": "x"}, "acknowledge": {"model_name": MODEL, "kind": "x"},
    }  # fmt: skip
    wish = wishes.get(action, {"model_name": MODEL, "version": "1"})
    assert bob.act(action, **wish).status == 403
    assert anyone.act(action, **wish).status == 401
    assert source.published == []


def test_the_openapi_document_and_the_page_are_for_everyone_and_hold_no_data(anyone: Client) -> None:
    document = anyone.send("GET", "/api/openapi.json").json
    paths = {path.removeprefix("/api/v1/") for path in document["paths"]}
    assert paths == {*READS, *(f"actions/{each}" for each in ACTIONS), "health/live", "health/ready"}
    assert anyone.send("GET", "/").status == 200


@pytest.mark.parametrize(
    "path", ["/", "/assets/main.js", "/api/v1/models", "/api/v1/health/live", "/nothing", "/assets/.."]
)
def test_every_answer_has_the_headers_that_keep_a_browser_safe(path: str, anyone: Client) -> None:
    headers = anyone.send("GET", path, headers={"origin": "https://evil.example"}).headers
    assert "script-src 'self';" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert not [name for name in headers if name.startswith("access-control")]
    assert "server" not in headers


def test_an_action_and_its_audit_record_are_published_together(ada: Client, source: MemorySource) -> None:
    answer = ada.act("retrain", model_name=MODEL, model_version="7", note="new labels")
    assert answer.status == 200
    (_, audit), (topic, asked) = messages(source)
    assert topic == "retrain"
    assert (asked["reason"], asked["actor"]) == ("manual: asked for by ada: new labels", "ada")
    told = {"action": "retrain", "actor": "ada", "access": "token", "note": "new labels", "subject": asked["event_id"]}
    assert {name: audit[name] for name in told} == told
    assert ada.ask("actions", model_name=MODEL).json["actions"] == [audit] == [answer.json]


def test_promoting_rolling_back_and_retiring_change_the_registry(ada: Client, source: MemorySource) -> None:
    registered(source)

    def champion() -> str:
        return source.view.registry.champion(MODEL).version

    assert ada.act("rollback", model_name=MODEL).json["subject"] == "1"
    assert champion() == "1"
    assert ada.act("promote", model_name=MODEL, version="2", note="better").status == 200
    assert champion() == "2"
    source.published.clear()
    assert ada.act("retire", model_name=MODEL).status == 200
    assert source.view.registry.is_retired(MODEL)
    topics = [topic for topic, _ in messages(source)]
    assert topics == ["audit", "monitor-internal", "retrain-internal", "tuner-internal", "models", "models"]


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_the_retrain_policy_is_told_of_a_pause(action: str, ada: Client, source: MemorySource) -> None:
    assert ada.act(action, model_name=MODEL, note="moving").status == 200
    (_, (topic, order)) = messages(source)
    assert (topic, order["type"], order["action"], order["actor"]) == (
        "retrain-internal",
        "operator_action",
        action,
        "ada",
    )


def test_a_dead_letter_is_sent_in_again_as_it_was(ada: Client, source: MemorySource) -> None:
    source.put("dead-letter", letter(1), letter(2, b"\xff{"))
    answer = ada.act("retry-dead-letter", event_id=letter(2).event_id)
    assert (answer.status, answer.json["action"]) == (200, "retry_dead_letter")
    (_, record) = source.published[0]
    assert (record.topic, record.key, record.value, record.headers) == ("v.metrics", b"digits", b"\xff{", [("h", b"1")])


@pytest.mark.parametrize(
    "unfit",
    [
        letter(3, b"x" * 600_000),
        letter(4, topic="other.metrics"),
        letter(5, topic="v.audit"),
        letter(6, topic="v.x"),
        letter(7, topic="metrics"),
    ],
)
def test_a_dead_letter_goes_nowhere_but_where_records_of_ours_come_from(
    unfit: Message, ada: Client, source: MemorySource
) -> None:
    source.put("dead-letter", unfit)
    answer = ada.act("retry-dead-letter", event_id=unfit.event_id)
    assert answer.status == 409
    assert source.published == []


@pytest.mark.parametrize(
    ("action", "wish", "status"),
    [
        ("retrain", {}, 422),
        ("retrain", {"model_name": "a\nb"}, 422),
        ("retrain", {"model_name": "x", "unknown": 1}, 422),
        ("retrain", {"model_name": "x", "note": "n" * 9_999}, 422),  # the reason is longer than a text may be
        ("promote", {"model_name": "nobody", "version": "1"}, 404),
        ("promote", {"model_name": MODEL, "version": "9"}, 404),
        ("promote", {"model_name": MODEL, "version": "2"}, 409),
        ("rollback", {"model_name": "nobody"}, 404),
        ("retry-dead-letter", {"event_id": "nothing"}, 404),
        ("mute", {"model_name": MODEL, "minutes": 5}, 422),  # without a reason
        ("mute", {"model_name": MODEL, "minutes": 5, "note": ""}, 422),
        ("mute", {"model_name": MODEL, "minutes": 0, "note": "x"}, 422),
        ("mute", {"model_name": MODEL, "minutes": 1e9, "note": "x"}, 422),
        ("unmute", {"mute_id": "nothing"}, 409),
        ("acknowledge", {"model_name": MODEL, "kind": "silence"}, 409),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    action: str, wish: dict[str, object], status: int, ada: Client, source: MemorySource
) -> None:
    registered(source)
    answer = ada.act(action, **wish)
    assert answer.status == status
    assert list(answer.json) == ["error"]
    assert len(answer.json["error"].splitlines()) == 1
    assert source.published == []


def test_a_muted_alert_is_shown_as_muted_until_it_is_not(ada: Client, source: MemorySource) -> None:
    source.put("alerts", alert(), alert("records_lost"))
    muted = ada.act("mute", model_name="dig*", kind="silence", minutes=60, owner="payments", note="moving")
    assert (muted.status, muted.json["action"], muted.json["model_name"]) == (200, "mute", "dig*")
    rows = {each["kind"]: each["muted"] for each in ada.ask("alerts", firing="true").json["alerts"]}
    assert rows["records_lost"] is None
    told = {"owner": "payments", "actor": "ada", "reason": "moving", "event_id": muted.json["subject"]}
    assert {name: rows["silence"][name] for name in told} == told
    assert [each["event_id"] for each in ada.ask("mutes").json["mutes"]] == [told["event_id"]]
    assert [each["reason"] for each in ada.ask("model", model_name=MODEL).json["mutes"]] == ["moving"]
    assert [each["action"] for each in ada.ask("actions", model_name=MODEL).json["actions"]] == ["mute"]
    assert ada.act("unmute", mute_id=told["event_id"]).status == 200
    assert ada.ask("mutes").json["mutes"] == []
    assert [each["muted"] for each in ada.ask("alerts", firing="true").json["alerts"]] == [None, None]
    assert ada.act("unmute", mute_id=told["event_id"]).status == 409


def test_an_acknowledged_alert_says_who_knows_of_it_until_it_has_resolved(ada: Client, source: MemorySource) -> None:
    source.put("alerts", alert())
    assert ada.act("acknowledge", model_name=MODEL, kind="silence", note="on it").status == 200
    (row,) = ada.ask("alerts", firing="true").json["alerts"]
    assert (row["acknowledged"]["actor"], row["acknowledged"]["note"]) == ("ada", "on it")
    assert row["acknowledged"]["alert_id"] == row["event_id"]
    source.put("alerts", alert(state="resolved"), alert())
    assert [each["acknowledged"] for each in ada.ask("alerts").json["alerts"]] == [None, None, None]


def test_drift_can_be_acknowledged_while_it_lasts(ada: Client, source: MemorySource) -> None:
    source.put("status", status("ok"))
    assert ada.act("acknowledge", model_name=MODEL, kind="drift").status == 409
    source.put("status", status("drift"))
    assert ada.act("acknowledge", model_name=MODEL, kind="drift", note="on it").status == 200
    assert ada.ask("model", model_name=MODEL).json["drift"]["acknowledged"]["note"] == "on it"
    source.put("status", status("recovered"), status("drift"))
    assert ada.ask("model", model_name=MODEL).json["drift"]["acknowledged"] is None


def test_a_body_larger_than_any_action_needs_is_refused(ada: Client, source: MemorySource) -> None:
    assert ada.act("retrain", model_name=MODEL, note="n" * 300_000).status == 413
    chunked = {"content-type": "application/json", "transfer-encoding": "chunked", "authorization": "Bearer ada's"}
    connection = http.client.HTTPConnection("127.0.0.1", ada.port, timeout=10)
    connection.request(
        "POST",
        "/api/v1/actions/retrain",
        iter([b'{"model_name": "digits"', b" " * 300_000, b"}"]),
        chunked,
        encode_chunked=True,
    )
    assert connection.getresponse().status >= 400
    connection.close()
    assert source.published == []


def test_without_kafka_it_says_so_and_does_nothing(ada: Client, anyone: Client, source: MemorySource) -> None:
    source.put("status", status("ok"))
    source.trouble = "Kafka did not answer in time"
    assert anyone.ask("health/live").status == 200
    ready = anyone.ask("health/ready")
    assert (ready.status, ready.json) == (503, {"status": "not ready", "reasons": ["Kafka did not answer in time"]})
    refused = ada.act("pause", model_name=MODEL)
    assert (refused.status, refused.json) == (503, {"error": "Kafka did not answer in time"})
    assert ada.ask("points", model_name=MODEL).status == 503
    assert ada.ask("models").json["total"] == 1


def test_changes_are_told_as_they_come_and_put_together(ada: Client, source: MemorySource) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", ada.port, timeout=10)
    connection.request("GET", "/api/v1/changes", headers={"authorization": "Bearer ada's"})
    answer = connection.getresponse()
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.readline() == b"retry: 2000\n"
    seen: set[str] = set()
    topics: set[str] = set()
    while seen != {"a", "b"}:
        source.put("status", status("ok", "a"))
        source.put("drift", drift("b"))
        line = answer.readline()
        while not line.startswith(b"data: "):
            line = answer.readline()
        news = json.loads(line[6:])
        seen |= set(news["models"])
        topics |= set(news["topics"])
    assert topics == {"status", "drift"}
    connection.close()
