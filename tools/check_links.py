"""Check the local links and anchors of the Markdown pages. No network: links to other hosts are left alone.

Usage: check_links.py [FOLDER]
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from project_files import ROOT, project_files

CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
OTHER_HOST = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def pages(folder: Path) -> list[Path]:
    """The project's Markdown files."""
    return [path for path in project_files(folder) if path.suffix == ".md"]


def slug(heading: str) -> str:
    """A heading's anchor, as the usual renderers of Markdown make it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Every anchor of a page; a repeated heading gets -1, -2, …"""
    seen: Counter[str] = Counter()
    found = set()
    for match in HEADING.finditer(FENCED.sub("", page.read_text(encoding="utf-8"))):
        name = slug(match[1])
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def links(text: str) -> Iterator[tuple[int, str]]:
    """Line and target of each local link outside code."""
    blanked = CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), text)
    for match in LINK.finditer(blanked):
        target = match[1] or match[2]
        if not OTHER_HOST.match(target):
            yield blanked.count("\n", 0, match.start()) + 1, target


def dead_links(folder: Path) -> Iterator[str]:
    """A line for each link that leads nowhere."""
    for page in pages(folder):
        for line, target in links(page.read_text(encoding="utf-8")):
            name, _, anchor = unquote(target).partition("#")
            goal = (page.parent / name).resolve() if name else page
            where = f"{page.relative_to(folder)}:{line}"
            if not goal.exists():
                yield f"{where}: {target!r} leads to no file"
            elif anchor and goal.suffix == ".md" and anchor not in anchors(goal):
                yield f"{where}: {target!r} leads to no heading of {goal.name}"


def main(arguments: list[str]) -> int:
    """Print the dead links; 1 if there is any."""
    folder = Path(arguments[0]).resolve() if arguments else ROOT
    found = list(dead_links(folder))
    print("\n".join(found) or f"links: {len(pages(folder))} pages hold")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
