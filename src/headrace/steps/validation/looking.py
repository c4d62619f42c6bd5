"""Look at a table with a suite of checks: one scan, and more only for what one scan can't tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from headrace.core.errors import DataError, near_miss
from headrace.formats.table import Table
from headrace.formats.table_rows import PickedRows
from headrace.steps.checks import Check, Finding, ForeignKey, NoDuplicates, Unique, WholeCheck
from headrace.steps.checks.base import Apart, Seen
from headrace.steps.kinds import kind_of
from headrace.steps.parsing import plain_value
from headrace.steps.rooms import is_repeated
from headrace.steps.tables import collect, need_columns, scan
from headrace.steps.validation.compiling import Suite, compiled
from headrace.steps.validation.folding import Folded, Marks, folded
from headrace.steps.validation.repeats import later_ones
from headrace.steps.validation.whole import Facts, whole_finding

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    import pyarrow as pa

    Lazy = nw.LazyFrame[Any]
    Array = np.ndarray[Any, Any]

N_EXAMPLES = 5


@dataclass(frozen=True)
class Looked:
    """What a suite of checks found in a table."""

    table: Table
    suite: Suite
    folded: Folded
    findings: tuple[Finding, ...]

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return self.folded.n_rows

    def rows_that_break(self, number: int) -> Array:
        """A truth value for each row: whether it breaks a check, by the check's number."""
        import numpy as np

        marks = self.folded.marks.get(number)
        return np.zeros(self.n_rows, bool) if marks is None else marks.array()

    @property
    def blamed(self) -> list[int]:
        """The checks for which rows are set aside."""
        return [
            number
            for number, check in enumerate(self.suite.checks)
            if check.severity == "error" and not isinstance(check, WholeCheck)
        ]

    def bad_rows(self) -> Array:
        """A truth value for each row: whether it breaks a check for which it is set aside."""
        import numpy as np

        rows = np.zeros(self.n_rows, bool)
        for number in self.blamed:
            if number in self.folded.marks:
                self.folded.marks[number].into(rows)
        return rows

    def reasons(self, bad: Array) -> pa.Array:
        """The rules that the bad rows break, joined, in the rows' order."""
        import numpy as np
        import pyarrow as pa

        places = np.flatnonzero(bad)
        if len(places) == 0:
            return pa.array([], pa.string())
        blamed = [n for n in self.blamed if n in self.folded.marks and self.folded.marks[n].n_marked]
        broken = np.zeros((len(places), -(-len(blamed) // 8)), np.uint8)
        for place, number in enumerate(blamed):
            broken[:, place // 8] |= self.rows_that_break(number)[places].astype(np.uint8) << (place % 8)
        kinds, which = np.unique(broken, axis=0, return_inverse=True)
        rules = [self.suite.checks[number].rule for number in blamed]
        texts = [
            "; ".join(rule for place, rule in enumerate(rules) if kind[place // 8] >> (place % 8) & 1) for kind in kinds
        ]
        return pa.array(texts, pa.string()).take(pa.array(which.reshape(-1)))


def look(table: object, checks: Sequence[Check], tables: Mapping[str, object] | None = None) -> Looked:
    """Look at a table with all checks, and say of each what it found. Nothing is set aside, nothing fails.

    ``tables`` are the other tables that `ForeignKey` names. Raises DataError for a check that doesn't fit the table,
    or names a table that isn't given.
    """
    handle = Table.of(table)
    frame = scan(handle)
    strays = _strays(frame, checks, tables or {})
    suite = compiled(frame, checks, strays)
    found = folded(suite, strays)
    if suite.scan is None:
        found.n_rows = handle.n_rows
    for number, check in enumerate(checks):
        if isinstance(check, Unique | NoDuplicates):
            found.marks[number] = _repeats(handle, suite, found, number)
        elif isinstance(check, ForeignKey):
            found.marks.setdefault(number, Marks(found.n_rows))
    apart = _apart(handle, checks)
    for number, seen in apart.items():
        if not isinstance(checks[number], WholeCheck):
            found.marks[number] = Marks.of(_at(seen.rows, found.n_rows))
    facts = Facts(suite, found, apart)
    examples = _examples(handle, suite, found)
    findings = tuple(
        whole_finding(number, check, facts)
        if isinstance(check, WholeCheck)
        else _row_finding(number, check, suite, found, examples.get(number, ()))
        for number, check in enumerate(checks)
    )
    return Looked(handle, suite, found, findings)


def _apart(table: Table, checks: Sequence[Check]) -> dict[int, Seen]:
    """Evaluate the checks that take a scan of their own."""
    numbers = [number for number, check in enumerate(checks) if isinstance(check, Apart)]
    if not numbers:
        return {}
    evaluate = cast("Apart", checks[numbers[0]]).evaluate
    return dict(zip(numbers, evaluate(table, [checks[number] for number in numbers]), strict=True))


def _at(rows: Sequence[int], n_rows: int) -> Array:
    import numpy as np

    marked = np.zeros(n_rows, bool)
    marked[np.asarray(rows, np.int64)] = True
    return marked


def _strays(frame: Lazy, checks: Sequence[Check], tables: Mapping[str, object]) -> dict[int, Any]:
    """Find each foreign key's values that don't stand in the other table: usually few or none."""
    found: dict[int, Any] = {}
    for number, check in enumerate(checks):
        if isinstance(check, ForeignKey):
            strays = collect(_anti_joined(frame, check, tables))
            if len(strays):
                found[number] = _eager(strays)
    return found


def _eager(frame: Any) -> Any:
    import narwhals as nw

    return nw.from_native(frame, eager_only=True)


def _anti_joined(frame: Lazy, check: ForeignKey, tables: Mapping[str, object]) -> Lazy:
    import narwhals as nw

    if check.table not in tables:
        raise DataError(
            f"The rule '{check.rule}' names a table {check.table!r}, which isn't given",
            hint=near_miss(check.table, tables) or f"give tables={{{check.table!r}: ...}}",
        )
    other = scan(Table.of(tables[check.table]))
    schema, theirs = frame.collect_schema(), other.collect_schema()
    need_columns(check.looks_at, schema, what=f"The rule '{check.rule}' looks at")
    need_columns(check.theirs, theirs, what=f"The rule '{check.rule}' looks in {check.table!r} at")
    kept = frame
    condition = check.condition
    if condition is not None:
        condition.check({name: kind_of(schema[name]) for name in condition.columns})
        kept = frame.filter(condition.expr({name: plain_value(name, schema[name]) for name in condition.columns}))
    ours, others = [], []
    for name, to in zip(check.columns, check.theirs, strict=True):
        kinds = {kind_of(schema[name]), kind_of(theirs[to])}
        if (len(kinds) > 1 and kinds != {"integer", "number"}) or None in kinds:
            raise DataError(
                f"The rule '{check.rule}' compares {name!r} ({schema[name]}) with {to!r} ({theirs[to]})",
                hint="give both the same type",
            )
        as_what: Any = nw.Float64 if "number" in kinds else nw.Int64 if "integer" in kinds else None
        if kinds == {"text"}:
            as_what = nw.String
        one, two = plain_value(name, schema[name]), plain_value(to, theirs[to])
        ours.append((one if as_what is None else one.cast(as_what)).alias(name))
        others.append((two if as_what is None else two.cast(as_what)).alias(name))
    keys = list(check.columns)
    distinct = kept.select(*ours).drop_nulls().unique()
    return distinct.join(other.select(*others).drop_nulls().unique(), on=keys, how="anti")


def _repeats(table: Table, suite: Suite, found: Folded, number: int) -> Marks:
    """Mark the rows whose key an earlier row has: those with equal hashes are looked at once more."""
    import numpy as np

    rows, hashes = found.hashes[suite.hashes[number]].repeated()
    marked = np.zeros(found.n_rows, bool)
    if len(rows):
        if number in suite.are_exact:
            again = later_ones(hashes)
        else:
            columns = suite.checks[number].columns or tuple(suite.schema)
            keys = rows_of(table, suite, rows, found.n_rows, columns)
            again = is_repeated(keys.select(*(suite.values[name].alias(name) for name in columns)))
        marked[rows[again]] = True
    return Marks.of(marked)


def rows_of(table: Table, suite: Suite, rows: Array, n_rows: int, columns: Sequence[str]) -> Any:
    """Read some rows' columns, in their order, as a small frame in memory."""
    import polars as pl

    return _eager(pl.from_arrow(_picked(table, suite, rows, n_rows, columns)))


def _picked(table: Table, suite: Suite, rows: Array, n_rows: int, columns: Sequence[str]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    mask = np.zeros(n_rows, bool)
    mask[rows] = True
    if not table.paths:
        # DuckDB gives some types back as others: a table that isn't its own is read as it is.
        is_duckdb = type(table.source).__module__.lstrip("_").partition(".")[0] == "duckdb"
        frame = suite.source if is_duckdb else table.scan("polars")
        table = Table.of(frame.select(*columns).to_native())
    picked = PickedRows(table, mask, columns=tuple(columns))
    return pa.concat_tables([picked.schema.empty_table(), *picked.batches()])


def _examples(table: Table, suite: Suite, found: Folded) -> dict[int, tuple[tuple[str, ...], tuple[int, ...]]]:
    """Fetch the first rows that break each rule, each row group once for checks of the same columns."""
    import numpy as np

    wanted = {n: marks.first(N_EXAMPLES) for n, marks in found.marks.items() if marks.n_marked}
    wanted = {n: rows for n, rows in wanted.items() if not isinstance(suite.checks[n], WholeCheck)}
    if not wanted:
        return {}
    columns = tuple(dict.fromkeys(name for n in wanted for name in _shown_columns(suite, n)))
    all_rows = np.unique(np.concatenate(list(wanted.values())))
    values = _picked(table, suite, all_rows, found.n_rows, columns)
    read = {name: values.column(name).to_pylist() for name in columns}
    made = {}
    for number, rows in wanted.items():
        places = np.searchsorted(all_rows, rows)
        names = _shown_columns(suite, number)
        texts = tuple(", ".join(shown(read[name][place]) for name in names) for place in places)
        made[number] = texts, tuple(int(row) for row in rows)
    return made


def _shown_columns(suite: Suite, number: int) -> tuple[str, ...]:
    return suite.checks[number].columns or tuple(suite.schema)[:N_EXAMPLES]


def shown(value: object) -> str:
    """A value in a message."""
    return "missing" if value is None else repr(value) if isinstance(value, str) else str(value)


def _row_finding(number: int, check: Check, suite: Suite, found: Folded, examples: Any) -> Finding:
    marks = found.marks[number]
    over = suite.passed_over.get(number)
    n_looked_at = found.n_rows - (found.n_passed_over[over] if over else 0)
    texts, rows = examples or ((), ())
    kept = (n_looked_at - marks.n_marked) / n_looked_at if n_looked_at else 1.0
    return Finding(
        check.rule,
        type(check).__name__,
        check.columns,
        check.severity,
        marks.n_marked,
        marks.n_marked / found.n_rows if found.n_rows else 0.0,
        texts,
        rows,
        n_looked_at,
        check.mostly,
        f"{n_looked_at - marks.n_marked} of {n_looked_at} rows" if n_looked_at else "no row to look at",
        "every row" if check.mostly == 1 else f"at least {100 * check.mostly:g}% of rows",
        kept,
        kept >= check.mostly,
    )
