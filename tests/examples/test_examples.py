"""Every example runs, and does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agents.settings import load_settings
from agents.tuner import load_objective, tune
from examples import digits, dummy, gradient_boosting
from tests.tuner.making import request

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if path.stem != "__init__")


def test_there_is_a_test_for_each_example() -> None:
    assert MODULES == ["digits", "dummy", "gradient_boosting"]


@pytest.mark.parametrize("name", MODULES)
def test_it_runs_as_its_first_lines_say(name: str) -> None:
    command = [sys.executable, "-m", f"examples.{name}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("best of ")


def test_the_dummys_peak_is_near_a_learning_rate_of_a_twentieth() -> None:
    best = max(tune(dummy.objective, dummy.SPACE, 60, seed=0), key=lambda result: result.score or 0)
    assert 0.04 < float(best.params["lr"] or 0) < 0.0625


def test_digits_are_read_well_and_the_final_model_as_well() -> None:
    results = tune("examples.digits:objective", digits.SPACE, 6, seed=0)
    best = max(results, key=lambda result: result.score or 0)
    assert best.score is not None
    assert best.score > 0.9
    model = load_objective("examples.digits:objective").train(dict(best.params), request())
    assert model.metrics["accuracy"] > 0.9


def test_gradient_boosting_is_described_by_its_settings_alone() -> None:
    settings = load_settings(gradient_boosting.SETTINGS)
    rule = settings.tune_rule("tumours")
    assert rule is not None
    results = tune(load_objective(rule.objective, rule.options), rule.space, 2, seed=0)
    assert all(result.score is not None and result.score > 0.97 for result in results)
