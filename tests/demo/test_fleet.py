"""The fleet without a broker: what it serves, when its camera degrades, which versions it takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from agents.demo.digits import BEFORE, DigitClassifier, fit, load_recent, pools, save_classifier
from agents.demo.fleet import Fleet, first_fleets, macro_averages
from agents.demo.plan import DEGRADED, FIRST_VERSION, FLEETS, Plan
from schemas.models import ModelVersion

NOW = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan("127.0.0.1:9", "test.", tmp_path, seed=3, degrade_at=6)


@pytest.fixture
def fleets(plan: Plan) -> dict[str, Fleet]:
    return {fleet.name: fleet for fleet in first_fleets(plan)}


def accuracies(fleet: Fleet, batches: int) -> list[float]:
    found = []
    for number in range(batches):
        _, metrics = fleet.serve(NOW + timedelta(seconds=number))
        assert metrics.accuracy is not None
        found.append(metrics.accuracy)
    return found


def version_of(classifier: DigitClassifier, folder: Path, version: str = "v2") -> ModelVersion:
    path = folder / f"{version}.npz"
    return ModelVersion(
        event_id=version,
        model_name=DEGRADED,
        timestamp=NOW,
        version=version,
        sha256=save_classifier(classifier, path),
        artifact=path.as_uri(),
    )


def test_a_batch_is_reported_as_outcomes_and_as_the_metrics_of_the_same_outcomes(fleets: dict[str, Fleet]) -> None:
    outcomes, metrics = fleets[DEGRADED].serve(NOW)
    true, predicted = np.array(outcomes.y_true), np.array(outcomes.y_pred)
    precision, recall, f1_score, _ = precision_recall_fscore_support(true, predicted, average="macro", zero_division=0)

    assert len(true) == len(predicted) == 200
    assert metrics.accuracy == np.mean(true == predicted)
    assert (metrics.precision, metrics.recall, metrics.f1_score) == pytest.approx((precision, recall, f1_score))
    assert {outcomes.model_name, metrics.model_name} == {DEGRADED}
    assert {outcomes.model_version, metrics.model_version} == {FIRST_VERSION}
    assert outcomes.timestamp == metrics.timestamp == NOW


def test_macro_averages_count_a_class_that_is_never_predicted_as_zero() -> None:
    true, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0])
    assert macro_averages(true, predicted) == pytest.approx((0.25, 0.5, 1 / 3))


def test_accuracy_falls_at_the_planned_batch_of_the_planned_fleet_alone(plan: Plan, fleets: dict[str, Fleet]) -> None:
    found = {name: accuracies(fleet, 12) for name, fleet in fleets.items()}
    for name in FLEETS:
        assert min(found[name][: plan.degrade_at]) > 0.85
    assert max(found[DEGRADED][plan.degrade_at :]) < 0.7
    assert all(min(found[name]) > 0.85 for name in FLEETS if name != DEGRADED)


def test_the_same_seed_serves_the_same_batches(plan: Plan, tmp_path: Path) -> None:
    other = replace(plan, data_dir=tmp_path / "other")
    runs = [[fleet.serve(NOW) for fleet in first_fleets(each)] for each in (plan, other)]
    assert runs[0] == runs[1]


def test_recent_images_show_what_the_camera_sees_now_and_are_none_of_those_measured(
    plan: Plan, fleets: dict[str, Fleet]
) -> None:
    accuracies(fleets[DEGRADED], 1)
    clean = load_recent(plan.data_dir, DEGRADED)
    accuracies(fleets[DEGRADED], 15)
    degraded = load_recent(plan.data_dir, DEGRADED)
    measured = {row.tobytes() for row in pools(plan.seed).serve.pixels}

    assert not np.allclose(clean.pixels, degraded.pixels)
    assert np.array_equal(load_recent(plan.data_dir, DEGRADED, BEFORE).pixels, clean.pixels)
    assert len({row.tobytes() for row in clean.pixels}) == len(clean)
    assert not measured & {row.tobytes() for row in clean.pixels}


def test_a_version_trained_on_recent_images_recovers_the_accuracy(plan: Plan, fleets: dict[str, Fleet]) -> None:
    fleet = fleets[DEGRADED]
    before = fmean(accuracies(fleet, plan.degrade_at))
    drifted = fmean(accuracies(fleet, 6))

    assert fleet.take(version_of(fit(load_recent(plan.data_dir, DEGRADED)), plan.data_dir))
    assert fleet.version == "v2"
    assert fmean(accuracies(fleet, 6)) > drifted + 0.75 * (before - drifted)


def test_a_version_that_serves_already_is_not_taken_again(plan: Plan, fleets: dict[str, Fleet]) -> None:
    version = version_of(fit(pools(0).train), plan.data_dir)
    assert fleets[DEGRADED].take(version)
    assert not fleets[DEGRADED].take(version)


def test_the_artifact_is_the_classifier_in_service(plan: Plan, fleets: dict[str, Fleet]) -> None:
    other = fit(pools(1).train)
    fleets[DEGRADED].take(version_of(other, plan.data_dir))
    assert fleets[DEGRADED].artifact == other.to_bytes() != fleets[FLEETS[0]].artifact


def test_an_artifact_with_another_sha256_is_refused_and_the_old_version_serves_on(
    plan: Plan, fleets: dict[str, Fleet]
) -> None:
    version = version_of(fit(pools(0).train), plan.data_dir)
    Path(version.artifact.removeprefix("file://")).write_bytes(b"something else")

    with pytest.raises(ValueError, match="sha256"):
        fleets[DEGRADED].take(version)
    _, metrics = fleets[DEGRADED].serve(NOW)
    assert metrics.model_version == FIRST_VERSION


def test_a_missing_artifact_is_refused(plan: Plan, fleets: dict[str, Fleet]) -> None:
    version = version_of(fit(pools(0).train), plan.data_dir)
    Path(version.artifact.removeprefix("file://")).unlink()
    with pytest.raises(ValueError, match="cannot read"):
        fleets[DEGRADED].take(version)
