"""Detectors on recorded data with labelled changes: which they find, how late, and how often they fire besides.

Data is looked for in `../shared/data` beside the repository: predictions of frozen forests with known drift points, 31
series of the Numenta Anomaly Benchmark, 17 of the Turing Change Point Dataset.
"""

from __future__ import annotations

import csv
import gzip
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agents.backtest.labels import agreed
from agents.backtest.scoring import match
from agents.drift import DETECTORS
from benchmarks.calibration import Candidate, on_errors
from benchmarks.run import ROOT, Json, LocalRun, NoData

Floats = NDArray[np.float64]

DATA: Final = ROOT.parent / "shared" / "data"

#: The share of a Numenta series that is for learning and holds no labels.
_PROBATION: Final = 0.15

#: An alarm this share of a Turing series (and at least 10 values) after a change has found it.
_MARGIN: Final = 0.1

OF_DISTRIBUTION: Final = sorted(name for name, made in DETECTORS.items() if getattr(made, "of_distribution", False))


@dataclass(frozen=True)
class Labelled:
    """A series, and the spans [begin, end) in which an alarm counts as having found the change at `begin`."""

    name: str
    values: Floats
    changes: Sequence[tuple[int, int]]
    judged_from: int = 0


@dataclass(frozen=True)
class Score:
    """Of one detector on one series: the delay of each change (None: missed), and alarms that found nothing new."""

    delays: list[int | None]
    false_alarms: int


def score(series: Labelled, alarms: Iterable[int]) -> Score:
    """The first alarm in a change's span finds it; those after it there are false, as are those outside of all."""
    judged = [alarm for alarm in alarms if alarm >= series.judged_from]
    matched = match(judged, series.changes)
    delays = [
        None if found is None else judged[found] - begin
        for found, (begin, _) in zip(matched.found, series.changes, strict=True)
    ]
    return Score(delays, len(matched.false) + len(matched.repeated))


def predictions(run: LocalRun) -> Json:
    """Each detector on the errors of recorded predictions: the abrupt drifts (also in sum), the others, river's too."""
    series = [_predictions(path, run.records) for path in _files("predictions", "*.csv.gz")]
    abrupt = [each for each in series if "abrupto" in each.name]
    result: Json = {}
    for candidate in on_errors():
        run.say(candidate.label)
        scores = {each.name: score(each, candidate.alarms(each.values)) for each in series}
        result[candidate.label] = {
            "abrupt drifts": _summary([scores[each.name] for each in abrupt]),
            **{name: _summary([each]) for name, each in scores.items()},
        }
    for name, alarms in _river(abrupt).items():
        result[name] = {"abrupt drifts": _summary(alarms)}
    return result


def nab(run: LocalRun) -> Json:
    """Each detector that takes any number on the Numenta series, in deviations of their first 15 %."""
    labels = json.loads((_folder("nab") / "labels.json").read_text())["windows"]
    series = [_nab(path, labels, run.records) for path in _files("nab", "*.csv.gz")]
    return _table(run, series, _of_any_number())


def turing(run: LocalRun) -> Json:
    """Each detector that takes any number on the Turing series, with a warm-up of 10 values where it has one."""
    annotations = json.loads((_folder("tcpd") / "annotations.json").read_text())
    files = [path for path in _files("tcpd", "*.json") if path.stem in annotations]
    series = [_turing(path, annotations[path.stem], run.records) for path in files]
    return _table(run, series, _for_short_series())


def _of_any_number() -> list[Candidate]:
    return [
        Candidate("adwin", {}),
        Candidate("cusum", {}),
        Candidate("cusum", {"slack": 1.0}),
        Candidate("kswin", {}),
        Candidate("kswin", {"alpha": 1e-6, "window_size": 300, "stat_size": 100}),
        *(Candidate(name, {"reference": 500, "size": 250}) for name in OF_DISTRIBUTION),
        Candidate("page_hinkley", {}),
        Candidate("page_hinkley", {"delta": 1.0}),
        Candidate("threshold", {"limit": 3.0, "direction": "up"}),
        Candidate("z_score", {}),
    ]


def _for_short_series() -> list[Candidate]:
    return [
        Candidate("adwin", {"clock": 1}),
        Candidate("cusum", {"min_instances": 10}),
        Candidate("cusum", {"min_instances": 10, "threshold": 8, "slack": 0.5}),
        Candidate("kswin", {"window_size": 30, "stat_size": 10}),
        *(Candidate(name, _short(name)) for name in OF_DISTRIBUTION),
        Candidate("page_hinkley", {"min_instances": 10}),
        Candidate("page_hinkley", {"min_instances": 10, "threshold": 10, "delta": 0.5}),
        Candidate("threshold", {"limit": 3.0, "direction": "up"}),
        Candidate("z_score", {"min_samples": 10}),
    ]


