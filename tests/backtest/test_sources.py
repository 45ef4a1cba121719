"""Tables, folders and layouts as sources: which rows become which messages, and what is said of the others."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.backtest import SourceError, backtest, open_source, parse_mapping
from agents.backtest.sources import ColumnMapping, SourceRecord
from schemas.topics import TOPICS
from tests.drift.streams import PREDICTIONS

#: Series that are not part of the repository.
NAB = PREDICTIONS.parent / "nab"

DAY = "2025-06-01T12:00:"
TABLE = f"ts,value,region\n{DAY}00,0.9,eu\n{DAY}01,0.8,us\n{DAY}02,,eu\n"
LABELLED = "y,p,s\n" + "".join(f"{row % 2},{row % 3 % 2},0.{row}\n" for row in range(10))

ACCURACY = parse_mapping(["timestamp=ts,accuracy=value,labels.region=region"], model="m")

parse = TOPICS["metrics"].parser()


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def messages(path: Path, mapping: ColumnMapping, layout: str | None = None) -> list[dict[str, Any]]:
    records = [item for item in open_source(path, mapping, layout) if isinstance(item, SourceRecord)]
    return [json.loads(record.value or b"") for record in records]


def zipped(path: Path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data[:30]) + gzip.compress(data[30:]))  # two members, as after `cat a.gz b.gz`


def zstandard(path: Path, data: bytes) -> None:
    compress = pytest.importorskip("zstandard").ZstdCompressor().compress
    path.write_bytes(compress(data[:30]) + compress(data[30:]))


def parquet(path: Path, data: bytes) -> None:
    table = pytest.importorskip("pyarrow.csv").read_csv(__import__("io").BytesIO(data))
    pytest.importorskip("pyarrow.parquet").write_table(table, path)


def test_a_row_becomes_a_message_of_the_type_that_its_fields_tell(tmp_path: Path) -> None:
    first, *_ = messages(write(tmp_path / "t.csv", TABLE), ACCURACY)
    assert first == {
        "type": "metrics", "model_name": "m", "timestamp": 1748779200.0, "accuracy": 0.9, "labels": {"region": "eu"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "type_"),
    [
        ("extras.auc=value", "metrics"),
        ("score=value", "validation_score"),
        ("p_value=value", "external_drift"),
        ("prediction_id=ts,y_pred=value", "prediction"),
        ("prediction_id=ts,y_true=value", "label"),
        ("y_true=value,y_pred=value", "outcomes"),
    ],
)
def test_every_kind_of_message_can_be_mapped(tmp_path: Path, fields: str, type_: str) -> None:
    file = write(tmp_path / "t.csv", TABLE.replace(",,", ",0.7,"))
    for record in open_source(file, parse_mapping([fields], model="m")):
        assert isinstance(record, SourceRecord)
        assert parse(record.value).type == type_


@pytest.mark.parametrize(("name", "save"), [("t.csv.gz", zipped), ("t.csv.zst", zstandard), ("t.parquet", parquet)])
def test_a_table_says_the_same_however_it_is_kept(
    tmp_path: Path, name: str, save: Callable[[Path, bytes], None]
) -> None:
    plain = messages(write(tmp_path / "t.csv", TABLE), ACCURACY)
    save(tmp_path / name, TABLE.encode())
    assert messages(tmp_path / name, ACCURACY) == plain


@pytest.mark.parametrize("size", [1, 3, 10, 500])
def test_outcomes_are_the_same_rows_however_many_are_one_message(tmp_path: Path, size: int) -> None:
    file = write(tmp_path / "t.csv", LABELLED)
    mapping = parse_mapping(["y_true=y,y_pred=p,score=s"], model="m", batch_rows=size, item_times=True)
    found = [parse(json.dumps(message).encode()).to_dict() for message in messages(file, mapping)]
    assert len(found) == -(-10 // size)
    for column, whole in (
        ("y_true", [row % 2 for row in range(10)]),
        ("y_pred", [row % 3 % 2 for row in range(10)]),
        ("scores", [row / 10 for row in range(10)]),
    ):
        assert [value for message in found for value in message[column]] == whole
    assert [message["timestamp"] for message in found] == [message["timestamps"][-1] for message in found]
    assert found[-1]["timestamp"] == "2025-01-01T00:00:09Z"


def test_rows_of_several_models_are_batched_by_model(tmp_path: Path) -> None:
    rows = "".join(f"{'ab'[row % 2]},{row},{row}\n" for row in range(8))
    mapping = parse_mapping(["model_name=m,y_true=y,y_pred=p"], batch_rows=3)
    found = messages(write(tmp_path / "t.csv", "m,y,p\n" + rows), mapping)
    assert [(each["model_name"], each["y_true"]) for each in found] == [
        ("a", [0, 2, 4]), ("b", [1, 3, 5]), ("a", [6]), ("b", [7]),
    ]  # fmt: skip


def test_what_is_wrong_with_a_row_is_told_with_its_line_and_the_others_go_on(tmp_path: Path) -> None:
    rows = ['"two\nlines",0.9', "", "x,0.9,more", f"{DAY}00Z,high", f"{DAY}00Z,1.5", "yesterday,0.9", f"{DAY}00Z,0.9"]
    file = write(tmp_path / "t.csv", "ts,value\n" + "\n".join(rows) + "\n")
    result = backtest(open_source(file, parse_mapping(["timestamp=ts,accuracy=value"], model="m")))
    told = {letter["offset"]: letter["reason"] for letter in result.dead_letters}
    assert set(told) == {3, 5, 6, 7, 8}
    assert {letter["topic"] for letter in result.dead_letters} == {"t.csv"}
    assert "3 cells under 2 columns" in told[5]
    assert told[6] == "accuracy: expected a number in [0, 1], got 'high'"
    assert told[7] == "accuracy: expected a number in [0, 1], got 1.5"
    assert told[8].startswith("timestamp: expected")
    assert "'yesterday'" in told[8]
    assert result.events_read == 6


def test_a_row_of_outcomes_that_lacks_something_is_put_aside_alone(tmp_path: Path) -> None:
    lines = LABELLED.splitlines()
    lines[4] = ",1,0.3"
    file = write(tmp_path / "t.csv", "\n".join(lines))
    mapping = parse_mapping(["y_true=y,y_pred=p"], model="m")
    result = backtest(open_source(file, mapping))
    assert [(each["offset"], each["reason"].split(":")[0]) for each in result.dead_letters] == [(5, "y_true[0]")]
    assert sum(len(message["y_true"]) for message in messages(file, mapping)) == 10


def test_classes_that_are_written_differently_are_the_same_class(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", "y,p\n1,1.0\nTrue,1\nfalse,0\ncat,cat\n007,007\n")
    (message,) = messages(file, parse_mapping(["y_true=y,y_pred=p"], model="m"))
    assert message["y_true"] == message["y_pred"] == [1, True, False, "cat", "007"]


def test_bytes_that_are_no_text_spoil_only_their_row(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(b"m,value\n\xff,0.9\nok,0.9\n")
    result = backtest(open_source(file, parse_mapping(["model_name=m,accuracy=value"])))
    assert [each["offset"] for each in result.dead_letters] == [2]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: open_source(p / "none.csv"), "none.csv: cannot be read: No such file or directory"),
        (lambda p: open_source(write(p / "t.txt", "")), "t.txt: expected a file named .jsonl, .jsonl.gz, .jsonl.zst,"),
        (lambda p: open_source(p), ": no file in this folder is named .jsonl,"),
        (lambda p: open_source(write(p / "t.csv", TABLE)), "which column is what? give --map"),
        (lambda p: open_source(p, layout="numenta"), "no layout 'numenta': there are nab, nannyml"),
        (lambda p: parse_mapping(["acuracy=value"]), "no field 'acuracy': did you mean 'accuracy'?"),
        (lambda p: parse_mapping(["accuracy"]), "--map: expected FIELD=…, got 'accuracy'"),
        (lambda p: parse_mapping(["accuracy=a", "accuracy=b"]), "accuracy is given twice"),
        (lambda p: parse_mapping(constants=["type=metric"]), "did you mean 'metrics'?"),
        (lambda p: read(p, parse_mapping(["accuracy=Values"], model="m")), "did you mean 'value'? there are ts, value"),
        (lambda p: read(p, parse_mapping(["accuracy=value"])), "which model? give --model NAME"),
        (lambda p: read(p, parse_mapping(["timestamp=ts"], model="m")), "the mapping names no value: map accuracy"),
        (lambda p: read(p, ACCURACY, "", "t.csv"), "expected the columns' names in the first line, got none"),
        (lambda p: read(p, ACCURACY, TABLE, "t.csv.gz"), "t.csv.gz: after line 0: not what its name says"),
        (lambda p: read(p, ACCURACY, TABLE, "t.csv.zst"), "t.csv.zst: after line 0: not what its name says"),
        (lambda p: read(p, ACCURACY, TABLE, "t.parquet"), "t.parquet: not parquet, or damaged"),
        (lambda p: read(p, ACCURACY, "a" * 99_000 + ",b", "t.csv"), "there are aaa"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path, make: Callable[[Path], Any], reason: str) -> None:
    with pytest.raises(SourceError) as told:
        make(tmp_path)
    assert reason in str(told.value)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 1_000


def read(folder: Path, mapping: ColumnMapping, text: str = TABLE, name: str = "t.csv") -> None:
    list(open_source(write(folder / name, text), mapping))


def test_a_parquet_file_whose_texts_are_no_utf_8_is_told(tmp_path: Path) -> None:
    table = pytest.importorskip("pyarrow").table({"value": [0.5], "name": ["fraud-fraud"]})
    pytest.importorskip("pyarrow.parquet").write_table(table, tmp_path / "t.parquet")
    damaged = (tmp_path / "t.parquet").read_bytes().replace(b"fraud-fraud", b"fraud-\xf5raud")
    (tmp_path / "t.parquet").write_bytes(damaged)
    with pytest.raises(SourceError, match="damaged"):
        list(open_source(tmp_path / "t.parquet", parse_mapping(["accuracy=value,model_name=name"])))


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.zst"])
def test_a_compressed_table_that_is_cut_short_is_told_with_the_line(tmp_path: Path, name: str) -> None:
    (zipped if name.endswith("gz") else zstandard)(tmp_path / name, TABLE.encode() * 100)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:-5])
    with pytest.raises(SourceError, match=r"after line \d+: it is cut short"):
        list(open_source(tmp_path / name, ACCURACY))


def test_a_folder_is_its_files_by_name(tmp_path: Path) -> None:
    for name in ("b.csv", "a.jsonl", "c/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        line = '{"type":"heartbeat","model_name":"m","timestamp":1750000000}\n'
        write(tmp_path / name, line if name.endswith("jsonl") else TABLE)
    write(tmp_path / "README.md", "no source")
    topics = [item.topic for item in open_source(tmp_path, ACCURACY) if isinstance(item, SourceRecord)]
    assert topics == ["a.jsonl"] + ["b.csv"] * 3 + ["d.csv"] * 3


def test_a_table_need_not_fit_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    with file.open("w") as out:
        out.write("y,p,padding\n")
        out.writelines(f"{row % 2},{row % 3 % 2},{'x' * 200}\n" for row in range(20_000))
    tracemalloc.start()
    try:
        count = sum(1 for _ in open_source(file, parse_mapping(["y_true=y,y_pred=p"], model="m")))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 40
    assert peak < file.stat().st_size / 4


def test_nannymls_labels_are_joined_to_the_rows_by_id(tmp_path: Path) -> None:
    write(tmp_path / "loan_reference.csv", f"id,repaid,timestamp,y_pred\n0,1,{DAY}00,1\n1,0,{DAY}01,1\n")
    write(tmp_path / "loan_analysis.csv", f"id,timestamp,y_pred\n2,{DAY}02,1\n3,{DAY}03,0\n4,{DAY}04,1\n")
    write(tmp_path / "loan_analysis_target.csv", "id,repaid\n2,1\n4,0\n")
    first, second = messages(tmp_path, ColumnMapping(), "nannyml")
    assert (first["model_name"], first["y_true"], first["y_pred"]) == ("loan", [1, 0], [1, 1])
    assert (second["model_name"], second["y_true"], second["y_pred"]) == ("loan", [1, 0], [1, 1])
    write(tmp_path / "loan_analysis_target.csv", "id,repaid\n4,1\n2,0\n")
    with pytest.raises(SourceError, match=r"target\.csv: line 3: the id '2' is not in loan_analysis\.csv, or comes"):
        messages(tmp_path, ColumnMapping(), "nannyml")


@pytest.mark.skipif(not NAB.is_dir(), reason=f"no series in {NAB}")
def test_numentas_series_are_models_named_as_numenta_names_them() -> None:
    labels = json.loads((NAB / "labels.json").read_text())["windows"]
    firsts = [next(iter(open_source(file, layout="nab"))) for file in sorted(NAB.glob("*.csv.gz"))]
    names = {json.loads(item.value or b"")["model_name"] for item in firsts if isinstance(item, SourceRecord)}
    assert names == {name.removesuffix(".csv") for name in labels}
