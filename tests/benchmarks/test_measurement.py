"""All benchmarks in one go: what fails or cannot be measured is told of, and costs the others nothing."""

from __future__ import annotations

import json

import pytest
import typer

from benchmarks import __main__ as command
from benchmarks.in_short import in_short
from benchmarks.measurement import Benchmark, LocalBenchmark
from benchmarks.run import Json, LocalRun, NoData, ProcessFailed, Run
from streams.brokers.broker import BrokerError


def too_slow(run: LocalRun) -> Json:
    raise ProcessFailed("the peer took longer\nthan 280 s")


def faulty(run: LocalRun) -> Json:
    return {"share": 1 / (run.records - run.records)}


def without_data(run: LocalRun) -> Json:
    raise NoData("there is no data in here")


def on_kafka(run: Run) -> Json:
    raise AssertionError("it has none")


def good(run: LocalRun) -> Json:
    return {"size": run.records, "rounds": run.rounds, "skipped": {"quix": "there is no network"}}


@pytest.fixture
def some(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_kafka() -> None:
        raise BrokerError("there is no `java`")

    monkeypatch.setattr("benchmarks.measurement.real_kafka", no_kafka)
    local = {each.__name__: LocalBenchmark("", 1_000, 50, each) for each in (too_slow, faulty, without_data)}
    kafka = {"one": Benchmark("", 10, 1, on_kafka), "two": Benchmark("", 10, 1, on_kafka)}
    monkeypatch.setattr(command, "BENCHMARKS", {**local, **kafka, "good": LocalBenchmark("", 1_000, 50, good)})


@pytest.mark.usefixtures("some")
def test_what_fails_is_told_of_with_its_reason_and_the_others_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        command.main("all", as_json=True, share=0.02, rounds=1)
    assert ended.value.exit_code == 1
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert (document["good"]["size"], document["good"]["rounds"]) == (50, 1)
    assert document["not_measured"] == {
        "too_slow": "the peer took longer than 280 s",
        "faulty": "ZeroDivisionError: division by zero",
        "without_data": "there is no data in here",
        "one": "there is no `java`",
        "two": "there is no `java`",
    }
    assert set(document["seconds"]) == {*document["not_measured"], "good"}
    lines = told.err.splitlines()
    assert "failed: too_slow: the peer took longer than 280 s" in lines
    assert "left out: without_data: there is no data in here" in lines
    assert "left out: good, quix: there is no network" in lines
    assert lines[-1].startswith("1 of 6 benchmarks measured in")


@pytest.mark.usefixtures("some")
def test_tables_are_there_as_soon_as_they_are_measured_and_stay_when_it_is_interrupted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(run: LocalRun) -> Json:
        assert "size" in capsys.readouterr().out
        raise KeyboardInterrupt

    benchmarks = {"good": LocalBenchmark("", 70, 50, good), "last": LocalBenchmark("", 1, 1, interrupted)}
    monkeypatch.setattr(command, "BENCHMARKS", benchmarks)
    with pytest.raises(KeyboardInterrupt):
        command.main("all")
    assert "1 of 1 benchmarks measured" in capsys.readouterr().err


@pytest.mark.usefixtures("some")
def test_data_that_is_not_there_is_no_failure_of_all_but_one_of_the_benchmark_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "BENCHMARKS", {"without_data": LocalBenchmark("", 1, 1, without_data)})
    command.main("all")
    with pytest.raises(typer.Exit):
        command.main("without_data")


@pytest.mark.parametrize(("name", "records"), [("all", 20_000), ("tuning", 10)])
def test_a_number_that_cannot_be_meant_is_wrong_usage(name: str, records: int) -> None:
    with pytest.raises(typer.BadParameter):
        command.main(name, records=records)


def test_the_last_lines_have_the_figures_that_are_quoted() -> None:
    result = {
        "records_per_second": {"visutility": 353_200.0, "kafka_streams": 171_700.0},
        "ratios": {"kafka_streams": 2.057},
        "outcomes_per_second": 4_200_000.0,
        "skipped": {"quix": "there is no network"},
    }
    (line,) = in_short({"throughput": result, "nab": {}})
    assert line == ("throughput: 353,200 records/s, 4,200,000 outcomes/s, 2.06 times kafka streams, without quix")