def _short(name: str) -> dict[str, Any]:
    bins = {} if name in ("ks", "wasserstein") else {"bins": 3}
    return {"reference": 30, "size": 15, "alpha": 0.5} | bins


def _table(run: LocalRun, series: Sequence[Labelled], candidates: Sequence[Candidate]) -> Json:
    result: Json = {"series": len(series), "values": sum(len(each.values) for each in series)}
    for candidate in candidates:
        run.say(candidate.label)
        result[candidate.label] = _summary([score(each, candidate.alarms(each.values)) for each in series])
    return result


def _summary(scores: Sequence[Score]) -> Json:
    delays = [delay for each in scores for delay in each.delays]
    found = [delay for delay in delays if delay is not None]
    return {
        "changes": len(delays),
        "found": len(found),
        "median_delay": statistics.median(found) if found else None,
        "false_alarms": sum(each.false_alarms for each in scores),
    }


def _river(series: Sequence[Labelled]) -> dict[str, list[Score]]:
    """Detectors of river at their defaults, and those with two sides with both; of KSWIN's chance, one seed."""
    from river import drift
    from river.drift import binary

    made: dict[str, Any] = {
        "river ADWIN": drift.ADWIN,
        "river KSWIN": lambda: drift.KSWIN(seed=0),
        "river PageHinkley": drift.PageHinkley,
        "river DDM": binary.DDM,
        "river EDDM": binary.EDDM,
        "river FHDDM": binary.FHDDM,
        "river HDDM_A": binary.HDDMA,
        "river HDDM_A (two-sided)": lambda: binary.HDDMA(two_sided_test=True),
        "river HDDM_W": binary.HDDMW,
        "river HDDM_W (two-sided)": lambda: binary.HDDMW(two_sided_test=True),
    }
    return {name: [score(each, alarms_of_river(make(), each.values)) for each in series] for name, make in made.items()}


def alarms_of_river(detector: Any, values: Floats) -> list[int]:
    """Where a detector of river fires."""
    alarms = []
    for index, value in enumerate(values.astype(int).tolist()):
        detector.update(value)
        if detector.drift_detected:
            alarms.append(index)
    return alarms


def _folder(name: str) -> Path:
    folder = DATA / name
    if not folder.is_dir():
        raise NoData(f"there is no data in {folder}")
    return folder


def _files(folder: str, pattern: str) -> list[Path]:
    return sorted(_folder(folder).glob(pattern))


def _predictions(path: Path, most: int) -> Labelled:
    with gzip.open(path, "rt") as lines:
        rows = list(csv.DictReader(lines))[:most]
    values = np.array([float(row["y_true"] != row["y_pred"]) for row in rows])
    first = int(rows[0]["seq"])
    entries = json.loads((DATA / "manifest.json").read_text())
    drifts = next(entry["drifts"] for entry in entries if entry["path"] == f"predictions/{path.name}") or []
    begins = [(drift if isinstance(drift, int) else drift[0]) - first for drift in drifts]
    return Labelled(path.name.removesuffix("__rf.csv.gz"), values, _spans(begins, len(values)))


def _nab(path: Path, labels: dict[str, list[list[str]]], most: int) -> Labelled:
    with gzip.open(path, "rt") as lines:
        rows = list(csv.DictReader(lines))[:most]
    values = np.array([float(row["value"]) for row in rows])
    times = [row["timestamp"][:19] for row in rows]
    spans = []
    for begin, end in labels[path.name.removesuffix(".gz").replace("__", "/")]:
        inside = [index for index, time in enumerate(times) if begin[:19] <= time <= end[:19]]
        if inside:
            spans.append((inside[0], inside[-1] + 1))
    probation = int(_PROBATION * len(values))
    return Labelled(path.name, _standardised(values, probation), spans, probation)


def _turing(path: Path, annotations: dict[str, list[int]], most: int) -> Labelled:
    data = json.loads(path.read_text())
    raw = [value for value in data["series"][0]["raw"][:most] if value is not None]
    values = _standardised(np.array(raw, dtype=np.float64), min(30, len(raw)))
    margin = max(10, int(_MARGIN * len(values)))
    begins = agreed(annotations)
    return Labelled(
        path.stem, values, [(begin, min(begin + margin, end)) for begin, end in _spans(begins, len(values))]
    )


def _spans(begins: Sequence[int], length: int) -> list[tuple[int, int]]:
    """Each change up to the next."""
    return list(zip(begins, [*begins[1:], length], strict=True)) if begins else []


def _standardised(values: Floats, first: int) -> Floats:
    """In standard deviations from the mean of the first values."""
    deviation = float(values[:first].std())
    return np.asarray((values - values[:first].mean()) / (deviation if deviation > 0 else 1.0))
