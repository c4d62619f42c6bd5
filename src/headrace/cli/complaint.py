"""Saying what went wrong."""

from __future__ import annotations

import json
import sys

from headrace.core.errors import HeadraceError
from headrace.reports.texts import clean

USAGE = 2


def complain(error: HeadraceError, *, as_json: bool = False) -> int:
    """Print an error, after the user's own traceback if it has one, and return the exit code of a wrong usage."""
    traceback = str(getattr(error, "traceback", ""))
    if traceback:
        print(clean(traceback.rstrip("\n")), end="\n\n", file=sys.stderr)  # noqa: T201
    text = clean(str(error))
    print(text if text.startswith("headrace ") else f"headrace: {text}", file=sys.stderr)  # noqa: T201
    if as_json:
        facts = {"kind": type(error).__name__, "message": error.message, "hint": error.hint, "where": error.where}
        print(json.dumps({"error": facts, "traceback": traceback or None}, indent=2))  # noqa: T201
    return USAGE
