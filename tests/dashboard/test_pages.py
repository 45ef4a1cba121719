"""The pages in a browser, over a worker with a thousand models: what a person would see and do."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from streams.brokers.broker import Broker
from tests.conftest import delete_topics
from tests.dashboard.browsing import PHONE, WIDE, Browser, chromium
from tests.dashboard.serving import Client
from tests.loop.driving import ROOT, Cluster, Worker, wait_until

MODELS, VALUES = 1_000, 25
DRIFTED = "model-0500"
RULES = """
agents = ["monitor", "retrain"]
[[monitor]]
metric = "accuracy"
window = { size = 25, min_samples = 20 }
detector = { name = "z_score", threshold = 4.0, direction = "down" }
[[retrain]]
on_drift = false
"""

pytestmark = pytest.mark.timeout(240)


@dataclass
class Scene:
    """A worker, its dashboard and a browser."""

    cluster: Cluster
    browser: Browser
    worker: Worker | None = None
    port: int = 0
    address: str = ""
    process: subprocess.Popen[str] | None = None
    sent: dict[str, int] = field(default_factory=dict)

    def send(self, model: str, *values: float) -> None:
        """What a fleet sends."""
        records = []
        for value in values:
            self.sent[model] = self.sent.get(model, 0) + 1
            about = {"type": "metrics", "model_name": model, "model_version": "1", "timestamp": time.time()}
            records.append((model, json.dumps(about | {"accuracy": value}).encode()))
        self.cluster.produce(records)

    def start_dashboard(self) -> None:
        """`visutility dashboard`, as a person starts it."""
        command = [sys.executable, "-m", "agents.cli.main", "dashboard", "--config", str(self.cluster.config)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VISUTILITY_")}
        env = kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)], env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None

    def wait_ready(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.fullmatch(r"dashboard: (http://127\.0\.0\.1:(\d+)/)(#token=.+)\n", line)
        assert found, line
        self.port, self.address = int(found[2]), found[1] + found[3]
        wait_until(lambda: Client(self.port).ask("health/ready").status == 200, "the dashboard to be ready")

    def stop_dashboard(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(15)
        self.process.stdout.close()
        return code


@pytest.fixture(scope="module")
def scene(real_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A thousand models, of which one has drifted; the dashboard of it; and somebody who has opened its address."""
    folder, prefix = tmp_path_factory.mktemp("dashboard"), f"test-{uuid.uuid4().hex[:12]}."
    cluster = Cluster(real_broker, prefix, Path(folder), RULES)
    with chromium() as browser:
        scene = Scene(cluster, browser)
        try:
            scene.start_dashboard()  # it waits for the topics, which the worker makes
            scene.worker = cluster.worker()
            names = [f"model-{number:04d}" for number in range(MODELS)]
            records = []
            for turn in range(VALUES):
                for number, name in enumerate(names):
                    about = {"type": "metrics", "model_name": name, "model_version": "1", "timestamp": time.time()}
                    value = 0.9 + ((turn * 7 + number) % 10) / 1000
                    records.append((name, json.dumps(about | {"accuracy": value}).encode()))
            cluster.produce(records)
            scene.send(DRIFTED, 0.3, 0.31)
            cluster.produce([("broken", b'{"type": "metrics", "model_name": "broken"')])
            scene.wait_ready()
            yield scene
            assert scene.stop_dashboard() == 0
        finally:
            if scene.process is not None and scene.process.poll() is None:
                scene.process.kill()
            cluster.stop()
            delete_topics(real_broker.bootstrap_servers, prefix)


@pytest.fixture
def browser(scene: Scene) -> Iterator[Browser]:
    """The list of models, by somebody who has come with the address that the command printed."""
    scene.browser.resize(*WIDE)
    scene.browser.open("about:blank")
    scene.browser.open(scene.address)
    scene.browser.find(".live", "live")
    yield scene.browser
    assert scene.browser.complaints() == []


def rows(browser: Browser) -> list[str]:
    return browser.texts("tbody th")


