"""Every command line of the documents about the registry and tracking works as it is written, in its order."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import pytest

from agents.cli import kafka
from agents.cli.kafka import ToSend
from agents.settings import Settings
from schemas.topics import TOPICS
from tests.cli.running import everything_on, visutility

DOCS = Path(__file__).parents[2] / "docs"
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
JSON = re.compile(r"```json\n(.*?)```", re.DOTALL)


def lines(document: str) -> list[list[str]]:
    """The command lines of a document, as a shell would split them."""
    found = [line for block in SHELL.findall((DOCS / document).read_text()) for line in block.splitlines()]
    assert found
    return [shlex.split(line) for line in found]


def run_all(document: str) -> None:
    for program, *arguments in lines(document):
        assert program == "visutility"
        ran = visutility(*arguments)
        assert ran.status == 0, (arguments, ran.err)
        assert ran.out, arguments


def test_the_registrys_command_lines_work(settings: Settings, folder: Path) -> None:
    (folder / "model.joblib").write_bytes(b"a model")
    (folder / "better.joblib").write_bytes(b"a better model")
    run_all("registry.md")
    aliases = [record.key for record in everything_on(settings, "models") if b"@" in record.key]
    assert aliases == [*[b"digits@champion"] * 3, b"digits@retired", b"digits@champion"]
    (request,) = everything_on(settings, "retrain")
    assert b'"event_id":"labels-of-june"' in request.value


def test_the_messages_of_the_tracking_document_are_runs_for_its_command_lines(settings: Settings, folder: Path) -> None:
    (block,) = JSON.findall((DOCS / "tracking.md").read_text())
    records = [ToSend(f"{settings.topic_prefix}experiments", b"digits", line.encode()) for line in block.splitlines()]
    asyncio.run(kafka.publish(settings, records))
    run_all("tracking.md")
    run = visutility("runs", "show", "r1", "--json").json
    assert (run["epochs"], run["final_metrics"]) == ({"0": {"loss": 0.7}}, {"accuracy": 0.93})
    assert (folder / "runs.jsonl").read_bytes().count(b"\n") == 3


@pytest.mark.parametrize("document", ["registry.md", "tracking.md"])
def test_the_python_of_the_documents_imports_what_there_is(document: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / document).read_text(), re.DOTALL)
    for line in [line for block in blocks for line in block.splitlines() if line.startswith("from ")]:
        exec(line, {})


def test_every_alias_and_message_of_the_topics_is_named() -> None:
    text = (DOCS / "registry.md").read_text()
    assert all(f"`{each}`" in text for each in ("model_version", "model_alias"))
    assert {message.model_fields["type"].default for message in TOPICS["models"].classes} == {
        "model_version", "model_alias",
    }  # fmt: skip
