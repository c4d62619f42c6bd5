"""``python tests/prove/first_runs``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from first_runs.campaign import main

raise SystemExit(main())
