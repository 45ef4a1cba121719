"""Updates a second of every detector, beside river's and frouros' of the same name and parameters, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agents.drift import DETECTORS, Detector, make_detector
from agents.drift import kernel as kernels
from agents.drift.stream_detector import StreamDetector
from benchmarks.environments import NoEnvironment, python_of
from benchmarks.run import Json, LocalRun, ProcessFailed, median, run_process

#: Values of a peer between two looks at the clock, and seconds that it gets.
_CHUNK: Final = 500
_SECONDS: Final = 0.5

_PEER: Final = Path(__file__).parent / "peers" / "frouros_detectors.py"


def detectors(run: LocalRun) -> Json:
    """Updates a second: ours by `update_many`, ours without numba, ours one by one, river's, frouros'; and ratios."""
    river = _river()
    rates: dict[str, dict[str, list[float]]] = {name: {} for name in DETECTORS}
    for _ in range(run.rounds):
        run.say("ours and river's")
        for name in DETECTORS:
            values = scores(run.records) if getattr(DETECTORS[name], "of_distribution", False) else stream(run.records)
            for peer, rate in _measured(name, values, river).items():
                rates[name].setdefault(peer, []).append(rate)
        run.say("frouros'")
        for name, rate in _frouros(run, stream(50_000)).items():
            rates[name].setdefault("frouros", []).append(rate)
    medians = {name: {peer: median(each) for peer, each in row.items()} for name, row in rates.items()}
    ratios = {
        name: {peer: round(row["ours"] / row[peer], 1) for peer in ("river", "frouros") if peer in row}
        for name, row in medians.items()
    }
    return {"updates_per_second": medians, "ratios": ratios}


def stream(length: int) -> NDArray[np.float64]:
    """Errors at rates of 0.1 and 0.3 by turns, 50,000 of each."""
    rates = np.where(np.arange(length) // 50_000 % 2 == 0, 0.1, 0.3)
    return (np.random.default_rng(0).random(length) < rates).astype(np.float64)


def scores(length: int) -> NDArray[np.float64]:
    """Gaussian numbers around 0 and 1 by turns, 50,000 of each."""
    means = np.where(np.arange(length) // 50_000 % 2 == 0, 0.0, 1.0)
    return np.random.default_rng(0).normal(means, 1.0)


def _measured(name: str, values: NDArray[np.float64], river: dict[str, Callable[[], Any]]) -> dict[str, float]:
    rates = {"ours": _many(make_detector(name), values[: 200_000 if name == "kswin" else None])}
    detector = make_detector(name)
    rates["one by one"] = _singles(detector.update, values)
    if isinstance(detector, StreamDetector):
        rates["without numba"] = _interpreted(name, values)
    if name in river:
        rates["river"] = _singles(river[name]().update, values.astype(int))
    return rates


def _many(detector: Detector, values: NDArray[np.float64]) -> float:
    started = time.perf_counter()
    detector.update_many(values)
    return len(values) / (time.perf_counter() - started)


def _interpreted(name: str, values: NDArray[np.float64]) -> float:
    compiled = kernels.COMPILED
    kernels.COMPILED = False  # type: ignore[misc]
    try:
        return _many(make_detector(name), values[: 2_000 if name == "kswin" else 50_000])
    finally:
        kernels.COMPILED = compiled  # type: ignore[misc]


def _singles(update: Callable[[Any], object], values: NDArray[Any]) -> float:
    """Values a second, for as long as there are any and time is left."""
    done, started = 0, time.perf_counter()
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK].tolist()
        for value in chunk:
            update(value)
        done += len(chunk)
        if time.perf_counter() - started > _SECONDS:
            break
    return done / (time.perf_counter() - started)


def _frouros(run: LocalRun, values: NDArray[np.float64]) -> dict[str, float]:
    try:
        bits = "".join(str(int(value)) for value in values)
        command = [python_of("frouros"), str(_PEER)]
        result = run_process("frouros", command, {"VALUES": bits, "SECONDS": str(_SECONDS)})
    except (NoEnvironment, ProcessFailed) as problem:
        run.say(f"without frouros: {problem}")
        return {}
    return dict(result)


def _river() -> dict[str, Callable[[], Any]]:
    from river import drift
    from river.drift import binary

    return {
        "adwin": drift.ADWIN,
        "ddm": binary.DDM,
        "eddm": binary.EDDM,
        "fhddm": binary.FHDDM,
        "hddm_a": binary.HDDMA,
        "hddm_w": binary.HDDMW,
        "kswin": lambda: drift.KSWIN(seed=0),
        "page_hinkley": drift.PageHinkley,
    }
