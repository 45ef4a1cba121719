"""Settings, messages and Python in the documents are what they look like."""

from __future__ import annotations

import ast
import json
import tomllib
from pathlib import Path

import pytest

from agents.backtest.sweep.space import read_spaces
from agents.drift import DETECTORS
from agents.settings import Settings
from schemas.parse import type_of
from schemas.topics import TOPICS
from tests.documents.fences import DOCUMENTS, Block, blocks

ALL = [block for document in DOCUMENTS for block in blocks(document)]


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "toml"], ids=str)
def test_settings_can_be_used_as_they_stand(block: Block, tmp_path: Path) -> None:
    tables = tomllib.loads(block.text)
    if set(tables) <= set(DETECTORS):  # what a sweep is to try
        (tmp_path / "space.toml").write_text(block.text)
        assert set(read_spaces(tmp_path / "space.toml")) == set(tables)
    else:
        Settings(**tables)


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "json"], ids=str)
def test_lines_of_json_are_json_and_messages_are_ours(block: Block) -> None:
    for line in block.text.splitlines():
        if "type" in (document := json.loads(line)):
            (spec, *_) = [spec for spec in TOPICS.values() if document["type"] in map(type_of, spec.classes)]
            assert spec.parser()(line.encode(), ()).type == document["type"]


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "python"], ids=str)
def test_python_is_python_and_imports_what_there_is(block: Block) -> None:
    tree = compile(block.text, str(block), "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    imports: list[ast.stmt] = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), str(block), "exec"), {})


def test_every_message_that_fleets_send_has_an_example() -> None:
    (block,) = [block for block in ALL if block.document.name == "connect.md" and block.language == "json"]
    shown = {json.loads(line)["type"] for line in block.text.splitlines()}
    assert shown == set(map(type_of, TOPICS["metrics"].classes))
