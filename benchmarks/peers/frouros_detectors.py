"""Updates a second of frouros' detectors, one JSON object on stdout; runs in an environment of its own."""

from __future__ import annotations

import json
import os
import time

import numpy as np
from frouros.detectors.concept_drift import (
    ADWIN,
    CUSUM,
    DDM,
    ECDDWT,
    EDDM,
    HDDMA,
    HDDMW,
    KSWIN,
    RDDM,
    STEPD,
    PageHinkley,
)
from frouros.detectors.data_drift import EMD, JS, PSI, ChiSquareTest, HellingerDistance, KSTest

VALUES = [int(bit) for bit in os.environ["VALUES"]]
SECONDS = float(os.environ["SECONDS"])

DETECTORS = {
    "adwin": ADWIN,
    "cusum": CUSUM,
    "ddm": DDM,
    "eddm": EDDM,
    "ewma": ECDDWT,
    "hddm_a": HDDMA,
    "hddm_w": HDDMW,
    "kswin": KSWIN,
    "page_hinkley": PageHinkley,
    "rddm": RDDM,
    "stepd": STEPD,
}

rates = {}
for name, detector_class in DETECTORS.items():
    detector, done, started = detector_class(), 0, time.perf_counter()
    for value in VALUES:
        detector.update(value=value)
        if detector.drift:
            detector.reset()
        done += 1
        if done % 100 == 0 and time.perf_counter() - started > SECONDS:
            break
    rates[name] = done / (time.perf_counter() - started)

# Of distributions frouros has detectors of whole samples: what ours do by default, 500 values against 1,000, each time
# that 100 new ones have come. The test of χ² wants categories, which are bins here.
SAMPLES = {
    "chi2": ChiSquareTest,
    "hellinger": HellingerDistance,
    "jensen_shannon": JS,
    "ks": KSTest,
    "psi": PSI,
    "wasserstein": EMD,
}
REFERENCE, SIZE, STRIDE = 1_000, 500, 100

numbers = np.random.default_rng(0).normal(size=50_000)
for name, detector_class in SAMPLES.items():
    given = np.floor(numbers * 2) if name == "chi2" else numbers
    detector, done, started = detector_class(), 0, time.perf_counter()
    detector.fit(X=given[:REFERENCE])
    for end in range(REFERENCE + SIZE, len(given), STRIDE):
        detector.compare(X=given[end - SIZE : end])
        done += STRIDE
        if time.perf_counter() - started > SECONDS:
            break
    rates[name] = done / (time.perf_counter() - started)

print(json.dumps(rates))
