"""``headrace data check``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.cli.data_files import add_data, open_table
from headrace.cli.parser import Parser, UsageError, add_json

if TYPE_CHECKING:
    from headrace.formats.table import Table
    from headrace.steps.checks import Finding
    from headrace.steps.great_expectations.suite import ExpectationSuite
    from headrace.steps.suites import Suite
    from headrace.steps.validation.looking import Looked

DESCRIPTION = """\
Run a suite of checks over a table: a YAML file, such as `headrace data suite DATA -o FILE` writes, the checks in a
Python file, FILE.py:NAME, or a suite of Great Expectations, FILE.json.

It ends with 0 when all checks of severity "error" hold, and with 1 when one doesn't. Rows are counted from 0."""
FAILED = 1
WIDEST = 50


def main(given: Sequence[str]) -> int:
    """Check a table."""
    parser = Parser("data check", DESCRIPTION)
    add_data(parser)
    parser.add_argument("suite", metavar="SUITE", help="the suite: FILE.yaml, FILE.py:NAME, or FILE.json of GX")
    parser.add_argument(
        "--table",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="another table, by the name that foreign keys use",
    )
    parser.add_argument(
        "--quarantine", type=Path, metavar="FILE", help="write the rows that break a rule to this file, Parquet or CSV"
    )
    parser.add_argument("--all", action="store_true", help="list checks that hold too")
    parser.add_argument(
        "--gx-result", type=Path, metavar="FILE", help="write Great Expectations' own validation result to this file"
    )
    parser.add_argument(
        "--unmapped",
        choices=("refuse", "great_expectations"),
        default="refuse",
        help="what runs an expectation of GX that has no counterpart: nothing, or GX itself (the extra gx)",
    )
    add_json(parser)
    arguments = parser.read(given)
    tables = _tables(arguments.table)
    from headrace.steps.great_expectations.suite import ExpectationSuite
    from headrace.steps.validation.looking import look

    suite = _suite(arguments.suite, arguments.unmapped)
    if isinstance(suite, ExpectationSuite):
        suite = _of_expectations(arguments, suite)
    elif arguments.gx_result is not None:
        raise UsageError("--gx-result is for a suite of Great Expectations", hint="leave it out: --json tells all")
    named = {name: Path(place) for name, place in suite.tables.items()} | tables
    looked = look(open_table(arguments.data), suite.checks, {name: open_table(path) for name, path in named.items()})
    n_bad = int(looked.bad_rows().sum())
    if arguments.quarantine is not None:
        _write_quarantine(looked, arguments.quarantine)
    if arguments.json:
        print(json.dumps(_json(looked, n_bad), indent=2, default=str))  # noqa: T201
    else:
        print("\n".join(_lines(arguments, looked, n_bad)))  # noqa: T201
    return 0 if _passed(looked) else FAILED


def _passed(looked: Looked) -> bool:
    return all(finding.passed for finding in looked.findings if finding.severity == "error")


def _tables(given: Sequence[str]) -> dict[str, Path]:
    tables = {}
    for text in given:
        name, sign, place = text.partition("=")
        if not (name and sign and place):
            raise UsageError(f"--table takes NAME=FILE, but got {text!r}", hint="such as --table plans=plans.csv")
        tables[name] = Path(place)
    return tables


def _of_expectations(arguments: Any, suite: ExpectationSuite) -> Suite:
    """Give a suite's checks for the table's columns, and write GX's own result where it is asked for."""
    from headrace.steps.great_expectations.results import validate_suite
    from headrace.steps.kinds import kind_of
    from headrace.steps.suites import Suite
    from headrace.steps.tables import scan

    table = open_table(arguments.data)
    kinds = {name: kind_of(dtype) for name, dtype in scan(table).collect_schema().items()}
    if arguments.gx_result is not None:
        arguments.gx_result.write_text(f"{validate_suite(table, suite)}\n", encoding="utf-8")
    return Suite(tuple(expectation.bound(kinds) for expectation in suite.expectations))


