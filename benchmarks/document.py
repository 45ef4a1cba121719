"""`python -m benchmarks.document`: measure detectors, and write tables and plots into docs/detectors.md and docs/plots.

What stands between `<!-- NAME -->` and `<!-- end of NAME -->` is replaced.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Final

from benchmarks.calibration import ERROR_STEPS, MEAN_STEPS, METRIC_STEPS, SPREAD_STEPS, STATIONARY, calibration
from benchmarks.detectors import detectors
from benchmarks.labelled import nab, predictions, turing
from benchmarks.run import ROOT, Json, LocalRun

DOCUMENT: Final = ROOT / "docs" / "detectors.md"
PLOTS: Final = ROOT / "docs" / "plots"

PEERS: Final = ("river", "frouros")

_RUNS: Final = 400
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 380, 60, 44, 16, 130


def main() -> None:
    """Write all of it; the arguments are names of the parts wanted, none for all."""
    parts: dict[str, Callable[[], str]] = {
        "calibration": _calibration,
        "predictions": lambda: _predictions(predictions(_run(100_000))),
        "nab": lambda: _labelled(nab(_run(100_000))),
        "turing": lambda: _labelled(turing(_run(100_000))),
        "speed": lambda: speed(detectors(LocalRun(1_000_000, 3, _say))),
    }
    for name in sys.argv[1:] or parts:
        _replace(name, parts[name]())


def _run(records: int) -> LocalRun:
    return LocalRun(records, 1, _say)


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr)


def _replace(name: str, text: str) -> None:
    between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    document, times = between.subn(lambda found: f"{found[1]}{text}\n{found[2]}", DOCUMENT.read_text())
    if times != 1:
        raise SystemExit(f"{DOCUMENT}: expected one part {name}, found {times}")
    DOCUMENT.write_text(document)


def _calibration() -> str:
    result = calibration(_run(_RUNS * STATIONARY))
    PLOTS.mkdir(exist_ok=True)
    texts = []
    for kind, steps, title in (
        ("errors", ERROR_STEPS, "Errors, rate 0.10"),
        ("metric", METRIC_STEPS, "Metric, 0.90 ± 0.02"),
        ("mean", MEAN_STEPS, "Scores whose mean moves from 0, with a deviation of 1"),
        ("spread", SPREAD_STEPS, "Scores around 0 whose deviation grows from 1"),
    ):
        rows = result[kind]
        middle = f"{steps[1]:g}"
        points = [(label, row["false_alarms"], row["median_delay"][middle]) for label, row in rows.items()]
        (PLOTS / f"calibration-{kind}.svg").write_text(plot(points, f"delay at the step to {middle}, values"))
        header = ["detector", "false alarms", *(f"to {step:g}" for step in steps)]
        body = [[f"`{label}`", f"{row['false_alarms']:.2f}", *_delays(row, steps)] for label, row in rows.items()]
        texts.append(f"**{title}**\n\n{table(header, body)}\n\n![{title}](plots/calibration-{kind}.svg)")
    return "\n\n".join(texts)


def _delays(row: Json, steps: Iterable[float]) -> list[str]:
    """The median delay; with the share found, if that is not all."""
    cells = []
    for step in (f"{step:g}" for step in steps):
        delay, found = row["median_delay"][step], row["found"][step]
        if delay is None:
            cells.append(f"({found:.0%})")
        else:
            cells.append(f"{delay:,.0f}" + ("" if found > 0.995 else f" ({found:.0%})"))
    return cells


def _predictions(result: Json) -> str:
    names = [name for name in next(iter(result.values())) if name != "abrupt drifts"]
    header = ["detector", "abrupt: found", "median delay", "false", *names]
    body = []
    for label, row in result.items():
        total = row["abrupt drifts"]
        cells = [f"{row[name]['found']} / {row[name]['false_alarms']}" if name in row else "" for name in names]
        body.append([f"`{label}`", *_found(total), *cells])
    return table(header, body)


def _labelled(result: Json) -> str:
    rows = {label: row for label, row in result.items() if isinstance(row, dict)}
    body = [[f"`{label}`", *_found(row)] for label, row in rows.items()]
    return table(["detector", "found", "median delay", "false alarms"], body)


def speed(result: Json) -> str:
    """Updates a second of every detector, and how many times a peer's that is."""
    body = []
    for name, rates in result["updates_per_second"].items():
        own = [f"{rates[kind]:,.0f}" if kind in rates else "" for kind in ("ours", "without numba", "one by one")]
        peers = [
            f"{rates[kind]:,.0f} (× {rates['ours'] / rates[kind]:,.0f})" if kind in rates else "" for kind in PEERS
        ]
        body.append([f"`{name}`", *own, *peers])
    return table(["detector", "`update_many`", "without numba", "`update`", *PEERS], body)


def _found(row: Json) -> list[str]:
    delay = "" if row["median_delay"] is None else f"{row['median_delay']:g}"
    return [f"{row['found']} of {row['changes']}", delay, f"{row['false_alarms']:,}"]


def table(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first are numbers."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plot(points: Sequence[tuple[str, float, float | None]], vertical: str) -> str:
    """False alarms (across, 0 at the left edge) and delays (up), both in powers of ten; an SVG."""
    shown = [(label, max(alarms, 0.01), delay) for label, alarms, delay in points if delay is not None]
    low, high = -2.0, math.ceil(max(math.log10(alarms) for _, alarms, _ in shown) + 1e-9)
    least, most = 0.0, math.ceil(max(math.log10(delay) for _, _, delay in shown))

    def across(alarms: float) -> float:
        return _LEFT + (math.log10(alarms) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def up(delay: float) -> float:
        return _HEIGHT - _BOTTOM - (math.log10(delay) - least) / (most - least) * (_HEIGHT - _BOTTOM - _TOP)

    parts = []
    for power in range(int(low), int(high) + 1):
        x, text = across(10.0**power), "0" if power == low else f"{10.0**power:g}"
        parts.append(_line(x, _TOP, x, _HEIGHT - _BOTTOM) + _text(x, _HEIGHT - _BOTTOM + 15, text, "middle"))
    for power in range(int(least), int(most) + 1):
        y = up(10.0**power)
        parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y) + _text(_LEFT - 6, y + 4, f"{10**power:,}", "end"))
    taken: list[tuple[float, float]] = []
    for label, alarms, delay in sorted(shown, key=lambda point: point[2]):
        x, y = across(alarms), up(delay)
        at = y + 4
        while any(abs(at - other) < 11 and abs(x - beside) < 120 for beside, other in taken):
            at -= 11
        taken.append((x, at))
        parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3.5" fill="#1f6fb2"/>{_text(x + 7, at, label, "start")}')
    middle = (_HEIGHT - _BOTTOM) / 2
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, "false alarms per 10,000 values", "middle"))
    parts.append(f'<g transform="rotate(-90 14 {middle:.0f})">{_text(14, middle, vertical, "middle")}</g>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="11" fill="#333"><rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(text)}</text>'


if __name__ == "__main__":
    main()
