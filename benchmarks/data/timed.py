"""One contender in a process of its own: does the work once, and prints what it found, how long it took, and the peak.

Usage: timed.py CONTENDER FOLDER OUT [good]   (FOLDER as customers.py writes it; OUT for what is written)
Imports aren't timed. The standard library alone here: a peer's environment holds nothing of ours.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from pathlib import Path


def main() -> None:
    contender, folder, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    module = importlib.import_module(f"validators.{contender}")
    module.warm()
    cpu = time.process_time()
    began = time.perf_counter()
    found = module.run(folder, out, good="good" in sys.argv[4:])
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"seconds": seconds, "cpu_seconds": time.process_time() - cpu, "peak_mb": peak, "found": found}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
