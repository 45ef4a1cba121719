"""The documents are followed as they are written, on real Kafka: shell and Python, one folder each, from top to end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from agents.cli import kafka
from agents.cli.kafka import ToSend
from agents.settings import load_settings
from streams.brokers.broker import Broker
from tests.cli.running import everything_on
from tests.documents.fences import DOCUMENTS, ROOT, Block, blocks
from tests.documents.shell import Reader, reader

PATIENCE = 120.0


def name(document: Path) -> str:
    return str(document.relative_to(ROOT))


def to_run(document: Path) -> list[Block]:
    """Shell, and Python that sends to a broker."""
    found = [block for block in blocks(document) if not block.reason]
    return [
        block for block in found if block.language == "sh" or (block.language == "python" and "Producer(" in block.text)
    ]


# --- what documents take for granted ----------------------------------------------------------------------------------

EVENTS = [
    {"type": "metrics", "model_name": "fraud", "timestamp": 1_750_000_000 + second, "accuracy": 0.9}
    for second in range(3)
]


def _of_june(follows: Reader) -> None:
    """Files that the document takes for granted, and records of last June."""
    Path("events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    Path("visutility.toml").write_text('[[monitor]]\nmetric = "accuracy"\n')
    Path("stricter.toml").write_text("[[monitor]]\ndetector = { name = 'z_score', threshold = 2.0 }\n")
    follows.do("visutility topics create")
    follows.do("visutility replay events.jsonl --to localhost:9092 --speed max")


def _a_model_in_service(follows: Reader) -> None:
    for file in ("model.joblib", "better.joblib"):
        Path(file).write_bytes(file.encode())
    follows.do("visutility topics create")


def _a_dashboards_model(follows: Reader) -> None:
    Path("model.joblib").write_bytes(b"a model")
    follows.do("visutility topics create")
    follows.do("visutility models register fraud-eu 7 model.joblib")


def _a_run(follows: Reader) -> None:
    """What the document's own messages make up."""
    follows.do("visutility topics create")
    (block,) = [block for block in blocks(ROOT / "docs" / "tracking.md") if block.language == "json"]
    settings = load_settings()
    topic = f"{settings.topic_prefix}experiments"
    asyncio.run(kafka.publish(settings, [ToSend(topic, b"digits", line.encode()) for line in block.text.splitlines()]))


