"""How things are laid out in lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def place(path: Path) -> str:
    """A path as seen from here, where that is shorter."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def table(rows: Iterable[Sequence[str]], head: Sequence[str] | None = None, indent: str = "") -> list[str]:
    """Lines of columns that stand below each other; the last column is as wide as it likes."""
    cells = [list(head)] if head else []
    cells += [list(row) for row in rows]
    if not cells:
        return []
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)]
    lines = []
    for row in cells:
        padded = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        lines.append((indent + "  ".join([*padded, row[-1]])).rstrip())
    return lines
