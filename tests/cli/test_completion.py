"""bash completes commands, options and some values, by what `visutility --install-completion` puts into ~/.bashrc."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agents.cli.main import main

ROOT = Path(__file__).parents[2]
BASH = shutil.which("bash")

COMPLETED = {
    "do": ["doctor"],
    "topics cr": ["create"],
    "backtest events.jsonl --ma": ["--max-delay", "--map"],
    "record --to x.jsonl dea": ["dead-letter"],
    "replay x.jsonl --topic exp": ["experiments"],
    "dlq list --stage t": ["tuner"],
    "rebuild --stage mon": ["monitor"],
    "worker --agents monitor,r": ["monitor,retrain", "monitor,runner"],
    "sweep x.jsonl --detectors adwin,cu": ["adwin,cusum"],
}


def in_bash(script: str, home: Path) -> str:
    """What a script prints in a bash whose user has this home, and finds our command."""
    program = home / "visutility"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m agents.cli.main "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "HOME": str(home), "PATH": f"{home}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    command = [str(BASH), "--noprofile", "--norc", "-euc", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment, cwd=home)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(BASH is None, reason="no bash")
def test_what_is_installed_completes_in_bash(tmp_path: Path) -> None:
    script = """
        visutility --install-completion > /dev/null
        source ~/.bashrc
        complete -p visutility
        COMP_WORDS=(visutility topics cr) COMP_CWORD=2
        _visutility_completion visutility
        echo "${COMPREPLY[*]}"
    """
    registered, answer = in_bash(script, tmp_path).splitlines()
    assert registered.endswith("-F _visutility_completion visutility")
    assert answer == "create"


@pytest.mark.skipif(BASH is None, reason="no bash")
def test_what_would_be_installed_is_shown_and_nothing_written(tmp_path: Path) -> None:
    # Another command after it, or bash would become the first: typer looks which shell it was called from.
    shown = in_bash("visutility --show-completion; true", tmp_path)
    assert "complete -o default -F _visutility_completion" in shown
    assert not (tmp_path / ".bashrc").exists()


@pytest.mark.parametrize(("line", "answer"), list(COMPLETED.items()))
def test_commands_options_and_values_are_completed(
    line: str, answer: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_VISUTILITY_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"visutility {line}")
    monkeypatch.setenv("COMP_CWORD", str(len(line.split())))
    with pytest.raises(SystemExit) as ended:
        main([])
    assert (ended.value.code, capsys.readouterr().out.split()) == (0, answer)
