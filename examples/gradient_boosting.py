"""Gradient boosting on a table, without an objective of one's own: `gradient_boosting.toml` says it all.

    python -m examples.gradient_boosting

Needs scikit-learn: pip install 'visutility-streams[demo]'. `load_data` stands for the query that would fetch the newest
labelled rows of the model; here it is the breast cancer data that scikit-learn bundles (W. Wolberg and others,
"Breast Cancer Wisconsin (Diagnostic)", UCI, 1995): 569 rows of 30 numbers, and whether the tumour was benign.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from sklearn.datasets import load_breast_cancer

from agents.tuner import load_objective, tune
from schemas.retrain import RetrainRequest

SETTINGS = Path(__file__).with_suffix(".toml")


def load_data(request: RetrainRequest | None) -> tuple[Any, Any]:
    """X [n, 30] and y [n]; `request` says which model, which version, and why."""
    features, benign = load_breast_cancer(return_X_y=True)
    return features, benign


def main(trials: int | None = None) -> None:
    """Run the study that the settings describe, without Kafka."""
    (rule,) = tomllib.loads(SETTINGS.read_text())["tune"]
    results = tune(
        load_objective(rule["objective"], rule["options"]),
        rule["space"],
        trials or rule["trials"],
        sampler=rule["sampler"],
        pruner=rule["pruner"],
        seed=0,
    )
    best = max((result for result in results if result.state == "complete"), key=lambda result: result.score or 0)
    print(f"best of {len(results)}: area under the curve {best.score:.4f} with {best.params}")


if __name__ == "__main__":
    main()
