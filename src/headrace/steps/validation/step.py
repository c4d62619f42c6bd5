"""The step that validates a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from headrace.core.errors import DataError
from headrace.core.step import step
from headrace.formats.table import Table, TableLike
from headrace.formats.table_rows import PickedRows
from headrace.steps.checks import Check, Finding, Findings, IsKind, WholeCheck
from headrace.steps.tables import scan, table_of
from headrace.steps.validation.looking import N_EXAMPLES, Looked, look, shown

if TYPE_CHECKING:
    import numpy as np

REASON = "reason"
N_WORST_LOOKED_AT = 1000

OnFail = Literal["quarantine", "fail", "warn"]
"""What becomes of rows that break a rule."""


class Validated(NamedTuple):
    """What `validate` gives."""

    table: Table
    """The rows that keep all rules, in their order, columns of the kinds that `IsKind` declares."""
    quarantine: Table
    """The other rows as they came, in their order, and a column ``reason`` with the rules they break."""
    findings: Findings
    """What each check found."""


@step
def validate(
    table: TableLike,
    checks: Sequence[Check] = (),
    *,
    tables: Mapping[str, TableLike] | None = None,
    on_fail: OnFail = "quarantine",
    max_bad_share: float = 0.1,
) -> Validated:
    """Check each row, and set aside those that break a rule.

    Rows in are rows out plus rows set aside, always. Checks look at the values as `IsKind` reads them, so a rule
    about a number can be given for a column that came as text. A row is set aside for any broken rule of severity
    "error"; "warn" only counts. Missing values break `NotMissing` alone; NaN counts as missing; an infinite number
    breaks `InRange`. An empty table passes with nothing found. The table is scanned once and never held, with 8 bytes
    a row for each `Unique`; where no row is bad it goes on as it is, and else parts without a bad row do.

    Parameters
    ----------
    checks
        The rules; see `headrace.steps.checks`.
    tables
        The other tables that `ForeignKey` names.
    on_fail
        "quarantine" sets rows aside that break a rule, and fails where too many do or the table as a whole breaks
        one. "fail" fails where a check of severity "error" doesn't hold, and else lets all rows on. "warn" lets all
        rows on, whatever was found.
    max_bad_share
        The share of rows that may be set aside, from 0 to 1. Where more are, something is wrong with the file
        rather than with rows, and the step fails.

    Raises
    ------
    DataError
        A check names a column that isn't there; more rows than ``max_bad_share`` break rules (the five that break
        most are shown); a check of the whole table (`MissingShare`, `Aggregate`) of severity "error" doesn't hold; a
        column is named ``reason``.

    Examples
    --------
    >>> import polars as pl
    >>> from headrace.steps.checks import InRange, Unique
    >>> people = Table.of(pl.DataFrame({"id": [1, 2, 2, 4], "age": [36, 150, 41, 12]}))
    >>> good, aside, findings = validate(people, [InRange("age", 0, 120), Unique(("id",))], max_bad_share=0.5)
    >>> good.polars().collect()["id"].to_list(), aside.polars().collect()["reason"].to_list()
    ([1, 4], ['age within 0..120', 'id unique'])
    """
    if not 0 <= max_bad_share <= 1:
        raise DataError(
            f"0 <= max_bad_share <= 1 must hold, but got max_bad_share={max_bad_share!r}",
            hint="give a share, such as 0.1",
        )
    if on_fail not in ("quarantine", "fail", "warn"):
        raise DataError(f"on_fail is 'quarantine', 'fail' or 'warn', but got {on_fail!r}")
    handle = Table.of(table)
    if REASON in scan(handle).collect_schema():
        raise DataError(f"The table has a column {REASON!r}, which the rows set aside need", hint="rename it before")
    looked = look(handle, tuple(checks), tables)
    bad = looked.bad_rows()
    if on_fail != "quarantine":
        bad[:] = False
    findings = _findings(looked, int(bad.sum()))
    if on_fail == "quarantine":
        _refuse_too_many(looked, bad, findings, max_bad_share)
    if on_fail != "warn":
        _refuse_failed(findings, rows_too=on_fail == "fail")
    return Validated(good_rows(looked, bad), quarantined(looked, bad), findings)


def good_rows(looked: Looked, bad: np.ndarray[Any, Any]) -> Table:
    """The rows that aren't bad: the table itself where that is all of it."""
    table = looked.table
    converted = _converted(looked, bad)
    if converted:
        read = [expr.alias(name) for name, expr in converted.items()]
        table = table_of(looked.suite.source.with_columns(*read))
    return Table.of(PickedRows(table, bad, are_left_out=True)) if bad.any() else table


