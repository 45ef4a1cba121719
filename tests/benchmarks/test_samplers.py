"""Samplers that learn reach a good value in fewer trials than chance does."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import main
from benchmarks.samplers import PROBLEMS, SAMPLERS, branin, hartmann6, trials_to_target


def test_the_functions_have_their_minima_where_the_literature_says() -> None:
    for x, y in ((-3.14159, 12.275), (3.14159, 2.275), (9.42478, 2.475)):
        assert branin({"x": x, "y": y}) == pytest.approx(0.397887, abs=1e-5)
    best = (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)
    assert hartmann6({f"x{n}": value for n, value in enumerate(best)}) == pytest.approx(-3.32237, abs=1e-4)


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_tpe_needs_fewer_trials_than_random_search_over_20_seeds(problem: str) -> None:
    needed = {
        name: sum(trials_to_target(name, PROBLEMS[problem], seed) for seed in range(20)) for name in ("random", "tpe")
    }
    assert needed["tpe"] < 0.6 * needed["random"]


def test_the_benchmark_gives_trials_and_ratios_without_any_kafka(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VISUTILITY_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    main("samplers", as_json=True, share=0.05)
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"branin", "branin, of random search", "hartmann6", "hartmann6, of random search"}
    assert set(result["branin"]) == set(SAMPLERS)
    ratio = result["hartmann6"]["tpe"] / result["hartmann6"]["random"]
    assert result["hartmann6, of random search"]["tpe"] == pytest.approx(ratio, abs=1e-3)
