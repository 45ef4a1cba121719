"""Which detector to take when nothing speaks for another, from the calibration in docs/detectors.md."""

from __future__ import annotations

from typing import Any, Final, Literal

Kind = Literal["errors", "metric", "distribution"]

#: By kind of series: the detector and its parameters.
RECOMMENDED: Final[dict[Kind, tuple[str, dict[str, Any]]]] = {
    "errors": ("two_proportion", {"threshold": 4.5, "window_size": 300, "min_change": 0.04}),
    "metric": ("cusum", {}),
    "distribution": ("ks", {}),
}
"""`errors`: 1 for a wrong prediction and 0 for a right one. `metric`: any number that varies around a level.
`distribution`: numbers of which spread and shape matter, too, as scores of single predictions."""
