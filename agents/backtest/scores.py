"""The scores of a backtest: its messages on `drift` beside labels, series by series and together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agents.backtest.labels import Label, Labels, is_same_series
from agents.backtest.scoring import Found, Rules, Score, score_series
from agents.backtest.timeline import Timeline


@dataclass(frozen=True, slots=True)
class SeriesScore:
    """The score of one series: a model's alarms, or those on one metric of it that has labels of its own."""

    model: str
    metric: str
    score: Score
    alarm_ids: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """As JSON: names, figures, and each label with the `event_id` of the alarm that found it."""
        found = [
            {**place_of(each.label), "alarm": self.alarm_ids[each.alarm], "delay": _delay(each)}
            for each in self.score.found
        ]
        return {
            "model": self.model,
            "metric": self.metric,
            **self.score.as_dict(),
            "found_labels": found,
            "missed_labels": [place_of(label) for label in self.score.missed],
        }


def place_of(label: Label) -> dict[str, Any]:
    """A label's begin and end as JSON: a text is a time, a number an event."""
    return {"begin": _plain(label.begin), "end": _plain(label.begin if label.end is None else label.end)}


def _plain(place: int | datetime) -> int | str:
    return place if isinstance(place, int) else place.isoformat().replace("+00:00", "Z")


def _delay(found: Found) -> dict[str, float]:
    return {"events": found.events, "seconds": found.seconds}


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a backtest. `not_labelled`: models of the source that the labels do not know; `not_in_source`."""

    rules: Rules
    series: Sequence[SeriesScore]
    not_labelled: Sequence[str]
    not_in_source: Sequence[str]

    @property
    def total(self) -> Score:
        """All series together."""
        return sum((each.score for each in self.series), Score())

    def as_dict(self) -> dict[str, Any]:
        """The object `scores` of `backtest --json`."""
        return {
            "rules": self.rules.as_dict(),
            "total": self.total.as_dict(),
            "series": [each.as_dict() for each in self.series],
            "not_labelled": list(self.not_labelled),
            "not_in_source": list(self.not_in_source),
        }


def score_alarms(
    drift: Sequence[Mapping[str, Any]], labels: Labels, timelines: Mapping[str, Timeline], rules: Rules
) -> Scores:
    """Score the messages on `drift` of a backtest beside labels. An alarm is a `drift_detected` of severity `drift`.

    A label without a metric is of all metrics of its model that have no labels of their own.
    """
    by_model: dict[str, list[Mapping[str, Any]]] = {}
    for message in drift:
        if message["type"] == "drift_detected" and message["severity"] == "drift":
            by_model.setdefault(message["model_name"], []).append(message)
    series, not_labelled = [], []
    for model, timeline in sorted(timelines.items()):
        own = labels.of(model)
        if own is None:
            not_labelled.append(model)
            continue
        series += _score_model(model, own, by_model.get(model, []), timeline, rules)
    known = [name for name in labels.names() if not any(is_same_series(name, model) for model in timelines)]
    return Scores(rules, series, not_labelled, known)


def _score_model(
    model: str, labels: Sequence[Label], drift: Sequence[Mapping[str, Any]], timeline: Timeline, rules: Rules
) -> list[SeriesScore]:
    metrics = sorted({label.metric for label in labels if label.metric})
    wanted: list[tuple[str, Callable[[str], bool]]] = [(metric, metric.__eq__) for metric in metrics]
    if not metrics or any(not label.metric for label in labels):
        wanted.insert(0, ("", lambda metric: metric not in metrics))
    return [
        _score_one(
            model,
            metric,
            [label for label in labels if label.metric == metric],
            [alarm for alarm in drift if takes(alarm["metric"])],
            timeline,
            rules,
        )
        for metric, takes in wanted
    ]


def _score_one(
    model: str,
    metric: str,
    labels: Sequence[Label],
    drift: Sequence[Mapping[str, Any]],
    timeline: Timeline,
    rules: Rules,
) -> SeriesScore:
    placed = [(event, alarm) for alarm in drift if (event := timeline.event_of(alarm)) is not None]
    placed.sort(key=lambda pair: pair[0])
    score = score_series([event for event, _ in placed], labels, timeline, rules)
    return SeriesScore(model, metric, score, [alarm["event_id"] for _, alarm in placed])
