"""docs/detectors.md has the parameters that each detector has in the settings, with their defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agents.drift import DETECTORS
from agents.settings import MonitorRule

DOCUMENT = (Path(__file__).parents[2] / "docs" / "detectors.md").read_text()
TABLE = DOCUMENT.partition("<!-- parameters -->")[2].partition("<!-- end of parameters -->")[0]
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", TABLE, re.MULTILINE))


def test_every_detector_is_in_the_table_and_no_other() -> None:
    assert list(ROWS) == sorted(DETECTORS)


@pytest.mark.parametrize("name", DETECTORS)
def test_the_documented_parameters_are_the_real_ones(name: str) -> None:
    assert ROWS[name] == documented(name)


def documented(name: str) -> str:
    """Each parameter and its value where a rule that watches errors does not give it."""
    _, parameters = MonitorRule.model_validate({"metric": "error", "detector": {"name": name}}).detector_meant
    return ", ".join(f"`{param}` {_written(param, value)}" for param, value in parameters.items())


def _written(param: str, value: object) -> str:
    if param == "direction" and value != "both":
        return "the worse"
    return "none" if value is None else str(value)
