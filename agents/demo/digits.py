"""Handwritten digits that a camera reads ever worse, and the classifier that learns to read them again.

The images are scikit-learn's bundled digits: 1,797 images of 8 x 8 pixels (E. Alpaydin and C. Kaynak, "Optical
Recognition of Handwritten Digits", UCI, 1998). Everything is real: `degrade` changes the pixels, the accuracy of a
classifier fitted on clean images falls by itself, and one fitted on recent images recovers it.

For the tuner this module is an objective (`agents.demo.digits:objective`) with its data: the fleet saves its newest
labelled images with `save_recent`, in the folder that the variable `DIGITS_DEMO_FOLDER` names. A fifth of them is held
out: no trial and no training sees those, and on them `evaluate` compares a new version with the champion.

An artifact is an npz file of plain arrays, read with pickles forbidden: a message on a topic can make nobody run code.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from agents.registry.artifacts import load_artifact, write_atomically
from agents.tuner.objective import RunningTrial, TrainedModel
from schemas.retrain import RetrainRequest

Pixels = npt.NDArray[np.float64]
"""Images, one a row: float [n, 64], each pixel in [0, 1], 1 is ink."""

Labels = npt.NDArray[np.int64]
"""The digits 0 to 9 that the images show: int [n]."""

FOLDER_VARIABLE = "DIGITS_DEMO_FOLDER"
DEFAULT_FOLDER = ".visutility/digits"
FOLDS = 3
HELD_OUT = 0.2
MIN_IMAGES = 60

RECENT, BEFORE = "recent", "before"
"""Which labelled images: the newest, or those of before the camera degraded."""

IMAGES_LABEL = "images"
"""The label of a request that names the images to learn from; the newest where it has none."""

DEFAULTS: dict[str, float] = {"learning_rate": 0.01, "hidden": 48, "alpha": 1e-3}
"""Hyperparameters of the first model, and what a trial uses where its space leaves one out."""

SPACE: dict[str, dict[str, Any]] = {
    "learning_rate": {"type": "float_range", "min": 1e-4, "max": 0.3, "log": True},
    "hidden": {"type": "int_range", "min": 16, "max": 96},
    "alpha": {"type": "float_range", "min": 1e-5, "max": 1.0, "log": True},
}
"""The search space of the demonstration. The learning rate matters most: at both ends few digits are read."""


@dataclass(frozen=True, slots=True)
class Images:
    """Labelled images, `pixels` [n, 64] and `labels` [n]."""

    pixels: Pixels
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, chosen: npt.NDArray[np.int64]) -> Images:
        """The images of these row numbers, in their order."""
        return Images(self.pixels[chosen], self.labels[chosen])


@dataclass(frozen=True, slots=True)
class Pools:
    """All images in disjoint pools: `train` for the first model, `recent` to learn from later, `serve` to judge."""

    train: Images
    recent: Images
    serve: Images


@dataclass(frozen=True, slots=True)
class DigitClassifier:
    """A perceptron with one hidden layer of h units: inputs [64, h] and [h], outputs [h, k] and [k], labels [k]."""

    input_weights: Pixels
    input_bias: Pixels
    output_weights: Pixels
    output_bias: Pixels
    classes: Labels

    def predict(self, pixels: Pixels) -> Labels:
        """The digits that images [n, 64] show: int [n]."""
        hidden = np.maximum(pixels @ self.input_weights + self.input_bias, 0.0)
        best: Labels = self.classes[np.argmax(hidden @ self.output_weights + self.output_bias, axis=1)]
        return best

    def accuracy(self, images: Images) -> float:
        """The share of images read correctly, in [0, 1]."""
        return float(np.mean(self.predict(images.pixels) == images.labels))

    def to_bytes(self) -> bytes:
        """The classifier as an npz file."""
        buffer = io.BytesIO()
        np.savez(buffer, **{name: getattr(self, name) for name in self.__slots__})
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> DigitClassifier:
        """The classifier again. Raises `ValueError` for anything but such a file."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                found = cls(**{name: arrays[name] for name in cls.__slots__})
            found.predict(np.zeros((1, 64)))
        except Exception as problem:
            raise ValueError(f"not a classifier of digits: {problem}") from problem
        return found


def pools(seed: int = 0) -> Pools:
    """The 1,797 images, shuffled by `seed` and dealt into three pools of 599."""
    images = _all_images()
    order = np.random.default_rng(seed).permutation(len(images))
    train, recent, serve = (images.rows(part) for part in np.array_split(order, 3))
    return Pools(train, recent, serve)


def degrade(pixels: Pixels, kind: str = "camera") -> Pixels:
    """What a camera in trouble makes of images [n, 64]. `kind`: blur, rotation, contrast or, of both the last, camera.

    Raises `ValueError` for another kind.
    """
    if kind not in DEGRADATIONS:
        raise ValueError(f"unknown degradation {kind!r}; known are: {', '.join(DEGRADATIONS)}")
    sigma, degrees, contrast = DEGRADATIONS[kind]
    from scipy import ndimage

    images = pixels.reshape(-1, 8, 8)
    if degrees:
        images = ndimage.rotate(images, degrees, axes=(2, 1), reshape=False, order=1)
    if sigma:
        images = ndimage.gaussian_filter(images, (0.0, sigma, sigma))
    degraded: Pixels = np.clip(0.5 + (images - 0.5) * contrast, 0.0, 1.0).reshape(-1, 64)
    return degraded


DEGRADATIONS = {
    "blur": (1.15, 0.0, 1.0),
    "rotation": (0.0, 30.0, 1.0),
    "contrast": (0.0, 0.0, 0.3),
    "camera": (0.0, 25.0, 0.6),
}
"""Of each kind: standard deviation of the blur in pixels, degrees of rotation, contrast left in [0, 1]."""


