"""``headrace data profile``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.cli.data_files import add_data, open_table
from headrace.cli.parser import Parser, add_json

if TYPE_CHECKING:
    from headrace.steps.profiling import ColumnProfile, Profile

DESCRIPTION = """\
Learn in one pass what each column of a table holds: missing and distinct values, smallest and largest, mean,
quantiles, frequent values, and how columns go with a target.

What is kept with -o is what `headrace data drift` and `headrace data suite` read. `~` stands before an estimate."""


def main(given: Sequence[str]) -> int:
    """Profile a table."""
    parser = Parser("data profile", DESCRIPTION)
    add_data(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the profile to this file, as JSON")
    parser.add_argument("--target", metavar="COLUMN", help="the column that is to be predicted")
    parser.add_argument(
        "--slice", action="append", default=[], metavar="COLUMN", help="profile the rows of each of its values too"
    )
    add_json(parser)
    arguments = parser.read(given)
    from headrace.steps.profiling import profile
    from headrace.steps.profiling.summary import summary

    found = profile(open_table(arguments.data), target=arguments.target, slices=arguments.slice)
    if arguments.output is not None:
        write_whole(arguments.output, found.to_json())
    if arguments.json:
        print(json.dumps(summary(found), indent=2))  # noqa: T201
    else:
        print("\n".join(_lines(arguments.data, found)))  # noqa: T201
        if arguments.output is not None:
            print(f"\nwrote {arguments.output}")  # noqa: T201
    return 0


def write_whole(path: Path, text: str) -> None:
    """Write a file in one piece: another is never half replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def _lines(path: Path, profile: Profile) -> Iterator[str]:
    from headrace.cli.columns import table
    from headrace.reports.texts import clean, count
    from headrace.steps.profiling.column import MEASURED

    yield f"{path}: {profile.n_rows:,} rows, {count(len(profile.columns), 'column')}"
    measured = {name: column for name, column in profile.columns.items() if column.kind in MEASURED}
    others = {name: column for name, column in profile.columns.items() if column.kind not in MEASURED}
    if measured:
        head = ["column", "kind", "missing", "distinct", "least", "5%", "median", "95%", "greatest", "mean", "std"]
        rows = [_measured_row(name, column) for name, column in measured.items()]
        yield from ["", *map(clean, table(*_with_target(profile, rows, head, measured)))]
    if others:
        head = ["column", "kind", "missing", "distinct", "length", "made of", "frequent"]
        yield from ["", *map(clean, table([_other_row(name, column) for name, column in others.items()], head))]
    odd = [_odd(name, column) for name, column in profile.columns.items()]
    if any(odd):
        yield from ["", *(clean(line) for line in odd if line)]


def _with_target(
    profile: Profile, rows: list[list[str]], head: list[str], columns: dict[str, ColumnProfile]
) -> tuple[list[list[str]], list[str]]:
    """Add how the columns go with the target, where there is one."""
    from headrace.steps.profiling.summary import shown

    if profile.target is None:
        return rows, head
    found = [column.association.correlation if column.association else None for column in columns.values()]
    added = [[*row, shown(correlation)] for row, correlation in zip(rows, found, strict=True)]
    return added, [*head, f"with {profile.target}"]


def _measured_row(name: str, column: ColumnProfile) -> list[str]:
    from headrace.steps.profiling.column import NUMBERS
    from headrace.steps.profiling.summary import distinct, share, shown

    ends = [column.least, *map(column.as_value, column.quantiles([0.05, 0.5, 0.95])), column.greatest]
    moments = [shown(column.mean), shown(column.std)] if column.kind in NUMBERS else ["", ""]
    return [name, column.kind, share(column.missing_share), distinct(column), *map(shown, ends), *moments]


def _other_row(name: str, column: ColumnProfile) -> list[str]:
    from headrace.steps.profiling.summary import classes_of, distinct, most_frequent, share

    texts = column.texts
    span = f"{texts.shortest}..{texts.longest}" if texts is not None and texts.shortest is not None else ""
    made_of = classes_of(texts.classes) if texts is not None else ""
    kind = column.kind if column.kind != "other" else column.type
    return [name, kind, share(column.missing_share), distinct(column), span, made_of, most_frequent(column)]


def _odd(name: str, column: ColumnProfile) -> str:
    """What is worth a second look: infinite numbers, a constant, a column without values."""
    if column.n and not column.n_present:
        return f"{name}: has no value"
    found = []
    if column.n_infinite:
        found.append(f"{column.n_infinite:,} infinite")
    if column.is_exact and column.n_present > 1 and column.n_distinct == 1:
        found.append("one value in all rows that have any")
    return f"{name}: {', '.join(found)}" if found else ""
