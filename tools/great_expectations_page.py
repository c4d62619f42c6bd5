"""Write the tables of docs/how-to/great-expectations.md from the mapping, or check that they are up to date.

Usage: great_expectations_page.py [--check]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from headrace.steps.great_expectations.mapping import MAPPED, REFUSED
from headrace.steps.great_expectations.suite import table_rows

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "great-expectations.md"


def tables() -> dict[str, str]:
    """Give the tables by their names."""
    mapped = [f"| `{name}` | {kind} | `{check}` |" for name, kind, check in table_rows()]
    refused = [f"| `{name}` | {hint} |" for name, hint in sorted(REFUSED.items())]
    head = f"{len(MAPPED)} expectations become checks.\n\n"
    return {
        "mapped": head + "\n".join(["| expectation | about | check |", "|---|---|---|", *mapped]),
        "refused": "\n".join(["| expectation | instead |", "|---|---|", *refused]),
    }


def written(page: str) -> str:
    """Put the tables into the page."""
    for name, table in tables().items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        page = pattern.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", page)  # type: ignore[misc]
    return page


def main(arguments: list[str]) -> int:
    """Write or check; 1 where the page isn't up to date."""
    page = PAGE.read_text(encoding="utf-8")
    if arguments == ["--check"]:
        if page != written(page):
            sys.exit(f"{PAGE.name} isn't what would be written: python tools/great_expectations_page.py")
        print("great expectations: the tables hold")
        return 0
    PAGE.write_text(written(page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
