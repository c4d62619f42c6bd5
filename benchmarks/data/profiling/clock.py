"""Times one piece of work in this process, imports left out, and prints what it took. The standard library alone."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path


def timed(work: Callable[[Path], object]) -> None:
    """Do the work on the folder of Parquet parts that the command line names."""
    folder = Path(sys.argv[1])
    began, cpu = time.perf_counter(), time.process_time()
    found = work(folder)
    told = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "found": str(found)[:200],
    }
    print(json.dumps(told))
