"""docker-compose.yml and the Dockerfile say what the code understands, and let nobody in from outside."""

from __future__ import annotations

import importlib.util
import re
import shlex
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from agents.cli.main import app
from agents.demo.plan import DEGRADED, Plan
from agents.demo.rules import demo_settings
from agents.settings import Settings, load_settings
from streams.brokers.containers import IMAGE

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DEMO = ROOT / "deploy" / "demo.toml"


def test_the_services_are_those_of_the_whole_loop() -> None:
    assert set(SERVICES) >= {"kafka", "worker-1", "worker-2", "runner", "dashboard", "fleets", "prometheus", "grafana"}


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_that_the_command_line_takes(name: str) -> None:
    program, *arguments = SERVICES[name]["command"]
    if program == "python":
        assert arguments[0] == "-m"
        assert importlib.util.find_spec(arguments[1]) is not None
        return
    assert program == "visutility"
    # Options that there are not are refused before help is given.
    asked = typer.main.get_command(app).main([*arguments, "--help"], prog_name=program, standalone_mode=False)
    assert asked == 0
    if "--agents" in arguments:
        load_settings(DEMO, agents=arguments[arguments.index("--agents") + 1])


@pytest.mark.parametrize("name", OURS)
def test_every_setting_in_the_environment_is_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {key: value for key, value in SERVICES[name]["environment"].items() if key.startswith("VISUTILITY_")}
    assert {key.removeprefix("VISUTILITY_").lower() for key in given} <= set(Settings.model_fields)
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    assert load_settings(DEMO).bootstrap_servers == "kafka:9092"
    folder = re.search(r"^WORKDIR (\S+)\nVOLUME", DOCKERFILE, re.MULTILINE)
    assert folder, "where a settings file is found by itself"
    assert f"./deploy/demo.toml:{folder[1]}/visutility.toml:ro" in SERVICES[name]["volumes"]


@pytest.mark.parametrize("name", OURS)
def test_our_services_may_do_no_more_than_they_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_what_listens_listens_on_this_machine_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_others_images_are_of_one_version_and_kafkas_is_that_of_jars_and_tests() -> None:
    images = {name: service["image"] for name, service in SERVICES.items() if "build" not in service}
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in images.values())
    assert images["kafka"] == IMAGE
    pom = (ROOT / "streams" / "brokers" / "pom.xml").read_text()
    assert f"<kafka.version>{images['kafka'].split(':')[1]}</kafka.version>" in pom


def test_every_volume_is_declared_and_every_mounted_file_is_there() -> None:
    sources = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    files = {source for source in sources if source.startswith("./")}
    assert sources - files == set(COMPOSE["volumes"])
    assert all((ROOT / file).exists() for file in files)


def test_workers_share_models_but_no_state() -> None:
    volumes = [dict(each.split(":")[1::-1] for each in SERVICES[name]["volumes"]) for name in ("worker-1", "worker-2")]
    assert volumes[0]["/shared"] == volumes[1]["/shared"]
    assert volumes[0]["/data"] != volumes[1]["/data"]
    assert SERVICES["runner"]["environment"]["VISUTILITY_ARTIFACTS"].startswith("/shared/")


def test_the_demos_settings_are_those_of_the_demo_command() -> None:
    written, said = load_settings(DEMO), demo_settings(Plan("kafka:9092", "visutility.", Path()), exactly_once=True)
    assert written.monitor_rule(DEGRADED, "accuracy") == said.monitor_rule(DEGRADED, "accuracy")
    assert written.retrain[0] == said.retrain[0]
    assert written.tune == said.tune


def test_the_dashboard_knows_the_tokens_that_are_given_out() -> None:
    tokens = {token.name: (token.role, token.sha256) for token in load_settings(DEMO).dashboard.tokens}
    scraping = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    (token,) = [job["authorization"]["credentials"] for job in scraping if "authorization" in job]
    assert tokens == {
        "demo": ("operate", sha256(b"demo").hexdigest()),
        "prometheus": ("read", sha256(token.encode()).hexdigest()),
    }
    assert "8321/#token=demo" in (ROOT / "docker-compose.yml").read_text()


def test_prometheus_asks_services_that_there_are_at_the_port_of_their_metrics() -> None:
    asked = re.findall(r'"([\w-]+):(\d+)"', (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    assert {name for name, _ in asked} == {"worker-1", "worker-2", "dashboard"}
    for name, port in asked:
        served = SERVICES[name].get("ports") or [SERVICES[name]["environment"]["VISUTILITY_METRICS_ADDRESS"]]
        assert served[0].rpartition(":")[2] == port


def test_the_build_copies_only_what_is_there_and_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        part
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for part in shlex.split(line)[:-1]
    }
    sets = re.search(r"requirements/\$\{SET\}\.txt", DOCKERFILE)
    assert sets
    assert (copied - {sets[0]}) | {"requirements"} == kept
    assert all((ROOT / path).exists() for path in kept)
    assert all((ROOT / "requirements" / f"{name}.txt").exists() for name in ("demo", "worker"))


def test_the_image_runs_as_nobody_in_particular_and_asks_the_worker_for_its_health() -> None:
    assert "USER visutility" in DOCKERFILE.rpartition("FROM ")[2]
    address = re.search(r"VISUTILITY_METRICS_ADDRESS=(127\.0\.0\.1:\d+)", DOCKERFILE)
    assert address
    assert f"http://{address[1]}/health/ready" in DOCKERFILE


def test_the_manifest_for_kubernetes_asks_what_a_worker_answers() -> None:
    (manifest,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "containers.md").read_text(), re.DOTALL)
    pod = yaml.safe_load(manifest)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    routes = re.findall(r'add_get\("([^"]+)"', (ROOT / "agents" / "telemetry.py").read_text())
    assert {container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")} < set(routes)
    settings = {each["name"].removeprefix("VISUTILITY_").lower(): each["value"] for each in container["env"]}
    load_settings(None, **settings, agents=container["args"][-1])
    assert settings["metrics_address"].endswith(f":{container['ports'][0]['containerPort']}")
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}
    assert pod["terminationGracePeriodSeconds"] >= 15
