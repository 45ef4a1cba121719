"""What a sweep tries of each detector: a range for each parameter, from a TOML file or as given here.

    [cusum]
    threshold = { type = "float_range", min = 5, max = 100, log = true }
    slack = [0.05, 1.0]
    direction = "both"          # one value: fixed

    [z_score]
    threshold = [2.0, 8.0]
    "window.size" = { type = "int_range", min = 50, max = 2000, log = true }

Ranges are written as in a tune rule's `space`. Parameters that are not there keep their defaults.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from agents.drift import DETECTORS
from agents.tuner.space import Choice, FloatRange, IntRange, InvalidSpace, Space, parse_space

_WINDOW: Final = ("window.size", "window.min_samples")


class SpaceError(ValueError):
    """The search space cannot be used. The message is one line."""


def _log(low: float, high: float) -> FloatRange | IntRange:
    kind = IntRange if isinstance(low, int) and isinstance(high, int) else FloatRange
    return kind.model_validate({"min": low, "max": high, "log": True})


def _even(low: float, high: float) -> FloatRange | IntRange:
    kind = IntRange if isinstance(low, int) and isinstance(high, int) else FloatRange
    return kind.model_validate({"min": low, "max": high})


_ANY: Final = Choice(choices=["both", "up", "down"])
_SIDE: Final = Choice(choices=["up", "down"])

#: The ranges of each detector; from where it fires all the time to where it hardly ever does, the defaults among them.
#: Those of `deviation` and `limit` are for errors and shares: a metric of another scale needs a `--space` of its own.
DEFAULT_SPACES: Final[dict[str, Space]] = {
    "adwin": {"delta": _log(1e-6, 0.1), "clock": Choice(choices=[1, 8, 32]), "min_window_length": _log(5, 200),
              "grace_period": _log(10, 500), "direction": _ANY},
    "cusum": {"threshold": _log(5.0, 200.0), "slack": _log(0.02, 1.0), "min_instances": _log(30, 1000),
              "deviation": Choice(choices=[None, 0.05, 0.1, 0.2, 0.3, 0.5]), "direction": _ANY},
    "ddm": {"drift_threshold": _even(2.0, 8.0), "warm_start": _log(20, 1000)},
    "eddm": {"beta": _even(0.5, 0.95), "warm_start": _log(30, 1000)},
    "ewma": {"lambda_val": _log(0.005, 0.5), "average_run_length": Choice(choices=[100, 400, 1000]),
             "min_instances": _log(30, 1000)},
    "fhddm": {"sliding_window_size": _log(25, 1000), "confidence_level": _log(1e-10, 0.01), "direction": _ANY},
    "hddm_a": {"drift_confidence": _log(1e-10, 0.005), "direction": Choice(choices=["both", "up"])},
    "hddm_w": {"drift_confidence": _log(1e-10, 0.005), "lambda_val": _log(0.002, 0.5),
               "direction": Choice(choices=["both", "up"])},
    "kswin": {"alpha": _log(1e-10, 0.01), "window_size": _log(60, 1000), "stat_size": _log(10, 60),
              "direction": _ANY},
    "page_hinkley": {"threshold": _log(0.05, 500.0), "delta": _log(0.0005, 0.5), "min_instances": _log(30, 1000),
                     "direction": _ANY},
    "rddm": {"drift_level": _even(1.8, 6.0), "min_instances": _log(30, 1000), "max_warnings": _log(100, 5000)},
    "stepd": {"alpha_drift": _log(1e-12, 0.05), "window_size": _log(20, 500), "direction": _ANY},
    "threshold": {"limit": _even(0.0, 1.0), "breaches": _log(1, 100), "of": _log(2, 400), "direction": _SIDE},
    "two_proportion": {"threshold": _even(2.5, 8.0), "window_size": _log(50, 1000), "min_change": _even(0.0, 0.2),
                       "reference_size": _log(500, 8000), "direction": _ANY},
    "z_score": {"threshold": _even(2.0, 8.0), "window.size": _log(50, 2000), "direction": _ANY},
    **{name: {"reference": _log(200, 1500), "size": _log(50, 750), "alpha": _log(0.001, 10.0)}
       for name in ("chi2", "hellinger", "jensen_shannon", "ks", "psi", "wasserstein")},
}  # fmt: skip


def default_space(name: str) -> Space:
    """The space of a detector; of one without an entry above, from its parameters' defaults: a tenth to ten times."""
    if name in DEFAULT_SPACES:
        return DEFAULT_SPACES[name]
    space: Space = {}
    for param, info in inspect.signature(DETECTORS[name]).parameters.items():
        if param == "direction":
            space[param] = _ANY
        elif type(info.default) is int and info.default >= 2:
            space[param] = _log(max(1, info.default // 10), info.default * 10)
        elif type(info.default) is float and info.default > 0:
            most = (1 + info.default) / 2 if info.default < 1 else info.default * 10
            space[param] = _log(info.default / 10, min(info.default * 10, most))
    return space


def read_spaces(path: Path) -> dict[str, Space]:
    """The spaces in a TOML file: a table for each detector to try. Raises SpaceError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise SpaceError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except ValueError as problem:
        raise SpaceError(f"{path}: not TOML: {problem}") from None
    if not tables:
        raise SpaceError(f"{path}: expected a table for each detector to try, such as [cusum]")
    return {name: _space(f"{path}: {name}", name, table) for name, table in tables.items()}


def check_detector(name: str) -> str:
    """The name, if there is such a detector. Raises SpaceError, which lists the known ones."""
    if name not in DETECTORS:
        close = get_close_matches(name, DETECTORS, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise SpaceError(f"unknown detector {name!r}{hint}; known: {', '.join(DETECTORS)}")
    return name


def _space(where: str, name: str, table: object) -> Space:
    try:
        check_detector(name)
        if not isinstance(table, Mapping):
            raise SpaceError(f"expected a table of parameters, got {table!r}")
        known = [*inspect.signature(DETECTORS[name]).parameters, *_WINDOW]
        for param in table:
            if param not in known:
                raise SpaceError(f"{name} has no parameter {param!r}; known: {', '.join(known)}")
        return parse_space({param: _range(value) for param, value in table.items()})
    except (SpaceError, InvalidSpace) as problem:
        raise SpaceError(f"{where}: {problem}") from None


def _range(value: Any) -> Any:
    return value if isinstance(value, Mapping | list) else {"type": "choice", "choices": [value]}
