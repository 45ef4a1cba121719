"""Handwritten digits: a perceptron whose learning rate and size are tuned, ending poor trials early.

    python -m examples.digits

Needs scikit-learn: pip install 'visutility-streams[demo]'. The data is bundled with it (E. Alpaydin and C. Kaynak,
"Optical Recognition of Handwritten Digits", UCI, 1998). The score is the accuracy on a quarter of the images held out.
"""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from agents.tuner import RunningTrial, TrainedModel, TrialPruned, tune
from agents.tuner.space import Params
from schemas.retrain import RetrainRequest

SPACE = {
    "learning_rate": {"type": "float_range", "min": 1e-4, "max": 0.3, "log": True},
    "hidden": {"type": "int_range", "min": 8, "max": 64, "log": True},
    "solver": {"type": "choice", "choices": ["adam", "sgd"]},
}
EPOCHS = 12


def load_data(request: RetrainRequest | None = None) -> Any:
    """Images [n, 64] in [0, 1] and digits [n], split into a part to learn from and one to judge by.

    In production this would read what `request.model_name` has seen of late.
    """
    images, digits = load_digits(return_X_y=True)
    return train_test_split(images / 16.0, digits, test_size=0.25, random_state=0, stratify=digits)


def objective(trial: RunningTrial, data: Any) -> float | None:
    """The accuracy after some epochs; reported after each, so that a pruner can end the trial."""
    learn, judge, learn_digits, judge_digits = data
    model = _model(trial.params, trial.seed)
    for epoch in range(EPOCHS):
        model.partial_fit(learn, learn_digits, classes=range(10))
        trial.report(epoch, model.score(judge, judge_digits))
        if trial.should_prune():
            raise TrialPruned
    return trial.latest


def train(params: Params, request: RetrainRequest | None) -> TrainedModel:
    """The final fit; the artifact is a pickle, to be loaded only by those who trust its writer."""
    import pickle

    learn, judge, learn_digits, judge_digits = load_data(request)
    model = _model(params, seed=0)
    for _ in range(EPOCHS):
        model.partial_fit(learn, learn_digits, classes=range(10))
    return TrainedModel(pickle.dumps(model), {"accuracy": model.score(judge, judge_digits)})


def _model(params: Params, seed: int) -> MLPClassifier:
    return MLPClassifier(
        hidden_layer_sizes=(int(params["hidden"] or 0),),
        learning_rate_init=float(params["learning_rate"] or 0),
        solver=params["solver"],
        random_state=seed,
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    results = tune(objective, SPACE, trials=20, seed=0, data=load_data(), pruner="median")
    best = max((result for result in results if result.state == "complete"), key=lambda result: result.score or 0)
    pruned = sum(result.state == "pruned" for result in results)
    print(f"best of {len(results)}, {pruned} of them ended early: accuracy {best.score:.3f} with {best.params}")
