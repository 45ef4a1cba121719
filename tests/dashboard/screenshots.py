"""Pictures of every page for the documents: `python -m tests.dashboard.screenshots docs/screenshots`.

The pages are served over topics in memory with a made-up day of a few dozen models; a headless Chromium looks at them,
wide and narrow, light and dark. Look at the pictures before they are committed.
"""

from __future__ import annotations

import base64
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agents.dashboard.access import Access, hashed
from agents.dashboard.api import make_app
from agents.dashboard.documents import Flow, StageFlow
from agents.dashboard.view import study_id_of
from agents.settings.dashboard import DashboardSettings, DashboardToken
from schemas.metrics import Metrics
from schemas.models import alias_key, version_key
from tests.dashboard.browsing import PHONE, WIDE, Browser, chromium
from tests.dashboard.making import alert, drift, finished, letter, request, status, trial
from tests.dashboard.memory import PREFIX, MemorySource
from tests.dashboard.serving import Client, served
from tests.registry.making import alias, version

NOW = datetime.now(UTC)
MODEL = "fraud-eu"
PLACES = ("eu", "us", "uk", "jp", "br", "za", "in")
NAMES = [f"{kind}-{place}" for kind in ("fraud", "credit", "churn", "ranking") for place in PLACES]
TOKEN = "screenshots"

PAGES = {
    "models": "models", "model": f"model?name={MODEL}", "alerts": "alerts", "dead-letters": "dead-letters",
    "actions": "actions", "studies": f"model?name={MODEL}", "lineage": f"model?name={MODEL}",
}  # fmt: skip


class DaySource(MemorySource):
    """A day of a few dozen models."""

    def flow(self) -> Flow:
        stages = [StageFlow(stage=each, records_per_second=4_210.0, lag=12) for each in ("monitor", "retrain", "tuner")]
        return Flow(records_per_second=4_210.0, stages=stages, seconds_ago=0.4)


def at(minutes: float) -> dict[str, Any]:
    return {"timestamp": NOW - timedelta(minutes=minutes)}


def fill(source: DaySource) -> None:
    numbers = random.Random(7)
    states = {"fraud-eu": "drift", "churn-jp": "silent", "credit-us": "warning", "ranking-br": "recovered"}
    for name in NAMES:
        mean = 0.93 + numbers.uniform(-0.02, 0.02)
        state = states.get(name, "ok" if numbers.random() < 0.9 else "warming")
        told = {"model_version": "7", "counts": {"metrics": numbers.randrange(20_000, 90_000), "heartbeat": 1_440}}
        source.put("status", status("ok", name, mean, **at(numbers.uniform(300, 900)), **told))
        source.put(
            "status", status(state, name, 0.84 if state == "drift" else mean, **at(numbers.uniform(3, 60)), **told)
        )
    for number in range(600):
        value = numbers.gauss(0.93 if number < 560 else 0.80, 0.012)
        about = {"model_name": MODEL, "model_version": "7", "accuracy": value, **at((600 - number) / 4)}
        source.metrics.append(Metrics.model_validate(about))
    source.put("drift", drift(MODEL, value=0.81, severity="warning", statistic=-3.2, **at(9.8)))
    source.put("drift", drift(MODEL, value=0.79, statistic=-5.6, threshold=4.0, **at(9)))
    _train(source, numbers)
    _alert(source)


def _train(source: DaySource, numbers: random.Random) -> None:
    source.put("models", version("6", MODEL, **at(4_000)), key=version_key(MODEL, "6"))
    for age, done in ((300.0, True), (8.5, False)):
        asked = request(MODEL, reason="accuracy is worse: z_score -5.6 of 4", **at(age))
        source.put("retrain", asked)
        for number in range(8 if done else 5):
            params = {"depth": numbers.randrange(3, 12), "learning_rate": round(numbers.uniform(0.01, 0.3), 3)}
            how = {
                "params": params,
                "score": 0.90 + numbers.uniform(0, 0.05),
                "duration_seconds": numbers.uniform(20, 60),
            }
            if number == 3:
                how |= {"state": "pruned", "score": 0.81}
            source.put("trials", trial(asked, number, **how, **at(age - number)))
        if done:
            best = {"best_trial_id": "t6", "reason": "8 trials, the best has the score 0.947"}
            source.put("trials", finished(asked, **best, **at(age - 10)))
            source.put("models", version("7", MODEL, parent_version="6", request_id=asked.event_id,
                       study_id=study_id_of(asked.event_id), **at(age - 11)), key=version_key(MODEL, "7"))  # fmt: skip
    champion = alias("champion", "7", MODEL, previous=["6"], **at(289))
    source.put("models", champion, key=alias_key(MODEL, "champion"))