def fit(images: Images, params: Mapping[str, Any] | None = None, seed: int = 0) -> DigitClassifier:
    """A classifier fitted on images, in some 0.1 s. `params` are any of `DEFAULTS`; raises `ValueError` for others."""
    chosen = {**DEFAULTS, **(params or {})}
    if unknown := sorted(set(chosen) - set(DEFAULTS)):
        raise ValueError(f"unknown hyperparameter {unknown[0]!r}; known are: {', '.join(DEFAULTS)}")
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        hidden_layer_sizes=(int(chosen["hidden"]),),
        learning_rate_init=float(chosen["learning_rate"]),
        alpha=float(chosen["alpha"]),
        batch_size=min(64, len(images)),
        max_iter=40,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that 40 passes are not convergence: the trials compare just that
        model.fit(images.pixels, images.labels)
    return DigitClassifier(model.coefs_[0], model.intercepts_[0], model.coefs_[1], model.intercepts_[1], model.classes_)


def save_classifier(classifier: DigitClassifier, path: Path) -> str:
    """Write a classifier to a file, atomically; returns the file's SHA-256."""
    data = classifier.to_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def load_classifier(location: str | Path, sha256: str) -> DigitClassifier:
    """The classifier at a path or `file://` URL. Raises `ValueError` if its SHA-256 is another one."""
    return DigitClassifier.from_bytes(load_artifact(str(location), sha256))


def recent_file(folder: Path | str, model_name: str, period: str = RECENT) -> Path:
    """Where a fleet's labelled images of a period lie."""
    return Path(folder) / f"{period}-{quote(model_name, safe='').replace('.', '%2E')[:200]}.npz"


def save_recent(folder: Path | str, model_name: str, pixels: Pixels, labels: Labels, period: str = RECENT) -> Path:
    """Replace a fleet's labelled images of a period, atomically: trials may read them meanwhile."""
    path = recent_file(folder, model_name, period)
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, pixels=pixels, labels=labels)
    write_atomically(path, buffer.getvalue())
    return path


def load_recent(folder: Path | str, model_name: str, period: str = RECENT) -> Images:
    """What `save_recent` wrote last. Raises `ValueError` if there is nothing, or too little to learn from."""
    path = recent_file(folder, model_name, period)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images = Images(arrays["pixels"], arrays["labels"])
    except FileNotFoundError:
        raise ValueError(
            f"no {period} images of {model_name!r}: {path} is missing; is {FOLDER_VARIABLE} set?"
        ) from None
    if len(images) < MIN_IMAGES:
        raise ValueError(f"{path} has {len(images)} labelled images, {MIN_IMAGES} are the least to learn from")
    return images


def load_data(request: RetrainRequest) -> Images:
    """The labelled images to learn from, of the model that is to be retrained: those that are not held out."""
    # Where it is imported when the first trial fits, that trial's time is for it: seconds, on a busy machine a minute.
    import sklearn.neural_network  # noqa: F401

    return _dealt(request)[0]


def objective(trial: RunningTrial, data: Images) -> float:
    """The accuracy of these hyperparameters in threefold cross-validation on the images to learn from, in [0, 1]."""
    scores = []
    for number, (rest, fold) in enumerate(_folds(data)):
        scores.append(fit(rest, trial.params, trial.seed).accuracy(fold))
        trial.report(number, float(np.mean(scores)))
    return float(np.mean(scores))


def train(params: Mapping[str, Any], request: RetrainRequest) -> TrainedModel:
    """The new version: fitted on all images to learn from; its accuracy is measured on those held out with them."""
    data, held_out = _dealt(request)
    model = fit(data, params)
    return TrainedModel(model.to_bytes(), {"accuracy": model.accuracy(held_out), "images": float(len(data))})


def evaluate(artifact: bytes, request: RetrainRequest) -> list[float]:
    """Of each newest image that is held out, whether a classifier reads it: 1 or 0.

    Raises `ValueError` for bytes that are no artifact of this module.
    """
    images = _to_compare_on(_folder(), request.model_name, request.event_id)
    right = DigitClassifier.from_bytes(artifact).predict(images.pixels) == images.labels
    return [float(each) for each in right]


def _folder() -> str:
    return os.environ.get(FOLDER_VARIABLE, DEFAULT_FOLDER)


@lru_cache(maxsize=2)
def _to_compare_on(folder: str, model_name: str, request_id: str) -> Images:
    """Kept for a request: champion and challenger get the same, though the fleet may write newer ones meanwhile."""
    return _deal(load_recent(folder, model_name))[1]


def _dealt(request: RetrainRequest) -> tuple[Images, Images]:
    return _deal(load_recent(_folder(), request.model_name, request.labels.get(IMAGES_LABEL, RECENT)))


def _deal(images: Images) -> tuple[Images, Images]:
    """Images to learn from and images held out."""
    order = np.random.default_rng(0).permutation(len(images))
    held_out, rest = np.split(order, [round(len(order) * HELD_OUT)])
    return images.rows(rest), images.rows(held_out)


@lru_cache(maxsize=1)
def _all_images() -> Images:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Images(bunch.data / 16.0, bunch.target.astype(np.int64))


def _folds(data: Images) -> list[tuple[Images, Images]]:
    parts = np.array_split(np.random.default_rng(0).permutation(len(data)), FOLDS)
    folds = []
    for part in parts:
        rest = np.setdiff1d(np.arange(len(data)), part)
        folds.append((data.rows(rest), data.rows(part)))
    return folds
