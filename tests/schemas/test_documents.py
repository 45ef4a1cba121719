"""The published documents: fresh, valid by the official metaschema, kept to by our messages, and never narrowed.

`docs/schemas/VERSION` holds those of each release; the one of this version is what `visutility schemas export` writes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from agents.cli.schemas import ASYNCAPI_FILE, files
from agents.tuner.state import TunerState
from schemas.message import InvalidMessage
from schemas.parse import Parser, parser_for, type_of
from schemas.topics import TOPICS
from tests.schemas.from_schema import Schema, SchemaMessages
from tests.schemas.strategies import MESSAGES
from tests.tuner.making import event, request, run_trials, stage, stepped, train

ROOT = Path(__file__).resolve().parents[2]
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
RELEASES = sorted(folder.name for folder in (ROOT / "docs" / "schemas").iterdir() if folder.is_dir())
CLASSES = {type_of(kind): kind for spec in TOPICS.values() for kind in spec.classes}
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*.expected.jsonl"))

#: What only the workers write, and others read: there a new release must not say what the former did not allow.
WRITTEN = [name for name, kind in CLASSES.items() if name not in {type_of(each) for each in TOPICS["metrics"].classes}]

AGAIN = f"run: visutility schemas export docs/schemas/{VERSION}"


@cache
def published(release: str, name: str) -> Schema:
    schema: Schema = json.loads((ROOT / "docs" / "schemas" / release / f"{name}.schema.json").read_text())
    return schema


@cache
def validator(release: str, name: str) -> Draft202012Validator:
    return Draft202012Validator(published(release, name), format_checker=Draft202012Validator.FORMAT_CHECKER)


@cache
def parser(name: str) -> Parser:
    return parser_for(CLASSES[name])


def names_of(release: str) -> list[str]:
    folder = ROOT / "docs" / "schemas" / release
    return sorted(path.name.removesuffix(".schema.json") for path in folder.glob("*.schema.json"))


def every_published() -> list[tuple[str, str]]:
    return [(release, name) for release in RELEASES for name in names_of(release)]


def test_what_is_published_for_this_version_is_what_the_models_say() -> None:
    folder = ROOT / "docs" / "schemas" / VERSION
    fresh = files(VERSION)
    assert {path.name for path in folder.iterdir()} == set(fresh), AGAIN
    for name, text in fresh.items():
        assert (folder / name).read_text() == text, f"{name} is stale; {AGAIN}"


@pytest.mark.parametrize(("release", "name"), every_published())
def test_each_is_a_json_schema_by_the_official_metaschema(release: str, name: str) -> None:
    Draft202012Validator.check_schema(published(release, name))


@pytest.mark.parametrize(("release", "name"), every_published())
@settings(max_examples=10)
@given(data=st.data())
def test_what_was_valid_under_a_release_is_a_message_still(release: str, name: str, data: st.DataObject) -> None:
    document = data.draw(SchemaMessages(published(release, name)).messages())
    validator(release, name).validate(document)
    assert_message(name, document)


def assert_message(name: str, document: dict[str, Any]) -> None:
    parser(name)(json.dumps(with_equal_columns(document)).encode())


def with_equal_columns(document: dict[str, Any]) -> dict[str, Any]:
    """`outcomes` whose columns are as long as the shortest, which its description asks for and no schema can say."""
    columns = [name for name in ("y_true", "y_pred", "scores", "timestamps") if document.get(name) is not None]
    if document["type"] != "outcomes":
        return document
    length = min(len(document[name]) for name in columns)
    return {**document, **{name: document[name][:length] for name in columns}}


@pytest.mark.parametrize("name", CLASSES)
@settings(max_examples=10)
@given(data=st.data())
def test_each_message_keeps_to_its_schema(name: str, data: st.DataObject) -> None:
    validator(VERSION, name).validate(json.loads(data.draw(MESSAGES[CLASSES[name]]).to_json()))


@pytest.mark.parametrize("release", RELEASES)
@settings(max_examples=15)
@given(data=st.data())
def test_readers_of_a_former_release_can_read_what_is_written_now(release: str, data: st.DataObject) -> None:
    for name in set(names_of(release)) & set(WRITTEN):
        validator(release, name).validate(json.loads(data.draw(MESSAGES[CLASSES[name]]).to_json()))


def test_what_the_agents_published_in_the_golden_histories_keeps_to_the_schemas() -> None:
    seen = set()
    lines = [json.loads(line) for path in GOLDEN for line in path.read_text().splitlines()]
    for message in (line["message"] for line in lines if "message" in line):
        validator(VERSION, message["type"]).validate(message)
        seen.add(message["type"])
    assert {"drift_detected", "threshold_breached", "retrain_request", "alert"} <= seen


def test_what_a_study_publishes_keeps_to_the_schemas() -> None:
    tuner, state = stage(trials=2), TunerState()
    state, handed_out = stepped(tuner, state, event(request()))
    messages = [output.message for output in handed_out if output.message is not None]
    for go_on in (run_trials, train):
        state, more = go_on(tuner, state)
        messages += more
    for message in messages:
        validator(VERSION, message.type).validate(json.loads(message.to_json()))
    kinds = {message.type for message in messages}
    assert {"trial_request", "trial_result", "study_finished", "model_version", "model_alias"} <= kinds


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("metrics", {"accuracy": 1.5}),
        ("metrics", {}),
        ("metrics", {"accuracy": None}),
        ("metrics", {"extras": {}}),
        ("metrics", {"extras": {"a\nb": 1}}),
        ("metrics", {"accuracy": 0.5, "labels": {"region": 1}}),
        ("metrics", {"accuracy": 0.5, "timestamp": 1_700_000_000_000}),
        ("metrics", {"accuracy": 0.5, "timestamp": "1999-01-01T00:00:00Z"}),
        ("metrics", {"accuracy": 0.5, "timestamp": "2024-01-01"}),
        ("metrics", {"accuracy": 0.5, "model_name": ""}),
        ("metrics", {"accuracy": 0.5, "type": None}),
        ("prediction", {"y_pred": 1}),
        ("outcomes", {"y_true": [], "y_pred": []}),
    ],
    ids=range(13),
)
def test_what_is_no_message_is_not_valid_either(name: str, document: dict[str, Any]) -> None:
    whole = {"type": name, "model_name": "m", "timestamp": 1_700_000_000, **document}
    with pytest.raises(InvalidMessage):
        parser(name)(json.dumps(whole).encode())
    with pytest.raises(ValidationError):
        validator(VERSION, name).validate(whole)


@pytest.mark.parametrize(
    ("field", "wider"),
    [
        ("model_name", {"type": "string", "minLength": 0, "maxLength": 249}),
        ("model_version", {"type": "string", "minLength": 0, "maxLength": 200}),
        ("accuracy", {"type": "number", "minimum": 0, "maximum": 100}),
        ("f1_score", {"anyOf": [{"type": "string"}, {"type": "number", "minimum": 0, "maximum": 1}]}),
    ],
)
def test_a_field_that_became_narrower_is_noticed(field: str, wider: Schema) -> None:
    """As if a former release had allowed more than this one."""
    former = json.loads(json.dumps(published(VERSION, "metrics")))
    former["properties"][field] = wider
    former["required"] = sorted({*former["required"], field})

    @settings(max_examples=100, database=None, derandomize=True, phases=[Phase.generate])
    @given(SchemaMessages(former).messages())
    def all_are_accepted(document: dict[str, Any]) -> None:
        assert_message("metrics", document)

    with pytest.raises((InvalidMessage, ExceptionGroup)):
        all_are_accepted()


def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "docs" / "schemas" / VERSION / ASYNCAPI_FILE).read_text())
    return document


def test_the_asyncapi_document_has_every_topic_and_every_reference_leads_somewhere() -> None:
    document = asyncapi()
    assert set(document["channels"]) == set(TOPICS)
    assert {operation["channel"]["$ref"].rpartition("/")[2] for operation in document["operations"].values()} == set(
        TOPICS
    )
    for name, spec in TOPICS.items():
        assert set(document["channels"][name]["messages"]) == {type_of(kind) for kind in spec.classes}
    references = list(found(document, "$ref"))
    assert len(references) > 50
    for reference in references:
        target = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def found(document: Any, key: str) -> Iterator[str]:
    if isinstance(document, dict):
        for name, value in document.items():
            if name == key:
                yield value
            else:
                yield from found(value, key)
    elif isinstance(document, list):
        for value in document:
            yield from found(value, key)


PARSER = ROOT / ".venv" / "asyncapi" / "node_modules" / "@asyncapi" / "parser"


def test_the_official_asyncapi_parser_has_no_complaint() -> None:
    if not (PARSER.is_dir() and shutil.which("node")):
        pytest.skip("needs Node.js and the official parser: make asyncapi")
    check = ROOT / "tests" / "schemas" / "asyncapi_parser.mjs"
    document = ROOT / "docs" / "schemas" / VERSION / ASYNCAPI_FILE
    done = subprocess.run(["node", check, PARSER, document], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
