"""Validate: good rows go on, bad ones are set aside with the reason, and none is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.core.errors import DataError
from headrace.core.step import step
from headrace.formats.table import Table, TableLike
from headrace.steps.checks import TIMES, Check, Finding, Findings, InOrder, IsKind, MissingShare, Unique
from headrace.steps.kinds import Kind, kind_of
from headrace.steps.parsing import as_kind, plain_value
from headrace.steps.rooms import with_repeats
from headrace.steps.tables import collect, need_columns, scan, table_of

if TYPE_CHECKING:
    import narwhals as nw

    Lazy = nw.LazyFrame[Any]

REASON = "reason"
N_EXAMPLES = 5
N_WORST_LOOKED_AT = 1000


class Validated(NamedTuple):
    """What `validate` gives."""

    table: Table
    """The rows that keep all rules, in their order, columns of the kinds that `IsKind` declares."""
    quarantine: Table
    """The other rows as they came, in their order, and a column ``reason`` with the rules they break."""
    findings: Findings
    """What each check found."""


@step
def validate(table: TableLike, checks: Sequence[Check] = (), *, max_bad_share: float = 0.1) -> Validated:
    """Check each row, and set aside those that break a rule.

    Rows in are rows out plus rows set aside, always. Checks look at the values as `IsKind` reads them, so a rule
    about a number can be given for a column that came as text. A row is set aside for any broken rule of severity
    "error"; "warn" only counts. Missing values break `NotMissing` alone; NaN counts as missing; an infinite number
    breaks `InRange`. An empty table passes with nothing found. The table is scanned, never held.

    Parameters
    ----------
    checks
        The rules; see `headrace.steps.checks`.
    max_bad_share
        The share of rows that may be set aside, from 0 to 1. Where more are, something is wrong with the file
        rather than with rows, and the step fails.

    Raises
    ------
    DataError
        A check names a column that isn't there; more rows than ``max_bad_share`` break rules (the five that break
        most are shown); a `MissingShare` of severity "error" doesn't hold; a column is named ``reason``.

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
    in_order = any(isinstance(check, Unique) for check in checks)
    suite = _Suite.compile(scan(table, in_order=in_order), tuple(checks))
    findings = suite.findings()
    _refuse_too_many(suite, findings, max_bad_share)
    _refuse_missing(findings)
    return Validated(table_of(suite.good()), table_of(suite.quarantined()), findings)


@dataclass(frozen=True)
class _Suite:
    """Checks compiled to expressions over one frame: column ``_bad_N`` says which rows break rule N."""

    frame: Lazy
    names: tuple[str, ...]
    checks: tuple[Check, ...]
    read: dict[str, nw.Expr]

    @classmethod
    def compile(cls, frame: Lazy, checks: tuple[Check, ...]) -> _Suite:
        import narwhals as nw

        schema = frame.collect_schema()
        names = tuple(schema)
        if REASON in names:
            raise DataError(
                f"The table has a column {REASON!r}, which the rows set aside need", hint="rename it before"
            )
        for check in checks:
            need_columns(check.columns, names, what=f"The rule '{check.rule}' looks at")
        kinds = {check.column: check.kind for check in checks if isinstance(check, IsKind)}
        for check in checks:
            _refuse_kind(check, {name: kinds.get(name) or kind_of(schema[name]) for name in check.columns})
        read = {name: as_kind(name, schema[name], kind) for name, kind in kinds.items()}
        looked_at = {name for check in checks for name in check.columns}
        values = {name: nw.col(f"_as_{name}") for name in looked_at}
        if not checks:
            return cls(frame, names, checks, read)
        frame = frame.with_columns(
            *(read.get(name, plain_value(name, schema[name])).alias(f"_as_{name}") for name in sorted(looked_at))
        )
        for number, check in enumerate(checks):
            if isinstance(check, Unique):
                frame = with_repeats(frame, check.key, f"_bad_{number}")
        bad = [
            _violation(check, values).alias(f"_bad_{number}")
            for number, check in enumerate(checks)
            if not isinstance(check, Unique)
        ]
        return cls(frame.with_columns(*bad) if bad else frame, names, checks, read)

    def _blamed(self) -> list[int]:
        """The rules for which a row is set aside."""
        return [
            number
            for number, check in enumerate(self.checks)
            if check.severity == "error" and not isinstance(check, MissingShare)
        ]

    def is_bad(self) -> nw.Expr | None:
        """Say which rows break a rule; None where no rule can be broken."""
        import narwhals as nw

        blamed = [nw.col(f"_bad_{n}") for n in self._blamed()]
        return nw.any_horizontal(*blamed, ignore_nulls=True) if blamed else None

    def good(self) -> Lazy:
        """The rows that break nothing."""
        import narwhals as nw

        is_bad = self.is_bad()
        kept = self.frame if is_bad is None else self.frame.filter(~is_bad)
        return kept.select(
            *(nw.col(f"_as_{name}").alias(name) if name in self.read else nw.col(name) for name in self.names)
        )

    def quarantined(self) -> Lazy:
        """The rows that break something, as they came, with the rules that they break."""
        import narwhals as nw

        is_bad = self.is_bad()
        if is_bad is None:
            return self.frame.head(0).select(*self.names, nw.lit("").alias(REASON))
        rules = [nw.when(nw.col(f"_bad_{n}")).then(nw.lit(self.checks[n].rule)) for n in self._blamed()]
        reason = nw.concat_str(*rules, separator="; ", ignore_nulls=True)
        return self.frame.filter(is_bad).select(*self.names, reason.alias(REASON))

    def findings(self) -> Findings:
        """Count what each check found, in one scan, and fetch examples of what is wrong."""
        import narwhals as nw

        counts = {f"bad_{n}": nw.col(f"_bad_{n}").cast(nw.Int64).sum() for n in range(len(self.checks))}
        is_bad = self.is_bad()
        if is_bad is not None:
            counts["bad"] = is_bad.cast(nw.Int64).sum()
        row = collect(self.frame.select(nw.len().alias("rows"), **counts)).row(0, named=True)
        # DuckDB sums to decimals, and what has no row to null.
        n_rows, n_bad = int(row["rows"]), int(row.get("bad") or 0)
        found = tuple(self._finding(n, check, int(row[f"bad_{n}"] or 0), n_rows) for n, check in enumerate(self.checks))
        return Findings(n_rows, n_rows - n_bad, n_bad, found)

    def _finding(self, number: int, check: Check, n_bad: int, n_rows: int) -> Finding:
        share = n_bad / n_rows if n_rows else 0.0
        name = type(check).__name__
        if isinstance(check, MissingShare):
            n_bad = n_bad if share > check.at_most else 0
            return Finding(check.rule, name, check.columns, check.severity, n_bad, share)
        examples = self._examples(number, check) if n_bad else ()
        return Finding(check.rule, name, check.columns, check.severity, n_bad, share, examples)

    def _examples(self, number: int, check: Check) -> tuple[str, ...]:
        import narwhals as nw

        first = collect(self.frame.filter(nw.col(f"_bad_{number}")).select(*check.columns).head(N_EXAMPLES))
        return tuple(", ".join(_shown(value) for value in row) for row in first.iter_rows())


