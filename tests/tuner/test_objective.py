"""Objectives: how they are found, what they may return, and what is said when they cannot be used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from agents.tuner.objective import LoadedObjective, ObjectiveError, RunningTrial, TrainedModel, load_objective
from tests.tuner.making import request

HERE = "tests.tuner.objectives"


def trial(**params: Any) -> RunningTrial:
    return RunningTrial(number=0, params=params, seed=1, request=request())


def test_an_objective_is_found_by_import_path_with_its_companions() -> None:
    objective = load_objective(f"{HERE}:objective")
    data = objective.load_data(request(model="four"))
    assert data == "four"
    assert objective.score(trial(how="data"), data) == 4.0
    assert objective.train({"lr": 0.1}, request()).metrics == {"accuracy": 0.9}


def test_a_class_is_called_without_arguments_and_has_its_own_companions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBJECTIVES_LOG", str(tmp_path / "log"))
    objective = load_objective(f"{HERE}:CountingLoads")
    data = objective.load_data(request())
    assert data == tmp_path / "log"
    assert objective.score(trial(), data) > 0
    assert objective.train({"lr": 0.1}, request()) == TrainedModel(b'{"lr": 0.1}')


def test_a_nested_function_does_not_take_its_modules_companions() -> None:
    objective = load_objective(f"{HERE}:Nested.objective")
    assert objective.load_data(request()) is None
    assert objective.score(trial(), None) == 0.0


def test_an_objective_that_returns_nothing_scores_what_it_reported_last() -> None:
    assert load_objective(f"{HERE}:reporting").score(trial(), None) == 0.5


def test_an_installed_entry_point_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "shop-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[visutility.objectives]\nshop-price = {HERE}:objective\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_objective("shop-price").score(trial(lr=0.05), "x") == 1.0
    with pytest.raises(ObjectiveError, match="shop-price"):
        load_objective("shop-prize")


def test_a_module_in_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_objective.py").write_text("def objective(trial, data):\n    return 0.25\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert load_objective("my_own_objective:objective").score(trial(), None) == 0.25


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no.such.module:objective", "no module named 'no'"),
        (f"{HERE}:missing", "has no 'missing'"),
        (f"{HERE}:NOT_CALLABLE", "expected something to call, got int"),
        ("unknown_entry_point", "visutility.objectives"),
        (":objective", "expected 'package.module:function'"),
        ("tests.tuner.objectives:", "expected 'package.module:function'"),
    ],
)
def test_an_objective_that_cannot_be_found_is_named_in_one_line(name: str, expected: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        load_objective(name)
    assert expected in str(caught.value)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import absent_library\n", "needs a missing module: No module named 'absent_library'"),
        ("1 / 0\n", "importing broken_module failed: ZeroDivisionError: division by zero"),
        ("def objective(:\n", "importing broken_module failed: SyntaxError"),
    ],
)
def test_a_module_that_does_not_import_says_why(
    source: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "broken_module", raising=False)
    with pytest.raises(ObjectiveError, match="objective 'broken_module:objective'") as caught:
        load_objective("broken_module:objective")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (None, "NoneType"),
        ("0.9", "str"),
        (True, "bool"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (10**400, "int"),
        ({"accuracy": 0.9}, "without the key 'score'"),
        ({"score": float("nan")}, "nan"),
        ([0.9], "list"),
    ],
)
def test_what_is_no_finite_number_is_no_score(returned: Any, expected: str) -> None:
    with pytest.raises(ObjectiveError, match=expected):
        LoadedObjective("o", lambda trial, data: returned).score(trial(), None)


@pytest.mark.parametrize("returned", [0.5, {"score": 0.5, "loss": 3.0}])
def test_a_number_or_a_dict_with_a_score_is_a_score(returned: Any) -> None:
    assert LoadedObjective("o", lambda trial, data: returned).score(trial(), None) == 0.5


def test_a_report_that_is_no_finite_number_is_refused() -> None:
    with pytest.raises(ObjectiveError, match="reported at step 3 was nan"):
        trial().report(3, float("nan"))


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (b"bytes", "must return a TrainedModel with bytes, got bytes"),
        (None, "got NoneType"),
        (TrainedModel("text"), "must return a TrainedModel with bytes"),  # type: ignore[arg-type]
        (TrainedModel(b"x", {"accuracy": float("nan")}), "as metric 'accuracy' was nan"),
    ],
)
def test_a_training_that_returns_something_else_is_refused(returned: Any, expected: str) -> None:
    class Odd:
        def __call__(self, trial: RunningTrial, data: object) -> float:
            return 0.0

        def train(self, params: object, request: object) -> Any:
            return returned

    with pytest.raises(ObjectiveError, match=expected):
        LoadedObjective("o", Odd()).train({}, request())