def _suite(place: str, unmapped: Any) -> Suite | ExpectationSuite:
    """Read a suite's file, or run a Python file and take what it names."""
    from headrace.core.errors import DataError, near_miss
    from headrace.steps.great_expectations.suite import read_suite
    from headrace.steps.suites import Suite

    if _is_json(Path(place)):
        return read_suite(place, unmapped=unmapped)
    path, colon, name = place.rpartition(":")
    if not (colon and path.endswith(".py")):
        if place.endswith(".py"):
            raise UsageError(f"{place!r} doesn't say which checks", hint=f"such as {place}:CHECKS")
        return Suite.load(Path(place))
    if not Path(path).is_file():
        raise DataError(f"There is no file {path!r}")
    import runpy

    sys.path.insert(0, str(Path(path).resolve().parent))
    try:
        made = runpy.run_path(path)
    finally:
        sys.path.pop(0)
    if name not in made:
        known = [known for known in made if not known.startswith("_")]
        raise DataError(f"{path!r} has no {name!r}", hint=near_miss(name, known))
    found = made[name]
    return found if isinstance(found, Suite) else Suite(tuple(found))


def _is_json(path: Path) -> bool:
    """Say whether a file holds a JSON document, whatever its name is."""
    if path.suffix in (".yaml", ".yml") or not path.is_file():
        return path.suffix == ".json"
    with path.open("rb") as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def _write_quarantine(looked: Looked, path: Path) -> None:
    from headrace.core.errors import DataError
    from headrace.formats.parquet_writer import write_part
    from headrace.steps.validation.step import REASON, quarantined

    if REASON in looked.suite.schema:
        raise DataError(f"The table has a column {REASON!r}, which the rows set aside need", hint="rename it before")
    rows: Table = quarantined(looked, looked.bad_rows())
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    if path.suffix == ".csv":
        rows.polars().sink_csv(aside)
    else:
        import pyarrow as pa

        write_part(rows.schema, (pa.Table.from_batches([batch]) for batch in rows.batches()), aside)
    aside.replace(path)


def _json(looked: Looked, n_bad: int) -> Mapping[str, Any]:
    findings = [
        {name: getattr(finding, name) for name in type(finding).__dataclass_fields__} for finding in looked.findings
    ]
    return {
        "passed": _passed(looked),
        "n_rows": looked.n_rows,
        "n_good": looked.n_rows - n_bad,
        "n_bad": n_bad,
        "checks": findings,
    }


def _lines(arguments: Any, looked: Looked, n_bad: int) -> Iterator[str]:
    from headrace.cli.columns import table
    from headrace.reports.texts import clean, count

    findings = looked.findings
    shown = [finding for finding in findings if arguments.all or not finding.passed or finding.n_bad]
    head = ["", "check", "found", "expected", "bad", "share", "rows, such as"]
    if shown:
        yield from map(clean, table([_row(finding) for finding in shown], head))
        yield ""
    n_failed = sum(not finding.passed for finding in findings if finding.severity == "error")
    n_warned = sum(not finding.passed for finding in findings if finding.severity == "warn")
    told = [f"{n} {word}" for n, word in ((n_failed, "failed"), (n_warned, "warned")) if n] or ["all hold"]
    yield f"{arguments.data}: {looked.n_rows:,} rows, {count(len(findings), 'check')}: {', '.join(told)}"
    if n_bad:
        set_aside = f", written to {arguments.quarantine}" if arguments.quarantine else ""
        yield f"{n_bad:,} rows ({n_bad / looked.n_rows:.3%}) break a rule of severity 'error'{set_aside}"


def _row(finding: Finding) -> list[str]:
    state = "ok" if finding.passed else "FAILED" if finding.severity == "error" else "warning"
    pairs = [f"{row}: {example}" for row, example in zip(finding.rows, finding.examples, strict=False)]
    bad = f"{finding.n_bad:,}" if finding.n_bad else ""
    share = f"{finding.share:.3%}" if finding.n_bad and finding.share else ""
    told = [cut(text, WIDEST) for text in (finding.rule, finding.observed, finding.expected)]
    return [state, *told, bad, share, "; ".join(cut(pair, WIDEST) for pair in pairs)]


def cut(text: str, length: int) -> str:
    """A text, its end left out where it is too long."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
