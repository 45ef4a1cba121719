"""The view is a fold of the topics: bounded, the same when records come twice, without what only Kafka should keep."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agents.dashboard import answers
from agents.dashboard.listing import Listing
from agents.dashboard.states import NO_MORE_TRIALS, NO_TRIAL_YET, state_of
from agents.dashboard.view import KEPT, KEPT_OVERALL, KEPT_TRIALS, PREVIEW, DashboardView, Record, step
from schemas.models import alias_key, version_key
from tests.dashboard.making import (
    MODEL,
    NOW,
    alert,
    drift,
    finished,
    folded,
    letter,
    record,
    request,
    status,
    trial,
)
from tests.registry.making import alias, version


def state(view: DashboardView) -> str:
    return state_of(view, view.models[MODEL], NOW)


def test_a_model_is_as_its_newest_status_says() -> None:
    assert state(folded(record("status", status("ok")), record("status", status("drift")))) == "drift"


def test_records_that_come_twice_change_nothing() -> None:
    asked = request()
    once = [
        record("status", status()), record("drift", drift()), record("retrain", asked), record("alerts", alert()),
        record("trials", trial(asked, 0)), record("trials", finished(asked)), record("dead-letter", letter(1)),
    ]  # fmt: skip
    view = folded(*once)
    revision = view.revision
    assert revision == len(once)
    assert folded(*once, *once).revision == revision


def test_of_a_busy_model_the_newest_are_kept_and_no_more() -> None:
    asked = request()
    records = [record("drift", drift(value=number / 1000)) for number in range(3 * KEPT)]
    records += [record("trials", trial(asked, number)) for number in range(KEPT_TRIALS + 30)]
    records += [record("alerts", alert(kind=f"k{number}")) for number in range(3 * KEPT)]
    records += [record("retrain", request()) for _ in range(3 * KEPT)]
    records += [record("status", status()) for _ in range(3 * KEPT)]
    view = folded(*records)
    model = view.models[MODEL]
    sizes = [len(model.findings), len(model.alerts), len(model.firing), len(model.requests), len(model.statuses)]
    assert sizes == [KEPT] * 5
    assert sum(len(study.trials) for study in model.studies.values()) == KEPT_TRIALS
    found = answers.findings([model], 1).findings[0]
    assert found.to_dict()["value"] == (3 * KEPT - 1) / 1000


def test_dead_letters_are_kept_without_their_values_and_make_no_models() -> None:
    letters = [
        record("dead-letter", letter(n, b"x" * 2_000, key=b"junk-%d" % n), offset=n) for n in range(KEPT_OVERALL + 5)
    ]
    view = folded(*letters)
    assert len(view.letters) == KEPT_OVERALL
    assert view.models == {}
    kept = list(view.letters.values())[-1]
    assert (kept.offset, kept.preview, kept.message.value) == (KEPT_OVERALL + 4, "x" * PREVIEW, None)


def test_a_resolved_alert_does_not_fire_any_more() -> None:
    view = folded(
        record("alerts", alert()), record("alerts", alert(kind="other")), record("alerts", alert(state="resolved"))
    )
    assert [each.kind for each in answers.alerts(view, None, True, 10, NOW).alerts] == ["other"]
    assert len(answers.alerts(view, None, False, 10, NOW).alerts) == 3


def test_a_retired_model_keeps_its_past_and_has_no_status() -> None:
    view = folded(
        record("models", version("1", MODEL), version_key(MODEL, "1")),
        record("status", status("drift")),
        record("alerts", alert()),
        record("models", alias("retired", "1", MODEL), alias_key(MODEL, "retired")),
        Record("status", 0, 0, MODEL, None),
    )
    assert state(view) == "retired"
    assert not view.models[MODEL].firing
    assert len(view.models[MODEL].alerts) == 1


def test_a_tombstone_of_what_is_not_known_makes_no_model() -> None:
    assert folded(Record("status", 0, 0, "never-seen", None), Record("models", 0, 0, "junk", None)).models == {}


@pytest.mark.parametrize(
    ("minutes", "trials", "ended", "expected"),
    [
        (1, 0, False, "retraining"),
        (NO_TRIAL_YET / timedelta(minutes=1) + 1, 0, False, "drift"),
        (NO_TRIAL_YET / timedelta(minutes=1) + 1, 1, False, "retraining"),
        (NO_MORE_TRIALS / timedelta(minutes=1) + 1, 1, False, "drift"),
        (1, 2, True, "drift"),
    ],
)
def test_a_model_is_being_retrained_from_a_request_to_the_end_of_its_study(
    minutes: float, trials: int, ended: bool, expected: str
) -> None:
    asked = request(minutes=minutes)
    records = [record("status", status("drift")), record("retrain", asked)]
    records += [record("trials", trial(asked, number, minutes=minutes)) for number in range(trials)]
    records += [record("trials", finished(asked))] if ended else []
    view = folded(*records)
    assert state(view) == expected
    (study,) = answers.studies(view, view.models[MODEL], NOW).studies
    assert study.running == (expected == "retraining")


def test_a_version_that_came_of_a_request_ends_it_though_nobody_ran_a_study() -> None:
    asked = request(minutes=1)
    made_elsewhere = record("models", version("2", MODEL, request_id=asked.event_id), version_key(MODEL, "2"))
    assert state(folded(record("status", status("ok")), record("retrain", asked))) == "retraining"
    assert state(folded(record("status", status("ok")), record("retrain", asked), made_elsewhere)) == "ok"


def test_a_silent_model_is_silent_whatever_else_goes_on() -> None:
    assert state(folded(record("status", status("silent")), record("retrain", request(minutes=1)))) == "silent"


def test_the_list_is_searched_filtered_sorted_and_paged() -> None:
    view = folded(
        record("status", status("ok", "Fraud-EU", 0.9)),
        record("status", status("drift", "fraud-us", 0.5)),
        record("status", status("warning", "churn", 0.7)),
        record("models", version("1", "new"), version_key("new", "1")),
    )
    listing = Listing()

    def names(**wanted: object) -> list[str]:
        return [row.model_name for row in listing.page(view, NOW, **wanted).models]  # type: ignore[arg-type]

    assert names() == ["fraud-us", "churn", "Fraud-EU", "new"]
    assert names(search="FRAUD") == ["fraud-us", "Fraud-EU"]
    assert names(states=["ok", "warning"]) == ["churn", "Fraud-EU"]
    assert names(sort="mean") == ["fraud-us", "churn", "Fraud-EU", "new"]
    assert names(sort="name", descending=True) == ["new", "fraud-us", "churn", "Fraud-EU"]
    assert names(offset=1, limit=2) == ["churn", "Fraud-EU"]
    page = listing.page(view, NOW, search="fraud", states=["ok"], limit=1)
    assert (page.total, page.states["drift"], page.states["warning"]) == (1, 1, 0)


def test_a_row_is_made_anew_when_its_model_changes() -> None:
    view, listing = folded(record("status", status("ok"))), Listing()
    before = listing.row(view, view.models[MODEL], NOW)
    assert listing.row(view, view.models[MODEL], NOW) is before
    step(view, record("drift", drift()))
    assert listing.row(view, view.models[MODEL], NOW).findings == 1