def test_of_a_thousand_models_the_drifted_one_comes_first_and_any_is_found(browser: Browser) -> None:
    browser.until(lambda: "1,000 models" in browser.texts("main .head")[0], "all models", 60)
    browser.until(lambda: rows(browser)[0] == DRIFTED, "the drifted model at the top", 60)
    assert len(rows(browser)) == 50
    browser.click(".paging button", "Next")
    browser.find(".paging span", "51–100 of 1,000")
    browser.find("#search").send_keys("0077")
    browser.until(lambda: rows(browser) == ["model-0077"], "the model that was searched for")
    browser.find("#search").clear()
    browser.find("#search").send_keys("model-00" + Keys.TAB)
    browser.until(lambda: len(rows(browser)) == 50, "some models")
    browser.click("th button", "Model")
    browser.until(lambda: rows(browser)[:2] == ["model-0000", "model-0001"], "them by name")
    browser.click("th button", "Model")
    browser.until(lambda: rows(browser)[0] == "model-0099", "them by name, backwards")
    browser.open(browser.driver.current_url)  # what was chosen is in the address
    browser.until(lambda: rows(browser)[0] == "model-0099", "the same after loading again")


def test_a_filter_shows_one_state_alone(browser: Browser) -> None:
    browser.click(".filters button", "drift")
    browser.until(lambda: DRIFTED in rows(browser) and set(browser.texts("tbody .chip")) == {"drift"}, "the drifted")


def test_a_models_page_shows_its_chart_and_follows_what_its_fleet_sends(scene: Scene, browser: Browser) -> None:
    browser.until(lambda: "1,000 models" in browser.texts("main .head")[0], "all models", 60)
    browser.find("#search").send_keys("model-0123")
    browser.click("tbody a", "model-0123")
    browser.until(lambda: browser.texts("main h1") == ["model-0123"], "the model's page")
    browser.until(lambda: "25 values of accuracy" in chart(browser), "its chart")
    browser.find("main .head .chip", "ok")
    scene.send("model-0123", 0.2)
    browser.find("main .head .chip", "drift", 30)
    browser.until(lambda: "26 values" in chart(browser) and "1 drift finding" in chart(browser), "the chart to follow")
    assert browser.run("return document.querySelectorAll('#chart .scatterlayer .trace').length") >= 4
    browser.find("#findings tbody", "0.2")


def chart(browser: Browser) -> str:
    return str(browser.run("return document.querySelector('.chart')?.getAttribute('aria-label') ?? ''"))


def test_a_dead_letter_is_retried_by_keyboard_alone(browser: Browser) -> None:
    browser.run("document.querySelector('.top nav a[href=\"#/dead-letters\"]').focus()")
    browser.type(Keys.ENTER)
    browser.find("tbody", "invalid JSON")
    browser.run("document.querySelector('[data-key^=retry-]').focus()")
    browser.type(Keys.ENTER)
    browser.find("dialog", "Retry the record")
    browser.type("the fleet was mended" + Keys.ENTER)
    browser.find("#told", "Done")
    browser.until(lambda: len(browser.texts("tbody tr")) == 2, "the record as a dead letter again", 30)
    browser.click(".top nav a", "Actions")
    browser.find("tbody", "the fleet was mended")


def test_escape_closes_a_question_and_nothing_is_done(browser: Browser) -> None:
    browser.open(f"{browser.driver.current_url.split('#')[0]}#/model?name={DRIFTED}")
    browser.click(".actions button", "Pause")
    browser.find("dialog", "Pause retraining")
    browser.type(Keys.ESCAPE)
    browser.until(lambda: not browser.texts("dialog"), "the dialog to close")
    browser.find(".actions button", "Pause")


def test_a_model_that_is_to_be_trained_again_says_so(scene: Scene, browser: Browser) -> None:
    browser.open(f"{browser.driver.current_url.split('#')[0]}#/model?name=model-0042")
    browser.click(".actions button", "Retrain")
    browser.find("dialog")
    browser.type("new labels" + Keys.ENTER)
    browser.find("main .head .chip", "retraining")
    browser.find("#studies", "manual: asked for by")
    browser.find("#actions", "new labels")


