"""The golden histories come out as they always did, to the byte; what changes them is noticed."""

from __future__ import annotations

from typing import Any

import pytest

from agents.drift.two_proportion import TwoProportion
from agents.drift.z_score import ZScore
from agents.monitor import phases
from agents.monitor.intake import Intake
from tests.golden.__main__ import difference
from tests.golden.histories import FOLDER, expected_file, names, outputs


@pytest.mark.parametrize("name", names())
def test_a_history_comes_out_as_it_always_did(name: str) -> None:
    expected, now = expected_file(name).read_bytes(), outputs(name)
    assert now == expected, "\n".join(difference(name, expected, now)) + "\n(meant? python -m tests.golden --renew)"


def test_there_are_histories_and_they_are_small() -> None:
    assert len(names()) >= 4
    assert sum(file.stat().st_size for file in FOLDER.glob("*.jsonl")) < 300_000


@pytest.mark.parametrize(
    ("step", "method", "broken", "name"),
    [
        (ZScore, "judge", lambda *_: [], "fall"),
        (TwoProportion, "_p_values", lambda _, statistics: [0.5] * len(statistics), "errors"),
        (Intake, "_note_silence", lambda *_: None, "troubles"),
        (phases, "RECOVERY_DEVIATIONS", 30.0, "fall"),
    ],
)
def test_a_step_that_changes_is_noticed(
    step: Any, method: str, broken: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The histories that must fail."""
    monkeypatch.setattr(step, method, broken)
    assert outputs(name) != expected_file(name).read_bytes()
