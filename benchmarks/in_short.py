"""The last lines of `python -m benchmarks all`: the figures that documents quote, a line each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.run import Json
from benchmarks.throughput import OURS


def in_short(results: Json) -> Iterator[str]:
    """A line for each benchmark of the stream processor that has a result."""
    for name, line in _LINES.items():
        if name in results:
            yield f"{name}: {line(results[name])}"


def _throughput(result: Json) -> str:
    rates = result["records_per_second"]
    peers = [f"{ratio:.3g} times {_words(peer)}" for peer, ratio in result["ratios"].items()]
    missing = [f"without {_words(peer)}" for peer in result["skipped"]]
    outcomes = f"{result['outcomes_per_second']:,.0f} outcomes/s"
    return ", ".join([f"{rates[OURS]:,.0f} records/s", outcomes, *peers, *missing])


def _latency(result: Json) -> str:
    return "; ".join(
        f"{_words(case)}: p50 {each['p50_ms']:.0f}, p99 {each['p99_ms']:.0f}, p99.9 {each['p99.9_ms']:.0f} ms"
        for case, each in result.items()
    )


def _recovery(result: Json) -> str:
    rate, seconds = result["records_per_second"][OURS], result["seconds_to_ready"]
    peers = "".join(f", {ratio:.3g} times {_words(peer)}" for peer, ratio in result["ratios"].items())
    return (
        f"{rate:,.0f} records/s from an empty disk (ready after {seconds['empty_disk']:.1f} s{peers}),"
        f" a kept disk ready after {seconds['kept_disk']:.1f} s"
    )


def _scale(result: Json) -> str:
    rates = result["records_per_second"]
    return f"two workers {rates['two_workers']:,.0f} records/s, {result['ratios']['two_over_one']:.2f} times one"


def _memory(result: Json) -> str:
    slope = result["slope_bytes_per_minute"] / 2**20
    return f"{result['resident_bytes']['at_the_end'] / 2**20:.0f} MiB in the end, {slope:+.1f} MiB a minute"


def _state(result: Json) -> str:
    sizes = (f"{case} {size:,.0f}" for case, size in result["changelog_bytes_per_record"].items())
    return f"changelog bytes a record: {', '.join(sizes)}"


def _backtest(result: Json) -> str:
    return f"{result['records_per_cpu_second']:,.0f} records/s of CPU, {result['ratio_to_live']} times the live worker"


def _words(name: str) -> str:
    return name.replace("_", " ")


_LINES: dict[str, Callable[[Json], str]] = {
    "throughput": _throughput,
    "latency": _latency,
    "recovery": _recovery,
    "scale": _scale,
    "memory": _memory,
    "state": _state,
    "backtest": _backtest,
}
