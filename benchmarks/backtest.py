"""Events a second of a backtest, beside the live worker on the same events in the same run."""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks.recorded import recording
from benchmarks.run import Json, Run, median, run_process
from benchmarks.traffic import PER_MESSAGE, Pairs, in_turn, metrics, outcomes

#: Of the records, those of `outcomes`: each holds 500 labelled predictions.
_OUTCOMES_SHARE = 200


def backtest(run: Run) -> Json:
    """Rates are a core's: records, or outcomes, for each second of CPU. Memory is at all records, and at a tenth."""
    topic, messages = run.kafka.name("metrics"), max(run.records // _OUTCOMES_SHARE, 200)
    run.say(f"filling: {run.records} metrics, {messages} outcomes messages")
    run.kafka.create(topic)
    run.kafka.fill(topic, metrics(in_turn(run.records)))
    told, memory = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    with tempfile.TemporaryDirectory(prefix="visutility-bench-") as name:
        files = _files(Path(name), run.records, messages)
        for _ in range(run.rounds):
            live = run.worker(topic, run.records)
            told["live"].append(live.records / live.cpu_seconds)
            for each, file in files.items():
                done = _run(file, 1)
                per = PER_MESSAGE if each.startswith("outcomes") else 1
                told[each].append(done["records"] * per / done["cpu_seconds"])
                memory[each].append(done["memory_bytes"])
            spread = _run(files["metrics"], 2)
            told["two_processes"].append(spread["records"] / spread["seconds"])
            run.say(", ".join(f"{each} {rates[-1]:,.0f}/s" for each, rates in told.items()))
    rates = {each: median(values) for each, values in told.items()}
    return {
        "records": run.records,
        "live_records_per_cpu_second": rates["live"],
        "records_per_cpu_second": rates["metrics"],
        "ratio_to_live": round(rates["metrics"] / rates["live"], 2),
        "recorded_records_per_cpu_second": rates["recording"],
        "recorded_records_without_cuts_per_cpu_second": rates["recording_without_cuts"],
        "outcomes_per_cpu_second": rates["outcomes"],
        "outcomes_with_scores_per_cpu_second": rates["outcomes_with_scores"],
        "records_per_second_in_two_processes": rates["two_processes"],
        "memory_bytes": median(memory["metrics"]),
        "memory_bytes_at_a_tenth": median(memory["tenth"]),
    }


def _files(folder: Path, records: int, messages: int) -> dict[str, Path]:
    """What is read in the backtests, written: so many `metrics`, and so many messages of `outcomes`."""
    return {
        "metrics": _written(folder / "metrics.jsonl", metrics(in_turn(records))),
        "outcomes": _written(folder / "outcomes.jsonl", outcomes(in_turn(messages))),
        "outcomes_with_scores": _written(folder / "scores.jsonl", outcomes(in_turn(messages), scores=True)),
        "recording": recording(folder / "recording.jsonl", metrics(in_turn(records)), ordered=True),
        "recording_without_cuts": recording(folder / "plain.jsonl", metrics(in_turn(records)), ordered=False),
        "tenth": _written(folder / "tenth.jsonl", metrics(in_turn(records // 10))),
    }


def _written(file: Path, pairs: Pairs) -> Path:
    with file.open("wb") as opened:
        opened.writelines(value + b"\n" for _, value in pairs)
    return file


def _run(file: Path, processes: int) -> Json:
    return run_process(
        "the backtest", [sys.executable, "-m", "benchmarks.measured_backtest", str(file), str(processes)]
    )
