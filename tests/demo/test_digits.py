"""The demonstration's digits: accuracy truly falls when the camera degrades, and truly recovers by training again."""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from agents.demo import digits
from agents.demo.digits import DigitClassifier, Images, degrade, fit, pools
from agents.registry.artifacts import ArtifactStore
from agents.registry.promotion import decide
from agents.tuner import tune
from agents.tuner.objective import RunningTrial, load_objective
from agents.tuner.space import parse_space
from tests.tuner.making import request


def seen(images: Images, kind: str) -> Images:
    return Images(degrade(images.pixels, kind), images.labels)


@pytest.mark.parametrize(
    ("kind", "drifted", "recovered"),
    [("camera", 0.75, 0.9), ("rotation", 0.75, 0.9), ("contrast", 0.75, 0.9), ("blur", 0.8, 0.86)],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_accuracy_falls_below_a_degraded_camera_and_recovers_on_unseen_images(
    kind: str, drifted: float, recovered: float, seed: int
) -> None:
    images = pools(seed)
    first = fit(images.train, seed=seed)
    before = first.accuracy(images.serve)
    assert before > 0.93
    after = first.accuracy(seen(images.serve, kind))
    assert after < min(drifted, before - 0.15)
    assert fit(seen(images.recent, kind), seed=seed).accuracy(seen(images.serve, kind)) > recovered


#: What a trial needs is there when its time begins: in a process of its own, for this one has imported it long ago.
LOADS = """
import sys
from agents.demo.digits import load_data
from tests.tuner.making import request

load_data(request())
assert "sklearn.neural_network" in sys.modules
"""


def test_what_trials_import_is_imported_with_their_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recent = pools(0).recent
    digits.save_recent(tmp_path, "m", recent.pixels, recent.labels)
    monkeypatch.setenv(digits.FOLDER_VARIABLE, str(tmp_path))
    subprocess.run([sys.executable, "-c", LOADS], check=True, timeout=120)


def test_ten_trials_on_recent_images_find_a_model_that_reads_unseen_ones_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pools(0)
    recent = seen(images.recent, "camera")
    digits.save_recent(tmp_path, "m", recent.pixels, recent.labels)
    monkeypatch.setenv(digits.FOLDER_VARIABLE, str(tmp_path))
    objective = load_objective("agents.demo.digits:objective")
    data = objective.load_data(request())
    results = tune("agents.demo.digits:objective", digits.SPACE, 10, seed=0, data=data)
    scores = [result.score for result in results if result.score is not None]
    assert len(scores) == 10
    assert max(scores) - min(scores) > 0.2  # the hyperparameters matter
    best = max(results, key=lambda result: result.score or 0)
    trained = objective.train(dict(best.params), request())
    artifact = ArtifactStore(tmp_path / "artifacts").save("m", trained.artifact)
    served = digits.load_classifier(artifact.url, artifact.sha256)
    unseen = seen(images.serve, "camera")
    assert served.accuracy(unseen) > 0.9
    assert fit(images.train).accuracy(unseen) < 0.75
    assert abs(trained.metrics["accuracy"] - served.accuracy(unseen)) < 0.06


def recent_images(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Images:
    """A fleet's images before and after its camera degraded; returns the clean ones."""
    images = pools(0).recent
    digits.save_recent(folder, "m", images.pixels, images.labels, digits.BEFORE)
    digits.save_recent(folder, "m", degrade(images.pixels), images.labels)
    monkeypatch.setenv(digits.FOLDER_VARIABLE, str(folder))
    return images


def rows_of(images: Images) -> set[bytes]:
    return {row.tobytes() for row in images.pixels}


def test_champion_and_challenger_are_compared_on_recent_images_that_neither_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = recent_images(tmp_path, monkeypatch)
    learned = digits.load_data(request())
    held_out = rows_of(seen(images, "camera")) - rows_of(learned)
    assert len(held_out) == 120
    first, again = fit(pools(0).train), fit(learned)
    scores = digits.evaluate(first.to_bytes(), request())
    assert len(scores) == 120
    assert set(scores) == {0.0, 1.0}
    reads = digits.load_recent(tmp_path, "m")
    rows = np.array([row.tobytes() in held_out for row in reads.pixels])
    assert sum(scores) == sum(first.predict(reads.pixels[rows]) == reads.labels[rows])
    assert np.mean(digits.evaluate(again.to_bytes(), request())) > np.mean(scores) + 0.4


def test_both_are_compared_on_the_same_images_though_newer_ones_arrive_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = recent_images(tmp_path, monkeypatch)
    model = fit(images).to_bytes()
    scores = digits.evaluate(model, request("one"))
    digits.save_recent(tmp_path, "m", images.pixels, images.labels)
    assert digits.evaluate(model, request("one")) == scores
    assert np.mean(digits.evaluate(model, request("another"))) > 0.9


def test_a_request_may_name_images_of_before_and_they_win_trials_and_lose_the_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recent_images(tmp_path, monkeypatch)
    mistaken = request("mistake").model_copy(update={"labels": {digits.IMAGES_LABEL: digits.BEFORE}})
    assert not rows_of(digits.load_data(mistaken)) & rows_of(digits.load_data(request()))
    good, bad = digits.train({}, request()), digits.train({}, mistaken)
    assert bad.metrics["accuracy"] > good.metrics["accuracy"]
    promotion = decide(digits.evaluate(good.artifact, mistaken), digits.evaluate(bad.artifact, mistaken))
    assert not promotion.promoted
    assert promotion.difference is not None
    assert promotion.difference < -0.4


def test_what_is_no_artifact_is_not_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recent_images(tmp_path, monkeypatch)
    with pytest.raises(ValueError, match="not a classifier of digits"):
        digits.evaluate(b"garbage", request())


def test_the_pools_share_no_image_and_depend_on_the_seed_alone() -> None:
    dealt, again = pools(5), pools(5)
    parts = (dealt.train, dealt.recent, dealt.serve)
    assert [len(part) for part in parts] == [599, 599, 599]
    assert np.array_equal(dealt.recent.pixels, again.recent.pixels)
    assert not np.array_equal(dealt.recent.pixels, pools(6).recent.pixels)
    rows = np.concatenate([part.pixels for part in parts])
    known = load_digits().data / 16.0
    assert np.array_equal(np.sort(rows, axis=0), np.sort(known, axis=0))  # all images are there, so none twice
    assert (rows.min(), rows.max()) == (0.0, 1.0)


@pytest.mark.parametrize("kind", digits.DEGRADATIONS)
def test_degraded_pixels_keep_their_shape_and_range(kind: str) -> None:
    pixels = pools(0).serve.pixels
    worse = degrade(pixels, kind)
    assert worse.shape == pixels.shape
    assert worse.min() >= 0.0
    assert worse.max() <= 1.0
    assert np.array_equal(worse, degrade(pixels, kind))
    assert np.allclose(worse[3:4], degrade(pixels[3:4], kind))  # each image alone, whatever comes with it


def test_an_unknown_degradation_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown degradation 'fog'; known are: blur, rotation, contrast, camera"):
        degrade(pools(0).serve.pixels, "fog")


def test_an_unknown_hyperparameter_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown hyperparameter 'depth'"):
        fit(pools(0).train, {"depth": 3})


def test_a_fit_is_reproducible_and_the_file_keeps_the_classifier(tmp_path: Path) -> None:
    images = pools(0)
    one, two = fit(images.train, seed=4), fit(images.train, seed=4)
    assert np.array_equal(one.input_weights, two.input_weights)
    path = tmp_path / "models" / "first.npz"
    sha256 = digits.save_classifier(one, path)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = digits.load_classifier(path, sha256)
    assert np.array_equal(loaded.predict(images.serve.pixels), one.predict(images.serve.pixels))
    with pytest.raises(ValueError, match="it is not used"):
        digits.load_classifier(path, "0" * 64)


def test_our_own_prediction_is_scikit_learns() -> None:
    images = pools(0)
    classifier = fit(images.train)
    reference = MLPClassifier(hidden_layer_sizes=(48,))
    reference.partial_fit(images.train.pixels, images.train.labels, classes=np.arange(10))
    reference.coefs_ = [classifier.input_weights, classifier.output_weights]
    reference.intercepts_ = [classifier.input_bias, classifier.output_bias]
    assert np.array_equal(reference.predict(images.serve.pixels), classifier.predict(images.serve.pixels))


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, input_weights=np.array([{"evil": 1}], dtype=object))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data", [b"", b"garbage", pickle.dumps({"a": 1}), pickled(), fit(pools(0).train).to_bytes()[:500]]
)
def test_bytes_that_are_no_classifier_are_refused_and_never_unpickled(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a classifier of digits"):
        DigitClassifier.from_bytes(data)


def test_recent_images_are_replaced_as_a_whole(tmp_path: Path) -> None:
    images = pools(0)
    digits.save_recent(tmp_path, "team/m", images.train.pixels, images.train.labels)
    path = digits.save_recent(tmp_path, "team/m", images.recent.pixels[:100], images.recent.labels[:100])
    loaded = digits.load_recent(tmp_path, "team/m")
    assert np.array_equal(loaded.pixels, images.recent.pixels[:100])
    assert np.array_equal(loaded.labels, images.recent.labels[:100])
    assert list(tmp_path.iterdir()) == [path]


def test_missing_or_too_few_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no recent images of 'm': .* is missing; is DIGITS_DEMO_FOLDER set\?"):
        digits.load_recent(tmp_path, "m")
    images = pools(0).recent
    digits.save_recent(tmp_path, "m", images.pixels[:10], images.labels[:10])
    with pytest.raises(ValueError, match="has 10 labelled images, 60 are the least"):
        digits.load_recent(tmp_path, "m")


def test_a_trial_reports_the_score_of_each_fold() -> None:
    images = pools(0)
    small = Images(images.recent.pixels[:150], images.recent.labels[:150])
    params: dict[str, Any] = {"learning_rate": 0.01}
    trial = RunningTrial(0, params, seed=1)
    score = digits.objective(trial, small)
    assert list(trial.reports) == [0, 1, 2]
    assert trial.reports[2] == score


def test_the_search_space_holds_the_hyperparameters_of_the_first_model() -> None:
    assert set(parse_space(digits.SPACE)) == set(digits.DEFAULTS)
