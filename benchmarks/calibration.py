"""How often each detector fires without a change, and how soon after one: of errors, a metric, a distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agents.drift import DETECTORS, make_detector
from benchmarks.run import Json, LocalRun

Floats = NDArray[np.float64]

#: Events without a change, events before one, and events after it within which it counts as found.
STATIONARY: Final = 10_000
BEFORE: Final = 3_000
AFTER: Final = 5_000


@dataclass(frozen=True)
class Candidate:
    """A detector with the parameters that the table is for."""

    name: str
    params: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Its name, with what differs from the defaults."""
        return (
            self.name if not self.params else f"{self.name} ({', '.join(f'{k} = {v}' for k, v in self.params.items())})"
        )

    def alarms(self, values: Floats) -> list[int]:
        """Where a new one fires."""
        found = make_detector(self.name, **self.params).update_many(values)
        return [index for index, verdict in found if verdict.drift]


@dataclass(frozen=True)
class Figures:
    """False alarms per 10,000 stationary values; share of runs with any; for each step the share found, the delay."""

    label: str
    false_alarms: float
    runs_with_any: float
    found: dict[str, float]
    median_delay: dict[str, float | None]


def errors(rng: np.random.Generator, length: int, rate: float) -> Floats:
    """Errors (1) at a rate."""
    return (rng.random(length) < rate).astype(np.float64)


def metric(rng: np.random.Generator, length: int, mean: float) -> Floats:
    """An accuracy around a mean, with a deviation of 0.02."""
    return np.clip(rng.normal(mean, 0.02, length), 0, 1)


def moved(rng: np.random.Generator, length: int, mean: float) -> Floats:
    """Scores around a mean, with a deviation of 1."""
    return rng.normal(mean, 1.0, length)


def spread(rng: np.random.Generator, length: int, deviation: float) -> Floats:
    """Scores around 0 with a deviation."""
    return rng.normal(0.0, deviation, length)


def figures(
    candidate: Candidate,
    draw: Callable[[np.random.Generator, int, float], Floats],
    usual: float,
    steps: tuple[float, ...],
    runs: int,
) -> Figures:
    """Measure one detector; run number i of every detector sees the same values."""
    alarms = [candidate.alarms(draw(np.random.default_rng([1, run]), STATIONARY, usual)) for run in range(runs)]
    found, delays = {}, {}
    for step in steps:
        after = [_delay(candidate, draw, usual, step, run) for run in range(runs)]
        seen = [delay for delay in after if delay is not None]
        found[f"{step:g}"] = len(seen) / runs
        delays[f"{step:g}"] = (
            float(np.median([AFTER if d is None else d for d in after])) if 2 * len(seen) > runs else None
        )
    return Figures(
        candidate.label,
        sum(map(len, alarms)) / runs * 10_000 / STATIONARY,
        sum(map(bool, alarms)) / runs,
        found,
        delays,
    )


def _delay(
    candidate: Candidate, draw: Callable[[np.random.Generator, int, float], Floats], usual: float, step: float, run: int
) -> int | None:
    """Values from the change up to the first alarm after it, that one included; None if there was none."""
    rng = np.random.default_rng([2, run])
    values = np.concatenate([draw(rng, BEFORE, usual), draw(rng, AFTER, step)])
    return next((index - BEFORE + 1 for index in candidate.alarms(values) if index >= BEFORE), None)


#: What the table shows beside every detector at its defaults: those whose defaults look the other way, or one only.
VARIANTS: Final = (
    Candidate("fhddm", {"direction": "up"}),
    Candidate("hddm_a", {"direction": "both"}),
    Candidate("hddm_w", {"direction": "both"}),
    Candidate("recommended", {"kind": "errors"}),
)

ERROR_STEPS: Final = (0.15, 0.2, 0.3)
METRIC_STEPS: Final = (0.89, 0.88, 0.84)
MEAN_STEPS: Final = (0.25, 0.5, 1.0)
SPREAD_STEPS: Final = (1.25, 1.5, 2.0)


def on_errors() -> list[Candidate]:
    """Every detector, for errors; the fixed limit would have to be put onto single errors and is left out."""
    names = [name for name in sorted(DETECTORS) if name != "threshold"]
    return sorted([*(Candidate(name, {}) for name in names), *VARIANTS], key=lambda candidate: candidate.label)


def on_metric() -> list[Candidate]:
    """Every detector that takes any number; the bounds of the others suppose a variance of p (1 − p)."""
    free = [name for name, made in DETECTORS.items() if not getattr(made, "bounded", False)]
    limit = Candidate("threshold", {"limit": 0.86})
    made = [Candidate(name, {}) for name in free if name != "threshold"]
    return [*made, limit, Candidate("recommended", {"kind": "metric"})]


def on_distribution() -> list[Candidate]:
    """Those that look at distributions, and for comparison those of any number that may see such changes, too."""
    names = [name for name, made in DETECTORS.items() if getattr(made, "of_distribution", False)]
    return [Candidate(name, {}) for name in sorted([*names, "adwin", "cusum", "kswin"])]


def calibration(run: LocalRun) -> Json:
    """False alarms and delays: errors at a rate of 0.10, a metric of 0.90 ± 0.02, scores that were 0 ± 1."""
    runs = max(1, run.records // STATIONARY)
    result: Json = {"runs": runs}
    for kind, candidates, draw, usual, steps in (
        ("errors", on_errors(), errors, 0.10, ERROR_STEPS),
        ("metric", on_metric(), metric, 0.90, METRIC_STEPS),
        ("mean", on_distribution(), moved, 0.0, MEAN_STEPS),
        ("spread", on_distribution(), spread, 1.0, SPREAD_STEPS),
    ):
        rows = []
        for candidate in candidates:
            run.say(f"{kind}: {candidate.label}")
            rows.append(asdict(figures(candidate, draw, usual, steps, runs)))
        result[kind] = {row.pop("label"): row for row in rows}
    return result