def quarantined(looked: Looked, bad: np.ndarray[Any, Any]) -> Table:
    """The bad rows as they came, with the rules that they break."""
    import pyarrow as pa

    beside = pa.table({REASON: looked.reasons(bad)})
    return Table.of(PickedRows(looked.table, bad, beside=beside))


def _converted(looked: Looked, bad: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The columns that `IsKind` makes another type, where every value that goes on can be read so."""
    suite = looked.suite
    without_nan = [name for name, count in suite.nans.items() if not looked.folded.n_passed_over[count]]
    changed = {name: expr for name, expr in suite.read.items() if name not in without_nan}
    for number, check in enumerate(suite.checks):
        if isinstance(check, IsKind) and check.column in changed and (looked.rows_that_break(number) & ~bad).any():
            del changed[check.column]
    return changed


def _findings(looked: Looked, n_bad: int) -> Findings:
    return Findings(looked.n_rows, looked.n_rows - n_bad, n_bad, looked.findings)


def _refuse_too_many(looked: Looked, bad: np.ndarray[Any, Any], findings: Findings, max_bad_share: float) -> None:
    if findings.n_quarantined <= max_bad_share * findings.n_rows:
        return
    share = findings.n_quarantined / findings.n_rows
    raise DataError(
        f"{findings.n_quarantined} of {findings.n_rows} rows ({share:.1%}) break rules, more than "
        f"max_bad_share={max_bad_share!r} allows. {_told(findings)}. The rows that break most:{_worst(looked, bad)}",
        hint="repair the file or the rules, or allow more with max_bad_share",
    )


def _told(findings: Findings) -> str:
    broken = [f for f in findings.findings if f.n_bad and f.severity == "error" and not _is_whole(f)]
    broken.sort(key=lambda finding: -finding.n_bad)
    return "; ".join(f"{f.rule}: {f.n_bad} rows, such as {', '.join(f.examples[:3])}" for f in broken[:N_EXAMPLES])


def _is_whole(finding: Finding) -> bool:
    return finding.check in {cls.__name__ for cls in WholeCheck.__subclasses__()}


def _worst(looked: Looked, bad: np.ndarray[Any, Any]) -> str:
    """The rows that break most rules, of the first thousand."""
    import numpy as np

    first = np.zeros(len(bad), bool)
    first[np.flatnonzero(bad)[:N_WORST_LOOKED_AT]] = True
    rows = quarantined(looked, first).arrow().to_pylist()
    worst = sorted(rows, key=lambda row: -row[REASON].count("; "))[:N_EXAMPLES]
    return "".join(f"\n  {_short(row)}" for row in worst)


def _short(row: dict[str, Any]) -> str:
    values = ", ".join(f"{name}={shown(value)}" for name, value in row.items() if name != REASON)
    return f"{values if len(values) <= 200 else values[:199] + '…'} → {row[REASON]}"


def _refuse_failed(findings: Findings, *, rows_too: bool) -> None:
    """Raise DataError where a check of severity "error" doesn't hold: one of the whole, or any with ``rows_too``."""
    failed = [f for f in findings.findings if f.severity == "error" and not f.passed and (rows_too or _is_whole(f))]
    if not failed:
        return
    told = "; ".join(_failed(finding, findings.n_rows) for finding in failed[:N_EXAMPLES])
    more = f" and {len(failed) - N_EXAMPLES} more" if len(failed) > N_EXAMPLES else ""
    raise DataError(f"{told}{more}", hint=_HINTS.get(failed[0].check, "repair the data, or the rule"))


_HINTS = {"MissingShare": "leave the column out, or allow more"}


def _failed(finding: Finding, n_rows: int) -> str:
    if finding.check == "MissingShare":
        return f"'{finding.rule}' must hold, but {finding.share:.1%} is ({finding.n_bad} of {n_rows} rows)"
    if _is_whole(finding):
        return f"'{finding.rule}' must hold, but got {finding.observed}"
    examples = ", ".join(finding.examples[:3])
    return f"'{finding.rule}' must hold, but {finding.n_bad} rows break it, such as {examples}"
