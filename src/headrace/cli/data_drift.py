"""``headrace data drift``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.cli.data_files import add_data, open_table
from headrace.cli.parser import Parser, add_json

if TYPE_CHECKING:
    from headrace.steps.drifting import ColumnDrift, Drift
    from headrace.steps.profiling import Profile

DESCRIPTION = """\
Say how far a table lies from an earlier one, or from the profile that `headrace data profile EARLIER -o FILE` kept:
one scan that counts what the profile's buckets need.

A column drifts where its change is larger than the limits, and more than chance among all columns together. It ends
with 0 when nothing drifts, and with 3 when something does."""
DRIFTS = 3
MOST_SHOWN = 40


def main(given: Sequence[str]) -> int:
    """Compare a table with a reference."""
    parser = Parser("data drift", DESCRIPTION)
    add_data(parser, "reference", what="a profile (JSON), or the earlier table")
    add_data(parser)
    parser.add_argument("--slice", action="append", default=[], metavar="COLUMN", help="also compare by its values")
    parser.add_argument("--alpha", type=float, default=0.001, help="the chance of a false alarm (default: %(default)s)")
    parser.add_argument(
        "--limit", type=float, default=0.05, metavar="SHARE", help="the least change that is told (default: 0.05)"
    )
    parser.add_argument("--all", action="store_true", help="list columns that don't drift too")
    add_json(parser)
    arguments = parser.read(given)
    from headrace.steps.drifting import Limits, drift

    reference = _reference(arguments.reference, arguments.slice)
    found = drift(reference, open_table(arguments.data), limits=Limits(effect=arguments.limit), alpha=arguments.alpha)
    if arguments.json:
        print(json.dumps(_json(found), indent=2))  # noqa: T201
    else:
        print("\n".join(_lines(found, arguments.all)))  # noqa: T201
    return DRIFTS if found.drifting else 0


def _reference(path: Path, slices: Sequence[str]) -> Profile:
    """Read a profile, or make that of a table."""
    from headrace.core.errors import DataError
    from headrace.steps.profiling import Profile, profile

    if path.suffix != ".json":
        return profile(open_table(path), slices=slices)
    if not path.is_file():
        raise DataError(f"There is no file {str(path)!r}", hint="headrace data profile EARLIER -o FILE makes one")
    found = Profile.from_json(path.read_bytes())
    missing = [name for name in slices if name not in found.slices]
    if missing:
        raise DataError(
            f"The profile was made without slices by {missing[0]!r}",
            hint=f"make it again with --slice {missing[0]}, or give the earlier table",
        )
    return found


def _lines(found: Drift, is_all: bool) -> Iterator[str]:
    from headrace.cli.columns import table
    from headrace.reports.texts import clean, count

    shown = [change for change in found.columns if is_all or change.reasons]
    if shown:
        head = ["column", "effect", "PSI", "JS", "p", "missing", "why"]
        yield from (clean(line) for line in table([_row(change) for change in shown[:MOST_SHOWN]], head))
        if len(shown) > MOST_SHOWN:
            yield f"and {len(shown) - MOST_SHOWN} more: --json lists them all"
        yield ""
    for words, names in (("lost", found.lost_columns), ("new", found.new_columns)):
        if names:
            yield clean(f"{words} columns: {', '.join(names)}")
    n_columns = len({change.column for change in found.columns})
    verdict = f"{count(len(found.drifting), 'column')} of {n_columns} drift" if found.drifting else "nothing drifts"
    yield f"{found.n_rows:,} rows against {found.n_reference:,}: {verdict}"


def _row(change: ColumnDrift) -> list[str]:
    from headrace.steps.profiling.summary import share, shown

    name = f"{change.column} [{change.slice}]" if change.slice else change.column
    figures = [shown(x) for x in (change.effect, change.psi, change.jensen_shannon, change.p_value)]
    missing = f"{share(change.missing_reference) or '0%'} → {share(change.missing_share) or '0%'}"
    return [name, *figures, missing, "; ".join(change.reasons)]


def _json(found: Drift) -> dict[str, object]:
    import math
    from dataclasses import asdict

    plain = asdict(found)
    for change in plain["columns"]:
        for name, value in change.items():
            if isinstance(value, float) and not math.isfinite(value):
                change[name] = None
    return {"drifting": list(found.drifting), **plain}
