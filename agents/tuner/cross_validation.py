"""An objective without code: a scikit-learn estimator, scored by cross-validation on data of the settings' choosing.

    [[tune]]
    objective = "cross_validation"

    [tune.options]
    estimator = "sklearn.ensemble:GradientBoostingClassifier"
    data = "fraud.csv"
    target = "label"

`estimator` is an import path of a class; the trial's params are its keyword arguments, and the trial sets its
`random_state` where the class has one. `data` is a `.csv` or `.csv.gz` file with a header, whose column `target` holds
the labels and whose other columns are numbers; or an `.npz` file with the arrays `X` [n, d] and `y` [n]; or the import
path of a function that is given the `RetrainRequest` and returns X and y. `folds` (2 to 20) is the number of folds,
`scoring` a scorer of scikit-learn's (by default accuracy, or R² for a regressor). After each fold the mean so far is
reported, so that a pruner can end a trial early.

The artifact is a pickle of the fitted estimator: load it only if you trust who wrote it, and check its SHA-256 first.
"""

from __future__ import annotations

import csv
import gzip
import pickle
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from agents.tuner.objective import ObjectiveError, RunningTrial, TrainedModel, TrialPruned, import_by_path
from schemas.retrain import RetrainRequest

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[Any]


class Table(NamedTuple):
    """Features [n, d] and targets [n]."""

    features: Matrix
    targets: Vector


class CrossValidation:
    """Scores an estimator by cross-validation; see the module. Raises `ObjectiveError` for unusable options."""

    def __init__(
        self, estimator: str, data: str, target: str = "target", folds: int = 5, scoring: str | None = None
    ) -> None:
        given: Any = folds  # whatever the settings say
        if type(given) is not int or not 2 <= given <= 20:
            raise ObjectiveError(f"expected folds to be a whole number from 2 to 20, got {folds!r}")
        self._estimator = import_by_path(estimator)
        self._loader = import_by_path(data) if ":" in data else None
        self._data, self._target, self._folds, self._scoring = data, target, folds, scoring

    def load_data(self, request: RetrainRequest) -> Table:
        """The file, or what the loader returns for this request."""
        if self._loader is None:
            return _read(Path(self._data), self._target)
        features, targets = self._loader(request)
        return _checked(Table(np.asarray(features, float), np.asarray(targets)), self._data)

    def __call__(self, trial: RunningTrial, data: Table) -> float:
        """The mean score over the folds."""
        from sklearn.base import is_classifier
        from sklearn.metrics import check_scoring
        from sklearn.model_selection import KFold, StratifiedKFold

        model = self._model(trial.params, trial.seed)
        splitter = StratifiedKFold if is_classifier(model) else KFold
        scorer, scores = check_scoring(model, self._scoring), list[float]()
        # The same folds for all trials of a study, or luck with the folds would decide between them.
        for number, (rest, fold) in enumerate(splitter(self._folds, shuffle=True, random_state=0).split(*data)):
            fitted = self._model(trial.params, trial.seed).fit(data.features[rest], data.targets[rest])
            scores.append(float(scorer(fitted, data.features[fold], data.targets[fold])))
            trial.report(number, fmean(scores))
            if number + 1 < self._folds and trial.should_prune():
                raise TrialPruned
        return fmean(scores)

    def train(self, params: Mapping[str, Any], request: RetrainRequest) -> TrainedModel:
        """The estimator fitted on all of the data."""
        data = self.load_data(request)
        fitted = self._model(params, 0).fit(data.features, data.targets)
        return TrainedModel(pickle.dumps(fitted), {"rows": float(len(data.targets))})

    def _model(self, params: Mapping[str, Any], seed: int) -> Any:
        model = self._estimator(**params)
        if "random_state" in model.get_params() and "random_state" not in params:
            model.set_params(random_state=seed)
        return model


def _read(path: Path, target: str) -> Table:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return _checked(Table(np.asarray(arrays["X"], float), arrays["y"]), str(path))
        return _read_csv(path, target)
    except (OSError, KeyError, ValueError) as problem:
        if isinstance(problem, ObjectiveError):
            raise
        raise ObjectiveError(f"data {path}: cannot be read: {problem}") from problem


def _read_csv(path: Path, target: str) -> Table:
    compressed = path.suffix == ".gz"
    with gzip.open(path, "rt", encoding="utf-8") if compressed else path.open(encoding="utf-8") as file:
        rows = csv.DictReader(file)
        names = list(rows.fieldnames or ())
        if target not in names:
            raise ObjectiveError(f"data {path}: no column {target!r}; its columns: {', '.join(names)[:200]}")
        features, targets = list[list[float]](), list[str]()
        for number, row in enumerate(rows, 2):
            targets.append(row[target])
            features.append([_number(row[name], f"{path}:{number}", name) for name in names if name != target])
    labels = np.array(targets)
    with suppress(ValueError):  # labels may be words
        labels = labels.astype(float)
    return _checked(Table(np.array(features, float), labels), str(path))


def _number(text: str | None, where: str, name: str) -> float:
    try:
        return float(text) if text else float("nan")
    except ValueError:
        raise ObjectiveError(f"{where}: expected a number in column {name!r}, got {text!r:.60}") from None


def _checked(table: Table, source: str) -> Table:
    features, targets = table
    if features.ndim != 2 or targets.ndim != 1 or len(features) != len(targets) or not len(targets):
        raise ObjectiveError(
            f"data {source}: expected X of [n, d] and y of [n], got {list(features.shape)} and {list(targets.shape)}"
        )
    return table
