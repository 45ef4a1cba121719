"""Updates a second of frouros' detectors, one JSON object on stdout; runs in an environment of its own."""

from __future__ import annotations

import json
import os
import time

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

print(json.dumps(rates))
