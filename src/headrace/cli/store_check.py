"""``headrace store check``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from headrace.cli.parser import Parser, add_json, add_store

if TYPE_CHECKING:
    from headrace.engine.check import Checked

DESCRIPTION = """\
Read every object and every record of a store: is each object what its digest says, and is all there that is named?

It may go on beside runs. It ends with 0 when all is sound, and with 1 when something is damaged or gone."""
MOST_LISTED = 20
UNSOUND = 1
_SECONDS_BETWEEN_WORDS = 0.5


def main(given: Sequence[str]) -> int:
    """Check a store."""
    parser = Parser("store check", DESCRIPTION)
    parser.add_argument(
        "--repair", action="store_true", help="remove damaged objects and unusable results: they're made again"
    )
    add_store(parser)
    add_json(parser)
    arguments = parser.read(given)
    from headrace.cli.places import open_existing_store
    from headrace.engine.check import check_store

    said = [0.0]

    def tell(text: str) -> None:
        if sys.stderr.isatty() and time.monotonic() - said[0] > _SECONDS_BETWEEN_WORDS:
            said[0] = time.monotonic()
            print(f"headrace: {text} ...", file=sys.stderr)  # noqa: T201

    found = check_store(open_existing_store(arguments.store), repair=arguments.repair, tell=tell)
    if arguments.json:
        print(json.dumps(_json(found), indent=2))  # noqa: T201
    else:
        print("\n".join(_lines(found)))  # noqa: T201
    return 0 if found.is_sound else UNSOUND


def _lines(found: Checked) -> Iterator[str]:
    from headrace.reports.texts import clean, count, size

    serious_first = sorted(found.findings, key=lambda finding: (not finding.is_serious, finding.kind == "leftover"))
    for finding in serious_first[:MOST_LISTED]:
        yield clean(f"{finding.kind} {finding.name}: {finding.problem}")
        yield clean(f"  {'repaired' if finding.is_repaired else 'Hint'}: {finding.hint}")
    if len(found.findings) > MOST_LISTED:
        yield f"and {len(found.findings) - MOST_LISTED} more: --json lists them all"
    looked = f"{count(found.n_objects, 'object')} ({size(found.n_bytes)}) and {count(found.n_records, 'record')}"
    n_wrong = sum(not finding.is_repaired and finding.kind != "leftover" for finding in found.findings)
    yield f"{looked}: {'all is sound' if not n_wrong else count(n_wrong, 'finding')}"


def _json(found: Checked) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "is_sound": found.is_sound,
        "n_objects": found.n_objects,
        "n_bytes": found.n_bytes,
        "n_records": found.n_records,
        "findings": [asdict(finding) for finding in found.findings],
    }
