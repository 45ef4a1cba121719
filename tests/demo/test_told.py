"""What is remembered and told about a run, from given messages: history, story and view."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from agents.demo.digits import BEFORE, IMAGES_LABEL
from agents.demo.history import RECOVERED_BATCHES, History
from agents.demo.mistake import mistaken_request
from agents.demo.plan import DEGRADED, FLEETS
from agents.demo.story import Story, summary
from agents.demo.view import LiveView, PlainView, newest, picture, sparkline, state_of
from agents.registry.actions import By, promote, register
from agents.registry.promotion import alias_of
from agents.registry.view import RegistryView
from schemas.dead_letter import dead_letter_of
from schemas.drift import Cause, DriftDetected, WindowSummary
from schemas.message import Message
from schemas.metrics import Metrics
from schemas.models import ModelVersion, Promotion
from schemas.retrain import RetrainRequest
from schemas.status import ModelState, ModelStatus
from schemas.trials import StudyFinished, TrialResult, TrialState

START = datetime(2025, 6, 1, tzinfo=UTC)
DEGRADE_AT, TRIALS = 10, 3
QUIET = FLEETS[0]


def metrics(batch: int, name: str, accuracy: float, version: str = "v1") -> tuple[str, Message]:
    timestamp = START + timedelta(seconds=batch)
    return "metrics", Metrics(model_name=name, model_version=version, timestamp=timestamp, accuracy=accuracy)


def batches(first: int, last: int, degraded: float, version: str = "v1") -> Iterator[tuple[str, Message]]:
    for number in range(first, last):
        for name in FLEETS:
            yield metrics(number, name, degraded if name == DEGRADED else 0.95, version if name == DEGRADED else "v1")


def drift(name: str = DEGRADED) -> tuple[str, Message]:
    return "drift", DriftDetected(
        event_id="d",
        model_name=name,
        timestamp=START,
        metric="accuracy",
        rule="watch",
        detector="z_score",
        statistic=-7.4,
        threshold=5.5,
        direction="worse",
        severity="drift",
        value=0.3,
        window=WindowSummary(size=60, count=60, mean=0.95, std=0.011),
        cause=Cause(event_id="c", topic="metrics", partition=0, offset=10),
    )


def request() -> tuple[str, Message]:
    return "retrain", RetrainRequest(
        event_id="r",
        model_name=DEGRADED,
        timestamp=START,
        rule="again",
        reason="accuracy drifted",
        metric="accuracy",
        cause_ids=["c", "d"],
    )


def labels(mistake: bool) -> dict[str, str]:
    return {IMAGES_LABEL: BEFORE} if mistake else {}


def trial(number: int, score: float | None, mistake: bool = False) -> tuple[str, Message]:
    return "trials", TrialResult(
        event_id=f"t{number}",
        model_name=DEGRADED,
        timestamp=START,
        labels=labels(mistake),
        trial_id=f"t{number}",
        study_id="s",
        number=number,
        params={},
        score=score,
        state=TrialState.FAILED if score is None else TrialState.COMPLETE,
        duration_seconds=0.1,
        error="it raised" if score is None else None,
    )


def finished(mistake: bool = False) -> tuple[str, Message]:
    return "trials", StudyFinished(
        event_id="f",
        model_name=DEGRADED,
        timestamp=START,
        labels=labels(mistake),
        study_id="s",
        request_id="r",
        state="complete",
    )


def version(number: str = "v2", mistake: bool = False) -> tuple[str, Message]:
    reason = "not promoted: no better than the champion" if mistake else "better by 0.6"
    return "models", ModelVersion(
        event_id=number,
        model_name=DEGRADED,
        timestamp=START,
        labels=labels(mistake),
        version=number,
        sha256="0" * 64,
        artifact="file:///nowhere",
        metrics={"score": 0.94},
        request_id="r",
        promotion=Promotion(promoted=not mistake, reason=reason),
    )


def alias(of: tuple[str, Message]) -> tuple[str, Message]:
    registered = of[1]
    assert isinstance(registered, ModelVersion)
    return "models", alias_of(registered, [])


def deployed(name: str) -> list[tuple[str, Message]]:
    view, now = RegistryView(), By("fleets", START)
    first = register(view, name, "v1", ("file:///nowhere", "0" * 64), now)
    view.apply(first.key, first.message)
    changes = [first, *promote(view, name, "v1", now)]
    return [("models", change.message) for change in changes if change.message is not None]


def status(state: ModelState) -> tuple[str, Message]:
    return "status", ModelStatus(event_id="x", model_name=DEGRADED, timestamp=START, state=state)


def a_mistake() -> Iterator[tuple[str, Message]]:
    yield "retrain", mistaken_request("v2", START)
    yield from (trial(number, 0.9 + number / 100, mistake=True) for number in range(TRIALS))
    yield from (finished(mistake=True), version("v3", mistake=True), alias(version("v3", mistake=True)))


def a_good_run() -> Iterator[tuple[str, Message]]:
    for name in FLEETS:
        yield from deployed(name)
    yield from batches(0, DEGRADE_AT, 0.96)
    yield from batches(DEGRADE_AT, DEGRADE_AT + 5, 0.3)
    yield from (drift(), request(), trial(0, 0.9), trial(1, 0.94), trial(2, 0.5), finished())
    yield from (version(), alias(version()))
    yield from batches(DEGRADE_AT + 5, DEGRADE_AT + 6, 0.93, "v2")
    yield from a_mistake()
    yield from batches(DEGRADE_AT + 6, DEGRADE_AT + 5 + RECOVERED_BATCHES, 0.93, "v2")


def told(run: Iterator[tuple[str, Message]]) -> tuple[History, list[str]]:
    history = History(DEGRADE_AT)
    story, lines = Story(history, TRIALS), []
    for topic, message in run:
        history.add(topic, message)
        if line := story.line(message):
            lines.append(line)
    return history, lines


def without(kind: str) -> Iterator[tuple[str, Message]]:
    return ((topic, message) for topic, message in a_good_run() if message.type != kind)


def test_a_good_run_is_complete_and_has_no_faults() -> None:
    history, _ = told(a_good_run())
    assert history.complete
    assert history.faults(TRIALS) == []


def test_a_run_is_not_complete_before_the_mistake_had_its_outcome() -> None:
    history, _ = told(each for each in a_good_run() if each[1].type != "model_alias")
    assert history.recovered_batches == RECOVERED_BATCHES
    assert not history.complete


def test_a_worse_version_that_is_promoted_is_a_fault() -> None:
    def promoted(message: Message) -> Message:
        if not isinstance(message, ModelVersion) or message.version != "v3":
            return message
        return message.model_copy(update={"promotion": Promotion(promoted=True, reason="luck")})

    history, _ = told((topic, promoted(message)) for topic, message in a_good_run())
    assert history.faults(TRIALS) == ["expected one worse version to be refused, found none"]


def test_a_new_version_that_is_not_promoted_is_a_fault() -> None:
    run = (each for each in a_good_run() if not (isinstance(each[1], ModelVersion) and each[1].version == "v2"))
    history, _ = told(run)
    assert history.faults(TRIALS) == ["expected one version to be promoted, found none"]


def test_a_run_is_not_complete_before_the_new_version_has_served_long_enough() -> None:
    history = History(DEGRADE_AT)
    messages = list(a_good_run())
    for topic, message in messages[: -len(FLEETS)]:
        history.add(topic, message)
    assert not history.complete


def test_accuracy_is_averaged_over_the_degraded_fleets_periods_for_every_fleet() -> None:
    history, _ = told(a_good_run())
    assert history.accuracy()[DEGRADED] == {"before": 0.96, "drifted": 0.3, "recovered": 0.93}
    assert history.accuracy()[QUIET] == {"before": 0.95, "drifted": 0.95, "recovered": 0.95}


def test_periods_that_have_not_come_yet_have_no_accuracy() -> None:
    history, _ = told(batches(0, 3, 0.96))
    assert history.accuracy()[DEGRADED] == {"before": 0.96, "drifted": None, "recovered": None}


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("drift_detected", "expected drift of digits-dock alone, found none"),
        ("retrain_request", "expected one retrain request, found 0"),
        ("trial_result", "expected 3 complete trials, found 0"),
    ],
)
def test_what_is_missing_is_a_fault(kind: str, fault: str) -> None:
    history, _ = told(without(kind))
    assert history.faults(TRIALS) == [fault]


def test_drift_of_a_quiet_fleet_is_a_fault() -> None:
    history, _ = told(iter([*a_good_run(), drift(QUIET)]))
    assert history.faults(TRIALS) == ["expected drift of digits-dock alone, found digits-dock, digits-lobby"]


def test_failed_trials_do_not_count() -> None:
    history, _ = told(iter([*without("trial_result"), trial(0, 0.9), trial(1, None), trial(2, 0.5)]))
    assert history.faults(TRIALS) == ["expected 3 complete trials, found 2"]


def test_accuracy_that_does_not_come_back_is_a_fault() -> None:
    slump = batches(DEGRADE_AT + 5 + RECOVERED_BATCHES, DEGRADE_AT + 5 + 4 * RECOVERED_BATCHES, 0.5, "v2")
    history, _ = told(iter([*a_good_run(), *slump]))
    assert history.faults(TRIALS) == ["expected digits-dock to win back 75% of the accuracy it lost"]


def test_a_dead_letter_is_a_fault_and_is_told() -> None:
    letter = dead_letter_of(
        reason="accuracy: expected a number",
        stage="monitor",
        topic="metrics",
        partition=1,
        offset=7,
        timestamp=1_750_000_000_000,
        key=b"digits-yard",
        value=b"{}",
    )
    history, lines = told(iter([*a_good_run(), ("dead-letter", letter)]))
    assert history.faults(TRIALS) == ["expected no dead letters, found 1"]
    assert lines[-1] == "digits-yard: dead letter from metrics [1] at 7: accuracy: expected a number"


def test_the_story_tells_each_turn_of_the_loop_once_and_in_order() -> None:
    _, lines = told(a_good_run())
    assert lines == [
        "digits-dock: serves with version v1",
        "digits-dock: its camera degrades (batch 10), accuracy 0.300",
        "digits-dock: drift for the worse: accuracy 0.300, window 0.950 ± 0.011, z_score -7.4",
        "digits-dock: retraining requested (accuracy drifted)",
        "digits-dock: trial 1/3 scores 0.900, best 0.900",
        "digits-dock: trial 2/3 scores 0.940, best 0.940",
        "digits-dock: trial 3/3 scores 0.500, best 0.940",
        "digits-dock: version v2 registered, score 0.940",
        "digits-dock: version v2 promoted to champion: better by 0.6",
        "digits-dock: takes version v2, accuracy 0.930",
        f"digits-dock: retraining requested ({mistaken_request('v2', START).reason})",
        "digits-dock: 3 trials on those images, best 0.920",
        "digits-dock: version v3 registered, score 0.940",
        "digits-dock: version v3 not promoted: no better than the champion",
        "digits-dock: recovered: accuracy 0.930",
    ]


def test_a_failed_trial_is_told_with_its_reason() -> None:
    _, lines = told(iter([trial(0, None)]))
    assert lines == ["digits-dock: trial 1/3 failed: it raised"]


def test_the_summary_has_the_counts_and_the_accuracy_of_every_fleet() -> None:
    history, _ = told(a_good_run())
    text = "\n".join(summary(history, "embedded", 31.4))
    assert "31 s, broker embedded, records 150, dead letters 0" in text
    assert "drift 1, requests 2, trials 6, new versions 2: 1 promoted, 1 refused" in text
    assert "\nversion v3 not promoted: no better than the champion\n" in text
    assert "digits-dock          0.960     0.300      0.930" in text


def test_sparkline_goes_from_the_lowest_bar_to_the_highest() -> None:
    assert sparkline([0.0, 0.5, 0.99, 1.0]) == "▁▅██"


def test_a_model_is_retraining_from_the_request_to_the_end_of_the_study() -> None:
    history = History(DEGRADE_AT)
    states = []
    for topic, message in [status(ModelState.DRIFT), request(), trial(0, 0.9), finished()]:
        history.add(topic, message)
        states.append(state_of(history, DEGRADED))
    assert states == ["drift", "retraining", "retraining", "drift"]


def test_the_picture_shows_fleets_versions_states_and_the_newest_lines() -> None:
    history, lines = told(iter([*a_good_run(), status(ModelState.OK)]))
    console = Console(file=io.StringIO(), width=120, record=True)
    console.print(picture(history, lines))
    text = console.export_text()
    row = next(line for line in text.splitlines() if DEGRADED in line)
    assert all(part in row for part in ("v2", "0.930", "▃▃▃", "ok"))
    assert "recovered: accuracy 0.930" in text


def test_the_picture_of_a_run_that_has_not_begun_has_every_fleet_starting() -> None:
    console = Console(file=io.StringIO(), width=120, record=True)
    console.print(picture(History(DEGRADE_AT), []))
    assert console.export_text().count("starting") == len(FLEETS)


def test_of_long_lines_fewer_fit() -> None:
    assert newest(["one", "two", "x" * 21, "four"], height=4, width=10) == ["x" * 21, "four"]
    assert newest(["one", "two", "three"], height=9, width=10) == ["one", "two", "three"]
    assert newest(["one", "y" * 99], height=-2, width=10) == ["y" * 99]
    assert newest([], height=4, width=10) == []


def test_on_a_low_terminal_the_newest_lines_are_shown_and_at_the_end_all() -> None:
    written = io.StringIO()
    view = LiveView(Console(file=written, width=80, height=24, force_terminal=True))
    with view:
        for number in range(25):
            view.tell(f"line number {number}.")
        view.refresh(History(DEGRADE_AT))
        while "line number 24." not in written.getvalue():  # drawn by a thread of the view's own, eight times a second
            time.sleep(0.01)
        assert "line number 3." not in written.getvalue()
    assert "line number 3." in written.getvalue()


def test_the_live_view_keeps_the_newest_lines() -> None:
    console = Console(file=io.StringIO(), width=120, height=60, force_terminal=True)
    with LiveView(console) as view:
        for number in range(40):
            view.tell(f"line number {number}.")
        view.refresh(History(DEGRADE_AT))
    written = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above
    assert "line number 39." in written
    assert "line number 3." not in written


def test_the_plain_view_writes_lines_as_they_are() -> None:
    console = Console(file=io.StringIO(), width=20)
    with PlainView(console) as view:
        view.tell("digits-dock: [bold] is no markup, and long lines are not broken")
    assert console.file.getvalue() == "digits-dock: [bold] is no markup, and long lines are not broken\n"  # type: ignore[attr-defined]


def test_without_a_console_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainView(None) as view:
        view.tell("anything")
        view.refresh(History(DEGRADE_AT))
    assert capsys.readouterr() == ("", "")
