"""How a box is stored."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from headrace.core.errors import FormatError
from tensorbox import Box


class BoxFormat:
    """A box ⇄ a line of text."""

    name = "tensorbox.headrace_format:BoxFormat"
    version = 1

    def handles(self, declared: object) -> bool:
        return declared is Box

    def save(self, value: object, folder: Path, declared: object) -> None:
        if not isinstance(value, Box):
            raise FormatError(f"A box is declared, but got {value!r}", hint="return a Box")
        (folder / "box.txt").write_text(" ".join(map(repr, value.numbers)) + "\n")

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        if declared is Path:
            copy = Path(tempfile.mkdtemp()) / "box.txt"
            copy.write_bytes(files["box.txt"].read_bytes())
            return copy
        try:
            text = files["box.txt"].read_text()
            if not text.endswith("\n"):
                raise ValueError("cut short")
            return Box(*map(float, text.split()))
        except (KeyError, ValueError) as error:
            raise FormatError(f"The box can't be read: {error}", hint="make it again") from error
