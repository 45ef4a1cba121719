"""Every command of the documents works as it is written; one that is not run says why, and is parsed all the same."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from tests.documents.fences import DOCUMENTS, REASONS, ROOT, Block, blocks, lines, shell_blocks, spans, words
from tests.documents.grammar import commands, fault

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMANDS = re.compile(r"^(?:visutility|make|pip|python3?|curl|docker|podman) ", re.MULTILINE)


def name(document: Path) -> str:
    return str(document.relative_to(ROOT))


def all_blocks() -> list[Block]:
    return [block for document in DOCUMENTS for block in blocks(document)]


# --- what every block must be -----------------------------------------------------------------------------------------


def test_every_block_names_its_language_and_commands_are_in_those_of_the_shell() -> None:
    for block in all_blocks():
        assert block.language, f"{block}: ```sh of commands, ```text of what they print"
        if block.language in ("text", "bash", "shell"):
            assert not COMMANDS.search(block.text), f"{block}: commands stand in ```sh or ```console, which are run"


def test_a_block_that_is_not_run_gives_one_of_the_known_reasons() -> None:
    reasons = {block.reason: str(block) for block in all_blocks() if block.reason}
    assert set(reasons) <= set(REASONS), reasons
    assert set(REASONS) <= set(reasons), "a reason that nothing needs any more"


def test_most_commands_of_ours_are_run() -> None:
    told = [block for block in all_blocks() if block.language == "sh" and block.reason != "examples"]
    ours = [block for block in told for line in lines(block.text) if words(line)[:1] == ["visutility"]]
    assert len([block for block in ours if not block.reason]) > 0.8 * len(ours) > 40


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_command_line_of_ours_parses(document: Path) -> None:
    for block in shell_blocks(document):
        for command in map(words, lines(block.text)):
            if command and command[0] == "visutility":
                assert fault(command[1:]) is None, f"{block}: {' '.join(command)}: {fault(command[1:])}"
    for span in spans(document):
        problem = fault(words(span)[1:], mentioned=True)
        assert problem is None, f"{name(document)}: `{span}`: {problem}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_what_is_not_run_names_what_there_is(document: Path) -> None:
    """Targets of make, modules of ours, extras."""
    for block in shell_blocks(document):
        for command in map(words, lines(block.text)):
            if command and command[0] == "make":
                assert command[1] in TARGETS, f"{block}: make {command[1]}"
        for module in re.findall(r"python3? -m ((?:agents|benchmarks|examples|tests)[\w.]*)", block.text):
            assert importlib.util.find_spec(module), f"{block}: python -m {module}"
    extras = re.findall(r"(?:visutility-streams|'\.|\"\.)\[([\w,]+)\]", document.read_text())
    known = PROJECT["project"]["optional-dependencies"]
    assert {each for listed in extras for each in listed.split(",")} <= set(known), name(document)


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=[" ".join(path) for path, _ in commands()])
def test_the_help_of_each_command_has_examples_that_parse(path: list[str], command: object) -> None:
    text = getattr(command, "help", None) or ""
    examples = re.findall(r"visutility .*", text.partition("Example")[2])
    is_group = hasattr(command, "commands")
    assert is_group or any(f"visutility {' '.join(path)}" in each for each in examples)
    assert [each for each in examples if fault(words(each)[1:])] == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("visutility topic list", "no command 'topic'"),
        ("visutility topics lst", "no command 'topics lst'"),
        ("visutility backtest x.jsonl --jsn", "No such option: --jsn"),
        ("visutility backtest", "Missing argument 'SOURCE'."),
        ("visutility backtest x.jsonl --processes many", "Invalid value for '--processes'"),
        ("visutility topics", "what to do is missing"),
        ("visutility", "what to do is missing"),
        ("visutility --instal-completion", "No such option: --instal-completion"),
    ],
)
def test_a_line_that_would_be_refused_does_not_pass(line: str, problem: str) -> None:
    assert (fault(words(line)[1:]) or "").startswith(problem)


def test_parsing_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for line in ("--install-completion", "--help", "topics --help", "--version"):
        assert fault(line.split()) is None
    assert not list(tmp_path.iterdir())


def test_blocks_lines_and_words_are_read_as_a_shell_would(tmp_path: Path) -> None:
    text = """<!-- not run: long -->
```sh
# a comment
A=1 visutility backtest 'a b' | head  # all
cat > f <<'END'
  visutility x
END
visutility worker \\
    --agents a
python -c "
pass"
```

`visutility dlq
list`
"""
    document = tmp_path / "page.md"
    document.write_text(text)
    (block,) = blocks(document)
    assert (block.line, block.language, block.reason) == (2, "sh", "long")
    first, heredoc, continued, quoted = lines(block.text)
    assert words(first) == ["visutility", "backtest", "a b"]
    assert heredoc == "cat > f <<'END'\n  visutility x\nEND"
    assert words(continued) == ["visutility", "worker", "--agents", "a"]
    assert words(quoted) == ["python", "-c", "\npass"]
    assert spans(document) == ["visutility dlq list"]


def test_of_a_transcript_the_commands_are_taken(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("```console\n$ visutility topics \\\n    list\nNAME\nvisutility x\n$ visutility doctor\n```\n")
    (block,) = blocks(document)
    assert [words(line) for line in lines(block.text)] == [["visutility", "topics", "list"], ["visutility", "doctor"]]
