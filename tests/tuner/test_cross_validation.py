"""Cross-validation from the settings alone: what data it reads, what it scores, what it says of bad options."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.tuner import ObjectiveError, load_objective, tune
from schemas.retrain import RetrainRequest
from tests.tuner.making import request

TREE = "sklearn.tree:DecisionTreeClassifier"
SPACE = {"max_depth": [1, 4]}


def loader(asked: RetrainRequest | None) -> tuple[Any, Any]:
    """Rows that depend on the model's name: for `other` the labels are chance."""
    chance = np.random.default_rng(0)
    features = chance.normal(size=(120, 3))
    labels = features[:, 0] > 0 if asked is None or asked.model_name == "m" else chance.random(120) > 0.5
    return features, np.where(labels, "yes", "no")


def options(**given: Any) -> dict[str, Any]:
    return {"estimator": TREE, "data": "tests.tuner.test_cross_validation:loader", **given}


def csv_file(folder: Path, name: str = "data.csv") -> Path:
    features, labels = loader(request())
    lines = ["a,b,label,c", *(f"{a},{b},{label},{c}" for (a, b, c), label in zip(features, labels, strict=True))]
    data = ("\n".join(lines) + "\n").encode()
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def score(**given: Any) -> float:
    (result,) = tune(load_objective("cross_validation", options(**given)), SPACE, 1, seed=1)
    assert result.score is not None, result.error
    return result.score


def test_an_estimator_and_a_loader_are_enough() -> None:
    assert score() > 0.95


@pytest.mark.parametrize("name", ["data.csv", "data.csv.gz"])
def test_a_file_with_a_header_gives_what_the_loader_gives(tmp_path: Path, name: str) -> None:
    assert score(data=str(csv_file(tmp_path, name)), target="label") == score()


def test_a_file_of_arrays_gives_what_the_loader_gives(tmp_path: Path) -> None:
    features, labels = loader(request())
    np.savez(tmp_path / "data.npz", X=features, y=labels)
    assert score(data=str(tmp_path / "data.npz")) == score()


def test_the_loader_gets_the_request() -> None:
    objective = load_objective("cross_validation", options())
    learnt, chance = (objective.load_data(request(model=model)) for model in ("m", "other"))
    assert not np.array_equal(learnt.targets, chance.targets)


def test_a_regressor_is_scored_by_r2_and_a_scorer_can_be_named(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(80, 2))
    np.savez(tmp_path / "data.npz", X=features, y=features @ [1.0, 2.0])
    given = {"estimator": "sklearn.linear_model:Ridge", "data": str(tmp_path / "data.npz")}
    one, other = (
        tune(load_objective("cross_validation", given | extra), {"alpha": [0.001, 0.01]}, 1, seed=1)[0].score
        for extra in ({}, {"scoring": "neg_mean_absolute_error"})
    )
    assert one is not None
    assert other is not None
    assert 0.99 < one <= 1.0
    assert -0.1 < other < 0


def test_each_fold_is_reported_so_that_a_pruner_can_end_a_trial() -> None:
    objective = load_objective("cross_validation", options(folds=4))
    space = {"min_samples_leaf": {"type": "choice", "choices": [1, 60]}}
    results = tune(objective, space, 20, seed=1, pruner="median", pruner_params={"n_startup_trials": 2})
    poor = [result for result in results if result.params["min_samples_leaf"] == 60]
    assert {str(result.state) for result in poor[2:]} == {"pruned"}


def test_the_artifact_is_the_estimator_fitted_on_everything() -> None:
    model = load_objective("cross_validation", options()).train({"max_depth": 2}, request())
    features, labels = loader(request())
    fitted = pickle.loads(model.artifact)
    assert fitted.get_depth() <= 2
    assert np.mean(fitted.predict(features) == labels) > 0.95
    assert model.metrics == {"rows": 120.0}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"folds": 1}, "folds to be a whole number from 2 to 20, got 1"),
        ({"folds": 2.5}, "got 2.5"),
        ({"estimator": "sklearn.tree"}, "expected 'package.module:attribute'"),
        ({"estimator": "sklearn.tree:Oak"}, "has no 'Oak'"),
        ({"data": "no.such.module:loader"}, "no module named 'no'"),
        ({"bins": 3}, "its options do not fit"),
    ],
)
def test_options_that_cannot_be_used_are_told_in_one_line(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ObjectiveError, match=expected) as caught:
        load_objective("cross_validation", options(**given))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "No such file"),
        ("a,b\n1,2\n", "no column 'target'; its columns: a, b"),
        ("a,target\nx,1\n", r":2: expected a number in column 'a', got 'x'"),
        ("a,target\n", r"expected X of \[n, d\]"),
    ],
)
def test_data_that_cannot_be_read_is_told_with_its_place(tmp_path: Path, text: str | None, expected: str) -> None:
    path = tmp_path / "data.csv"
    if text is not None:
        path.write_text(text)
    objective = load_objective("cross_validation", options(data=str(path)))
    with pytest.raises(ObjectiveError, match=expected):
        objective.load_data(request())


def test_options_for_a_function_are_refused() -> None:
    with pytest.raises(ObjectiveError, match="options are for a class"):
        load_objective("tests.tuner.objectives:objective", {"a": 1})
