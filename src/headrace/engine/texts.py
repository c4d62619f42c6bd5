"""Text from elsewhere, such as a step's log, made safe to show."""

from __future__ import annotations

import re
from pathlib import Path

MOST_BYTES_OF_A_TAIL = 64_000

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """Text from a step or a file without what would steer a terminal; of a line drawn over, the last drawing."""
    if text.isprintable():
        return text
    lines = _ESCAPES.sub("", text.replace("\r\n", "\n")).split("\n")
    return "\n".join(_CONTROLS.sub("�", line.rstrip("\r").rpartition("\r")[2]) for line in lines)


def last_lines(file: Path, most_lines: int) -> list[str]:
    """The last lines of a text file, safe to show; none where it isn't there."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - MOST_BYTES_OF_A_TAIL))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return clean(text).rstrip("\n").split("\n")[-most_lines:] if text.strip() else []