def _alert(source: DaySource) -> None:
    for kind, model, age, text in (
        ("silence", "churn-jp", 31, "no record for 5m"),
        ("schema_drift", "credit-us", 58, "column amount is text, was a number"),
        ("inference_failure", MODEL, 12, "out of memory"),
        ("data_quality_issue", "ranking-br", 130, "12 % of ages are missing"),
        ("expired_labels", "fraud-uk", 210, "100 labels found no prediction"),
    ):
        source.put(
            "alerts", alert(kind, model=model, message=text, severity="error" if age < 40 else "warning", **at(age))
        )
    over = alert("silence", "resolved", "ranking-br", message="records come again", severity="info", **at(45))
    source.put("alerts", over)
    for number, value in enumerate(
        (b'{"type": "metrics", "model_name": "fraud-eu", "accuracy": "high"}', b"not json", b"{")
    ):
        set_aside = letter(4_711 + number, value, key=b"fraud-eu")
        reason = (
            "accuracy: expected a number, got 'high'",
            "value: expected a JSON object, got invalid JSON",
            "monitor failed",
        )
        source.put("dead-letter", set_aside.model_copy(update={"reason": reason[number], **at(20 * number + 4)}))


def act(client: Client) -> None:
    """What a person did on this day."""
    for action, wish in (
        ("mute", {"model_name": "credit-*", "kind": "schema_drift", "minutes": 240, "owner": "payments",
                  "note": "the upstream release is being rolled back"}),
        ("acknowledge", {"model_name": "churn-jp", "kind": "silence", "note": "the fleet is being moved"}),
        ("pause", {"model_name": "churn-jp", "note": "the fleet is being moved"}),
    ):  # fmt: skip
        answer = client.act(action, **wish)
        assert answer.status == 200, answer.body


def take(browser: Browser, address: str, folder: Path) -> None:
    """Every page, in every shape and colour."""
    for shape, (width, height) in {"wide": WIDE, "narrow": PHONE}.items():
        for scheme in ("light", "dark"):
            for name, path in PAGES.items():
                browser.resize(width, height)
                browser.prefer(scheme)
                browser.open("about:blank")
                browser.open(f"{address}#token={TOKEN}")
                browser.find(".live", "live")
                browser.run(f"location.hash = '#/{path}'")
                browser.until(lambda: browser.texts("main h1"), "the page")
                _prepare(browser, name)
                time.sleep(1.2)  # the chart is drawn, fonts are there
                shot = browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
                (folder / f"{name}-{shape}-{scheme}.png").write_bytes(base64.b64decode(shot["data"]))


def _prepare(browser: Browser, name: str) -> None:
    if name == "model":
        browser.until(
            lambda: "drift finding" in str(browser.run("return document.querySelector('.chart').ariaLabel")), "it"
        )
    if name == "studies":
        browser.find("#studies details")
        browser.run("document.querySelector('#studies').scrollIntoView()")
    if name == "lineage":
        browser.click("#versions button", "Lineage")
        browser.find("#versions .tree", "Lineage of")
        browser.run("document.querySelector('#versions').scrollIntoView()")


def main(folder: Path) -> None:
    """Take all pictures into a folder."""
    source = DaySource()
    fill(source)
    access = Access(DashboardSettings(tokens=[DashboardToken(name="ada", role="operate", sha256=hashed(TOKEN))]))
    with served(make_app(source, access, PREFIX)) as port, chromium() as browser:
        act(Client(port, TOKEN))
        take(browser, f"http://127.0.0.1:{port}/", folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
