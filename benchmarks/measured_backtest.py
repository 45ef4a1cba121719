"""One backtest in a process of its own: `python -m benchmarks.measured_backtest FILE PROCESSES`.

Prints the result as one JSON line. The column decoder is loaded before the clock starts, as for the live worker.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from agents.backtest import backtest, open_source
from agents.monitor.stage import MonitorStage
from agents.settings import MonitorRule, Settings
from schemas.kernel import COMPILED


def main(file: str, processes: str) -> None:
    """Run the monitor of the throughput benchmark over a file."""
    rule = MonitorRule.model_validate({"detector": {"name": "z_score", "threshold": 6.0}})
    settings, begin = Settings(monitor=[rule]), time.process_time()
    if COMPILED:
        MonitorStage(settings).load()
    loaded = time.process_time()
    result = backtest(open_source(Path(file)), settings, processes=int(processes))
    document = {
        "records": result.events_read,
        "seconds": result.elapsed_seconds,
        "cpu_seconds": time.process_time() - loaded,
        "loading_cpu_seconds": loaded - begin,
        "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main(*sys.argv[1:])