def _a_worker_that_worked(follows: Reader) -> None:
    Path("events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    follows.do("visutility topics create")
    follows.do("visutility replay events.jsonl --to localhost:9092 --speed max --shift-to now")
    follows.do("visutility worker")
    _until(lambda: everything_on(load_settings(), "status") or None)
    follows.stop()


def _a_worker(follows: Reader) -> None:
    follows.do("visutility topics create")
    follows.do("visutility worker")


def _topics(follows: Reader) -> None:
    follows.do("visutility topics create")


def _nothing(_: Reader) -> None:
    """Most documents make all that they need, and fail by themselves."""


def _no_address(follows: Reader) -> None:
    """The document itself says where Kafka is."""
    follows.unset("VISUTILITY_BOOTSTRAP_SERVERS")


GIVEN: dict[str, Callable[[Reader], None]] = {
    "README.md": _no_address,
    "docs/backtest.md": _of_june,
    "docs/coming-from.md": _topics,
    "docs/connect.md": _a_worker,
    "docs/dashboard.md": _a_dashboards_model,
    "docs/registry.md": _a_model_in_service,
    "docs/runbook.md": _a_worker_that_worked,
    "docs/start.md": _no_address,
    "docs/tracking.md": _a_run,
    "docs/tuning.md": _topics,
}
"""Those that are not here take nothing for granted."""


# --- what is true in the end ------------------------------------------------------------------------------------------


def _the_chart_is_there(follows: Reader) -> None:
    """A new user's: the model in drift, its values, and the finding with the request that followed."""
    (model,) = _until(lambda: _asked(follows, "/api/v1/models?state=drift")["models"] or None)
    assert model["model_name"] == "first-model"
    points = _until(lambda: _asked(follows, "/api/v1/points?model_name=first-model")["points"] or None)
    assert [point["value"] < 0.9 for point in points].count(True) == 20
    assert Path("findings.jsonl").read_text().count('"type":"retrain_request"') == 2  # as the text says


def _the_registry_was_used(_: Reader) -> None:
    settings = load_settings()
    aliases = [record.key for record in everything_on(settings, "models") if b"@" in record.key]
    assert aliases == [*[b"digits@champion"] * 3, b"digits@retired", b"digits@champion"]
    (request,) = everything_on(settings, "retrain")
    assert b'"event_id":"labels-of-june"' in request.value


def _the_run_is_known(follows: Reader) -> None:
    run = json.loads(follows.do("visutility runs show r1 --json"))
    assert (run["epochs"], run["final_metrics"]) == ({"0": {"loss": 0.7}}, {"accuracy": 0.93})
    assert Path("runs.jsonl").read_bytes().count(b"\n") == 3


def _both_falls_are_found(follows: Reader) -> None:
    """The accuracy's in the nightly table, and the column's whose distribution changed."""
    nightly = (
        "visutility backtest nightly.csv --map timestamp=day,accuracy=accuracy --model churn --config nightly.toml"
    )
    found = json.loads(follows.do(f"{nightly} --json"))
    assert {each["type"] for each in found["drift"]} == {"drift_detected", "threshold_breached"}
    assert all(each["timestamp"] > "2025-04-29" for each in [*found["drift"], *found["retrain"]])
    columns = (
        "visutility backtest current.csv --map extras.age=age,extras.amount=amount --model churn --config columns.toml"
    )
    assert {each["metric"] for each in json.loads(follows.do(f"{columns} --json"))["drift"]} == {"extras.age"}
    assert any(b"external_drift" in record.value for record in everything_on(load_settings(), "metrics"))


def _the_fleet_is_connected(_: Reader) -> None:
    values = [record.value for record in everything_on(load_settings(), "metrics")]
    assert sum(b'"outcomes"' in value for value in values) == 1
    assert sum(b'"accuracy":0.9' in value for value in values) == 2


THEN: dict[str, Callable[[Reader], None]] = {
    "docs/coming-from.md": _both_falls_are_found,
    "docs/connect.md": _the_fleet_is_connected,
    "docs/registry.md": _the_registry_was_used,
    "docs/start.md": _the_chart_is_there,
    "docs/tracking.md": _the_run_is_known,
}


def _asked(follows: Reader, path: str) -> Any:
    request = Request(f"http://{follows.dashboard}{path}", headers={"Authorization": f"Bearer {follows.token}"})
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)


def _until(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while (value := found()) is None:
        assert time.monotonic() < end
        time.sleep(0.2)
    return value


# --- the tests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [each for each in DOCUMENTS if to_run(each)], ids=name)
def test_a_document_works_as_it_is_written(
    document: Path, real_broker: Broker, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reader(tmp_path, real_broker.bootstrap_servers, topic_prefix, monkeypatch) as follows:
        GIVEN.get(name(document), _nothing)(follows)
        for block in to_run(document):
            if block.text.startswith("visutility record drift"):
                _until(lambda: everything_on(load_settings(), "retrain")[1:] or None)  # a reader looks at a page first
            follows.follow(block)
        THEN.get(name(document), _nothing)(follows)


def test_a_command_that_fails_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with reader(tmp_path, "127.0.0.1:1", "none.", monkeypatch) as follows:
        with pytest.raises(AssertionError, match=r"page.md:1: .* exit status 2"):
            follows.do("visutility backtest absent.jsonl", "page.md:1: visutility backtest absent.jsonl")
        with pytest.raises(AssertionError, match="false"):
            follows.do("echo here; false; true")
        with pytest.raises(AssertionError, match="ended with 2"):
            follows.do("visutility worker --agents monitr")
        assert follows.do("visutility topics list --json | grep -c none.metrics") == "1\n"
