"""Hamilton: plain nodes with its cache (SQLite metadata, results in files)."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import worker
from hamilton import driver

logging.disable(logging.CRITICAL)
STEP = "def v{after}(v{before}: int) -> int:\n    return v{before} + 1\n"


def prepare(n_steps: int, scratch: Path) -> worker.Run:
    name = f"chain_{n_steps}"
    first = "def v0(start: int) -> int:\n    return start\n"
    steps = [STEP.format(before=i, after=i + 1) for i in range(n_steps)]
    (scratch / f"{name}.py").write_text("\n\n".join([first, *steps]))
    if str(scratch) not in sys.path:
        sys.path.insert(0, str(scratch))
    importlib.invalidate_caches()
    built = driver.Builder().with_modules(importlib.import_module(name)).with_cache(path=scratch / "cache").build()
    last = f"v{n_steps}"

    def run(start: int) -> int:
        return built.execute([last], inputs={"start": start})[last]

    return run


if __name__ == "__main__":
    worker.main(prepare)