def test_an_alert_is_muted_told_of_again_and_acknowledged(scene: Scene, browser: Browser) -> None:
    about = {"type": "schema_drift", "model_name": "model-0007", "timestamp": time.time()}
    scene.cluster.produce([("model-0007", json.dumps(about).encode())])
    browser.click(".top nav a", "Alerts")
    row = "tr:has([data-key='to-model-0007'])"
    browser.find(row, "schema drift")
    browser.click(f"{row} button", "Mute")
    browser.find("dialog", "Mute schema drift of model-0007")
    browser.find("#field-note").send_keys("the camera is being cleaned" + Keys.ENTER)
    browser.find(f"{row} .chip", "muted")
    browser.find("main", "the camera is being cleaned")
    browser.click("button", "Unmute")
    browser.find("dialog", "what is still open is told")
    browser.type("it is clean" + Keys.ENTER)
    browser.until(lambda: "muted" not in browser.texts(f"{row} .chip"), "the mute to end")
    browser.click(f"{row} button", "Acknowledge")
    browser.find("dialog")
    browser.type("on it" + Keys.ENTER)
    browser.find(f"{row} .chip", "known to")
    browser.click(".top nav a", "Actions")
    for action in ("mute", "unmute", "acknowledge"):
        browser.find("tbody td", action)


def test_a_pause_shows_on_the_page_once_the_stage_has_obeyed(browser: Browser) -> None:
    browser.open(f"{browser.driver.current_url.split('#')[0]}#/model?name={DRIFTED}")
    browser.click(".actions button", "Pause")
    browser.find("dialog")
    browser.type("moving" + Keys.ENTER)
    browser.find(".actions button", "Resume", 30)


def test_without_a_token_one_reads_and_is_asked_for_one_to_act(scene: Scene, browser: Browser) -> None:
    browser.click("#me", "sign out")
    browser.until(lambda: browser.find("#me").text == "Sign in", "to be signed out")
    browser.open(f"{browser.driver.current_url.split('#')[0]}#/model?name={DRIFTED}")
    browser.find(".actions", "Sign in with a token")
    browser.click("#me", "Sign in")
    browser.find("dialog input")
    browser.type(scene.address.partition("token=")[2] + Keys.ENTER)
    browser.find(".actions button", "Retrain")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_light_or_dark_fit_a_phone_and_name_what_can_be_pressed(scheme: str, browser: Browser) -> None:
    browser.prefer(scheme)
    browser.resize(*PHONE)
    for path in ("models", f"model?name={DRIFTED}", "alerts", "dead-letters", "actions"):
        browser.open(f"{browser.driver.current_url.split('#')[0]}#/{path}")
        browser.until(lambda: len(browser.texts("main h1")) == 1 and len(browser.texts("main")[0]) > 30, "a page")
        wide = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} pixels wider than a phone"
        nameless = (
            "return [...document.querySelectorAll('button, a, input, select')].filter((each) => !each.innerText.trim()"
        )
        nameless += " && !each.getAttribute('aria-label') && !each.labels?.length).map((each) => each.outerHTML)"
        assert browser.run(nameless) == []
    colour = browser.run("return getComputedStyle(document.body).backgroundColor")
    light = sum(int(each) for each in re.findall(r"\d+", colour)) > 3 * 128
    assert light == (scheme == "light")
    browser.click("#theme")
    assert browser.run("return getComputedStyle(document.body).backgroundColor") != colour
    browser.click("#theme")


def test_a_worker_that_is_killed_and_started_again_is_followed(scene: Scene, browser: Browser) -> None:
    assert scene.worker is not None
    scene.worker.kill()
    browser.open(f"{browser.driver.current_url.split('#')[0]}#/model?name=model-0321")
    browser.until(lambda: "values of accuracy" in chart(browser), "its chart")
    scene.send("model-0321", 0.1)
    scene.worker = scene.cluster.worker()
    browser.find("main .head .chip", "drift", 60)


def test_a_page_goes_on_when_the_dashboard_comes_back(scene: Scene, browser: Browser) -> None:
    browser.until(lambda: "1,000 models" in browser.texts("main .head")[0], "all models", 60)
    assert scene.stop_dashboard() == 0
    browser.find(".live", "reconnecting")
    browser.find("#trouble", "does not answer")
    assert len(rows(browser)) == 50
    scene.start_dashboard()
    scene.wait_ready()
    browser.find("#told", "not valid any more", 30)  # each start makes a token of its own
    browser.find(".live", "live", 30)
    scene.send("model-0777", 0.1)
    browser.until(lambda: rows(browser).count("model-0777"), "what came meanwhile", 30)