def _refuse_kind(check: Check, kinds: Mapping[str, Kind | None]) -> None:
    """Raise DataError where a check looks at a column of a kind that it can't compare."""
    wrong = next((name for name, kind in kinds.items() if check.takes and kind not in check.takes), None)
    if wrong is not None:
        raise DataError(
            f"The rule '{check.rule}' is for columns of kind {' or '.join(check.takes)}, "
            f"but {wrong!r} is {kinds[wrong] or 'of no kind that is checked'}",
            hint=f"add IsKind({wrong!r}, {_advised(check)!r}), which sets the rows aside that can't be read so",
        )
    if len(check.takes) > 2 and len({kind in TIMES for kind in kinds.values()}) > 1:
        raise DataError(f"The rule '{check.rule}' compares a time with a number", hint="name two times or two numbers")


def _advised(check: Check) -> Kind:
    return "date" if isinstance(check, InOrder) else check.takes[0]


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value) if isinstance(value, str) else str(value)


def _violation(check: Any, values: dict[str, nw.Expr]) -> nw.Expr:
    import narwhals as nw

    if isinstance(check, IsKind):
        return values[check.column].is_null() & ~nw.col(check.column).is_null()
    if isinstance(check, MissingShare):
        return values[check.column].is_null()
    violation: nw.Expr = check.violation(values)
    return violation


def _refuse_too_many(suite: _Suite, findings: Findings, max_bad_share: float) -> None:
    if findings.n_quarantined <= max_bad_share * findings.n_rows:
        return
    counted = sorted((f for f in findings.findings if f.n_bad and f.severity == "error"), key=lambda f: -f.n_bad)
    rules = "; ".join(f"{f.rule}: {f.n_bad} rows, such as {', '.join(f.examples[:3])}" for f in counted[:N_EXAMPLES])
    rows = collect(suite.quarantined().head(N_WORST_LOOKED_AT))
    worst = sorted(rows.iter_rows(named=True), key=lambda row: -row[REASON].count("; "))[:N_EXAMPLES]
    shown = "".join(f"\n  {_short(row)}" for row in worst)
    share = findings.n_quarantined / findings.n_rows
    raise DataError(
        f"{findings.n_quarantined} of {findings.n_rows} rows ({share:.1%}) break rules, more than "
        f"max_bad_share={max_bad_share!r} allows. {rules}. The rows that break most:{shown}",
        hint="repair the file or the rules, or allow more with max_bad_share",
    )


def _short(row: dict[str, Any]) -> str:
    values = ", ".join(f"{name}={_shown(value)}" for name, value in row.items() if name != REASON)
    return f"{values if len(values) <= 200 else values[:199] + '…'} → {row[REASON]}"


def _refuse_missing(findings: Findings) -> None:
    for finding in findings.findings:
        if finding.check == "MissingShare" and finding.severity == "error" and finding.n_bad:
            raise DataError(
                f"'{finding.rule}' must hold, but {finding.share:.1%} is ({finding.n_bad} of {findings.n_rows} rows)",
                hint="leave the column out, or allow more",
            )
