"""What a runner makes of a request, and what it sends back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from agents.runner.trials import (
    Unsent,
    call_of,
    epoch_end_of,
    overdue,
    result_of,
    run_start_of,
    training_end_of,
    unnamed,
)
from agents.settings import TuneRule
from agents.tracking.runs import Runs
from agents.tuner.state import TunerState
from agents.tuner.worker import Ended
from schemas.retrain import RetrainRequest
from schemas.topics import TOPICS
from schemas.trial_requests import TrialRequest
from schemas.trials import TrialResult, TrialState
from tests.tuner.making import NOON, apply, request, stage, trials_of

parser = TOPICS["experiments"].parser()


def requested(**changed: object) -> TrialRequest:
    tuner = stage(memory_mb=256, timeout=timedelta(seconds=7))
    state, _ = apply(tuner, TunerState(), request(labels={"country": "it"}))
    return trials_of(tuner, state)[0].model_copy(update=changed)


def test_the_objective_gets_the_request_with_model_version_and_segment() -> None:
    call = call_of(requested())
    cause = RetrainRequest.model_validate_json(call.request)
    assert (cause.model_name, cause.model_version, cause.labels) == ("m", "1", {"country": "it"})
    assert (call.limit_seconds, call.memory_mb, call.maximize) == (7.0, 256, True)


def test_all_trials_of_a_study_share_one_cause_so_that_data_is_loaded_once() -> None:
    tuner = stage(parallel=3)
    state, _ = apply(tuner, TunerState(), request())
    assert len({call_of(trial).request for trial in trials_of(tuner, state)}) == 1


def test_a_trial_that_somebody_else_asked_for_has_a_cause_too() -> None:
    call = call_of(requested(cause=None, bounds={"3": 0.5, "odd": 1.0}, direction="minimize"))
    assert RetrainRequest.model_validate_json(call.request).model_name == "m"
    assert (call.bounds, call.maximize) == ({3: 0.5}, False)


def test_a_trial_taken_after_its_deadline_is_not_run() -> None:
    trial = requested(deadline=NOON)
    assert overdue(trial, NOON) is None
    assert overdue(requested(deadline=None), NOON + timedelta(days=1)) is None
    missed = overdue(trial, NOON + timedelta(seconds=1))
    assert missed is not None
    assert missed.error == "it was taken after its deadline"


def test_a_trial_is_a_training_run_whose_messages_add_up_to_what_it_was() -> None:
    trial, later = requested(), NOON + timedelta(seconds=2)
    ended = Ended(score=0.5, seconds=2.0, reports={1: 0.4, 0: 0.3})
    reports = [epoch_end_of(trial, step, value, NOON) for step, value in ended.reports.items()]
    messages = [run_start_of(trial, NOON), *reports, training_end_of(trial, ended, later)]
    runs = Runs()
    changed = [runs.apply(parser(message.to_json(), ())) for message in messages]
    assert changed == [True] * 4
    run = runs.get(trial.trial_id)
    assert (run.params, run.tags["study"], run.model_name) == (trial.params, trial.study_id, "m")
    assert (run.epochs, run.final_metrics) == ({0: {"score": 0.3}, 1: {"score": 0.4}}, {"score": 0.5})
    assert (run.state, run.started, run.ended, run.duration_seconds) == ("ended", NOON, later, 2.0)
    assert len({message.event_id for message in (*messages, result_of(trial, ended))}) == 5
    assert training_end_of(trial, replace(ended, error="no luck"), later).final_metrics == {}


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1)) | st.none()), st.booleans())
@example([(0, 0.5), None, (0, 0.6), (0, 0.5), None], True)
@example([(0, 0.5), None, (0, 0.5), None], True)
def test_each_report_is_sent_and_none_twice_but_where_it_was_corrected(
    happened: list[tuple[int, float] | None], heard: bool
) -> None:
    unsent, reports, sent = Unsent(), dict[int, float](), list[tuple[int, float]]()

    def send() -> None:
        for step, value in unsent.waiting:
            sent.append((step, value))
            unsent.sent(step, value)

    for report in happened:
        if report is None:
            send()
        else:
            reports[report[0]] = report[1]
            if heard:  # else it was lost on its way, and comes with the end
                unsent.add(*report)
    unsent.complete(reports)
    send()
    assert dict(sent) == reports
    assert all(one != two for one, two in pairwise([value for at, value in sent if at == 0]))


def test_a_report_that_is_corrected_while_it_is_sent_is_sent_again() -> None:
    unsent = Unsent()
    unsent.add(0, 0.5)
    ((step, value),) = unsent.waiting
    unsent.add(0, 0.6)
    unsent.sent(step, value)
    assert unsent.waiting == [(0, 0.6)]


def test_a_pruned_trial_keeps_its_score_and_a_failed_one_has_none() -> None:
    trial = requested()
    pruned = result_of(trial, Ended(score=0.5, pruned=True, seconds=2.0))
    failed = result_of(trial, replace(Ended(score=0.5), error="no luck"))
    assert TrialResult.model_validate_json(pruned.to_json()) == pruned
    assert pruned.duration_seconds == 2.0
    assert (pruned.state, pruned.score) == (TrialState.PRUNED, 0.5)
    assert (failed.state, failed.score, failed.error) == (TrialState.FAILED, None, "no luck")


def test_only_what_the_runners_own_settings_name_is_run_whatever_the_topic_says() -> None:
    space = {"x": {"type": "flag"}}
    rules = [TuneRule(objective="a.b:c", space=space), TuneRule(objective="d.e:F", options={"path": "g"}, space=space)]
    assert unnamed(requested(objective="a.b:c", options={}), rules) is None
    assert unnamed(requested(objective="d.e:F", options={"path": "g"}), rules) is None
    for objective, options in (("subprocess:Popen", {"args": "true"}), ("a.b:c", {"path": "g"}), ("d.e:F", {})):
        refused = unnamed(requested(objective=objective, options=options), rules)
        assert refused is not None
        assert refused.error == f"no [[tune]] of this runner's settings has the objective {objective!r} and its options"
