"""Golden histories: recordings of a few kB, and exactly what their settings say about them.

NAME.jsonl is what was recorded, NAME.toml the settings, NAME.expected.jsonl every message that comes out, and at the
end the summary. `python -m tests.golden --renew` writes the last anew, after showing what changes.
"""

from __future__ import annotations

import json
from pathlib import Path

from agents.backtest import backtest, read_lines, summarise
from agents.settings import load_settings

FOLDER = Path(__file__).parent

TOPICS = ("drift", "retrain", "alerts", "dead_letters")


def names() -> list[str]:
    """The histories there are."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def expected_file(name: str) -> Path:
    """Where the outputs of a history are."""
    return FOLDER / f"{name}.expected.jsonl"


def outputs(name: str) -> bytes:
    """What comes out of a history now, one JSON object a line."""
    settings = load_settings(FOLDER / f"{name}.toml")
    result = backtest(read_lines(FOLDER / f"{name}.jsonl"), settings)
    lines: list[object] = [
        {"list": topic, "message": message} for topic in TOPICS for message in getattr(result, topic)
    ]
    lines.append({"events_read": result.events_read, "summary": summarise(result, settings)["total"]})
    return "".join(json.dumps(line) + "\n" for line in lines).encode()
