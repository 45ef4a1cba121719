"""Drift detectors: one file each, registered here by name. They are pure: values in, verdicts out."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from typing import Any

from agents.drift.adwin import Adwin
from agents.drift.chi2 import Chi2
from agents.drift.cusum import Cusum
from agents.drift.ddm import DDM
from agents.drift.detector import Detector, Direction, Verdict, Watched, WindowDetector
from agents.drift.eddm import EDDM
from agents.drift.ewma import EWMA
from agents.drift.fhddm import FHDDM
from agents.drift.hddm_a import HDDMA
from agents.drift.hddm_w import HDDMW
from agents.drift.hellinger import Hellinger
from agents.drift.jensen_shannon import JensenShannon
from agents.drift.ks import KS
from agents.drift.kswin import KSWIN
from agents.drift.page_hinkley import PageHinkley
from agents.drift.psi import PSI
from agents.drift.rddm import RDDM
from agents.drift.recommended import RECOMMENDED
from agents.drift.stepd import STEPD
from agents.drift.threshold import Threshold
from agents.drift.two_proportion import TwoProportion
from agents.drift.wasserstein import Wasserstein
from agents.drift.z_score import ZScore

__all__ = [
    "DETECTORS",
    "RECOMMENDED",
    "Detector",
    "Direction",
    "Verdict",
    "Watched",
    "WindowDetector",
    "ZScore",
    "make_detector",
]

DETECTORS: dict[str, type[Detector]] = {
    "adwin": Adwin,
    "chi2": Chi2,
    "cusum": Cusum,
    "ddm": DDM,
    "eddm": EDDM,
    "ewma": EWMA,
    "fhddm": FHDDM,
    "hddm_a": HDDMA,
    "hddm_w": HDDMW,
    "hellinger": Hellinger,
    "jensen_shannon": JensenShannon,
    "ks": KS,
    "kswin": KSWIN,
    "page_hinkley": PageHinkley,
    "psi": PSI,
    "rddm": RDDM,
    "stepd": STEPD,
    "threshold": Threshold,
    "two_proportion": TwoProportion,
    "wasserstein": Wasserstein,
    "z_score": ZScore,
}
"""Every detector by its name in settings. A new one is a file and an entry here."""


def make_detector(name: str, **params: Any) -> Detector:
    """A new detector. Raises ValueError for an unknown name or parameter (and lists the known ones) or a bad value.

    The name "recommended" stands for one of the others: its parameter `kind`, "errors" (the default), "metric" or
    "distribution", says for what; other parameters replace those recommended.

    >>> make_detector("recommended", kind="metric").name
    'cusum'
    """
    if name == "recommended":
        return _recommended(**params)
    if name not in DETECTORS:
        raise ValueError(
            f"unknown detector {name!r}{_hint(name, list(DETECTORS))}; known: {', '.join([*DETECTORS, 'recommended'])}"
        )
    made: Any = DETECTORS[name]
    known = list(inspect.signature(made).parameters)
    for param in params:
        if param not in known:
            raise ValueError(f"{name} has no parameter {param!r}{_hint(param, known)}; known: {', '.join(known)}")
    detector: Detector = made(**params)
    return detector


def _recommended(kind: str = "errors", **params: Any) -> Detector:
    if kind not in RECOMMENDED:
        raise ValueError(f"kind: expected one of {', '.join(RECOMMENDED)}, got {kind!r}")
    name, recommended = RECOMMENDED[kind]
    return make_detector(name, **recommended | params)


def _hint(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
