"""Labels of changes: the files they come in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agents.backtest.labels import Label, LabelsError, is_same_series, parse_labels, read_labels

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_label_is_a_point_or_a_range_in_time_or_in_events() -> None:
    labels = parse_labels(
        [
            {"model": "a", "begin": "2026-03-01T12:00:00Z"},
            {"model": "a", "metric": "accuracy", "begin": NOON.timestamp(), "end": "2026-03-01 12:00:00"},
            {"model": "b*", "begin_event": 5, "end_event": 9},
            {"begin_event": 7},
            {"model": "quiet"},
        ]
    )
    assert labels.labels == (
        Label("a", NOON), Label("a", NOON, NOON, "accuracy"), Label("b*", 5, 9), Label("*", 7),
    )  # fmt: skip
    assert labels.unchanged == ("quiet",)


def test_a_csv_file_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("model,metric,begin,begin_event,end_event\na,,2026-03-01T12:00:00Z,,\nb,score,,5,9\nquiet,,,,\n")
    labels = read_labels(file)
    assert labels.labels == (Label("a", NOON), Label("b", 5, 9, "score"))
    assert labels.unchanged == ("quiet",)


def test_a_model_is_labelled_unchanged_or_not_known() -> None:
    labels = parse_labels({"found": [3], "quiet": []})
    assert (labels.of("found"), labels.of("quiet"), labels.of("other")) == ([Label("found", 3)], [], None)


def test_the_windows_of_the_numenta_benchmark_are_read_as_they_are() -> None:
    windows = {"realTweets/T.csv": [["2026-03-01 12:00:00.000000", "2026-03-01 12:00:00.000000"]], "art/N.csv": []}
    assert parse_labels({"windows": windows}) == parse_labels(windows)
    assert parse_labels(windows).of("realTweets/T") == [Label("realTweets/T.csv", NOON, NOON)]
    assert parse_labels(windows).of("art__N") == []


def test_of_several_annotators_the_changes_count_that_two_marked() -> None:
    assert parse_labels({"bank": {"6": [10, 50], "7": [13], "8": [80]}}).labels == (Label("bank", 10),)


def test_drifts_of_a_manifest_are_rows_and_those_of_predictions_rows_of_their_stream() -> None:
    entries: list[dict[str, Any]] = [
        {"path": "streams/s.csv.gz", "rows": 1000, "drifts": [500, [700, 710]]},
        {"path": "predictions/s__rf.csv.gz", "rows": 900, "drifts": [500, [700, 710]]},
        {"path": "streams/unknown.csv.gz", "rows": 9, "drifts": None},
    ]
    labels = parse_labels(entries)
    assert labels.of("s") == [Label("s", 500), Label("s", 700, 710)]
    assert labels.of("s__rf") == [Label("s__rf", 400), Label("s__rf", 600, 610)]
    assert labels.of("unknown") is None


def test_names_of_files_are_those_of_series_whatever_their_folder_and_ending() -> None:
    assert is_same_series("realTweets/T.csv", "realTweets__T.csv.gz")
    assert is_same_series("fraud-*", "fraud-eu")
    assert not is_same_series("T", "realTweets/T")


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (7, "labels: expected a list of labels, or an object"),
        ([{"model": "a", "start": 3}], "labels[0]: unknown field 'start'; known: model, metric, begin"),
        ([{"begin": "soon"}], "labels[0].begin: expected a time such as"),
        ([{"begin_event": 1.5}], "labels[0].begin_event: expected the number of an event"),
        ([{"begin": "2026-03-01", "begin_event": 1}], "labels[0]: expected begin or begin_event, got both"),
        ([{"begin": "2026-03-01", "end_event": 1}], "labels[0]: expected begin and end to be of one kind"),
        ([{"begin_event": 9, "end_event": 5}], "labels[0]: expected an end not before 9, got 5"),
        ([{"end_event": 5}], "labels[0]: expected begin (a time) or begin_event"),
        ([[1, 2]], "labels[0]: expected an object, got list"),
        ({"a": [[1, 2, 3]]}, "a[0]: expected a pair, [begin, end], got 3 values"),
        ({"a": 3}, "a: expected a list of changes, got int"),
        ([{"begin": "x" * 9_000}], "'xxxxxx"),
        ({"x" * 9_000: [[1, 2, 3]]}, "xxx… (9000 characters)[0]: expected a pair"),
    ],
)
def test_what_is_wrong_is_named(document: object, complaint: str) -> None:
    with pytest.raises(LabelsError) as caught:
        parse_labels(document)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("labels.json", "{", "labels.json: not JSON"),
        ("labels.txt", "", "expected a file named .json or .csv"),
        ("labels.csv", "a,b\n1,2\n", "line 1: expected the names of columns"),
        ("labels.csv", '"begin"x,model\n', "not CSV: ',' expected after"),
        ("labels.csv", "model,begin\na\n", "line 2: expected as many cells as line 1 has"),
        ("labels.csv", "model,begin_event\na,x\n", "line 2.begin_event: expected the number of an event"),
        ("absent.json", None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, content: str | None, complaint: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(LabelsError, match=name.replace(".", r"\.")) as caught:
        read_labels(tmp_path / name)
    assert complaint in str(caught.value)


def test_a_document_may_hold_its_labels_under_a_name() -> None:
    document = json.loads('{"labels": [{"begin_event": 3}]}')
    assert parse_labels(document).labels == (Label("*", 3),)
