"""What text columns hold: decided on the whole file, so that the answer depends on no sample and no batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.core.errors import DataError
from headrace.steps.kinds import Kind, polars_type

if TYPE_CHECKING:
    import polars as pl

CANDIDATES: tuple[Kind, ...] = ("integer", "number", "boolean", "date", "datetime")
"""In the order in which they are preferred; text is what is left."""

N_SHOWN = 5


@dataclass
class Inference:
    """Collects, batch by batch, what each column can still be."""

    columns: tuple[str, ...]
    declared: Mapping[str, Kind] = field(default_factory=dict)
    n_rows: int = 0
    n_present: dict[str, int] = field(default_factory=dict)
    open_kinds: dict[str, list[Kind]] = field(default_factory=dict)
    misfits: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    n_misfits: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.n_present = dict.fromkeys(self.columns, 0)
        self.open_kinds = {name: list(CANDIDATES) for name in self.columns if name not in self.declared}
        checked = [name for name, kind in self.declared.items() if kind != "text"]
        self.misfits = {name: [] for name in checked}
        self.n_misfits = dict.fromkeys(checked, 0)

    def add(self, batch: pl.DataFrame) -> None:
        """Look at the next rows."""
        import polars as pl

        present = batch.select(pl.all().count()).row(0)
        for name, n in zip(batch.columns, present, strict=True):
            self.n_present[name] += n
        tests = {
            f"{kind} {name}": _reads_as(name, kind).all() for name, kinds in self.open_kinds.items() for kind in kinds
        }
        if tests:
            holds = batch.select(**tests).row(0, named=True)
            for name, kinds in self.open_kinds.items():
                self.open_kinds[name] = [kind for kind in kinds if holds[f"{kind} {name}"]]
        for name in self.misfits:
            self._add_misfits(batch, name)
        self.n_rows += len(batch)

    def _add_misfits(self, batch: pl.DataFrame, name: str) -> None:
        misfits = ~_reads_as(name, self.declared[name], strictly=False)
        bad = batch.select(name).with_row_index(f"row of {name}").filter(misfits)
        self.n_misfits[name] += len(bad)
        room = N_SHOWN - len(self.misfits[name])
        self.misfits[name] += [(self.n_rows + row + 1, text) for row, text in bad.head(room).iter_rows()]

    def kinds(self) -> dict[str, Kind]:
        """Give each column's kind: what was declared, else the first that all its values can be read as.

        A column without any value is text. Raises DataError where values don't read as was declared.
        """
        for name, examples in self.misfits.items():
            if examples:
                raise _misfit(name, self.declared[name], self.n_misfits[name], examples)
        found: dict[str, Kind] = {}
        for name in self.columns:
            kinds = self.open_kinds.get(name, [])
            found[name] = self.declared.get(name) or (kinds[0] if kinds and self.n_present[name] else "text")
        return found


def _misfit(name: str, kind: Kind, n: int, examples: Sequence[tuple[int, str]]) -> DataError:
    shown = ", ".join(f"{text!r} (row {row})" for row, text in examples)
    return DataError(
        f"{n} values of column {name!r} aren't {kind}, as declared: {shown}" + (" …" if n > len(examples) else ""),
        hint=f"add their spelling to missing=, or leave the column as text and let validate set the rows "
        f"aside with IsKind({name!r}, {kind!r})",
    )


def _reads_as(name: str, kind: Kind, *, strictly: bool = True) -> pl.Expr:
    """Say which values can be read as a kind; missing ones can.

    ``strictly`` is for guessing: numbers with leading zeros and whole numbers too long for a float are identifiers
    then, not numbers.
    """
    import polars as pl

    text = pl.col(name)
    fits = converted(name, kind).is_not_null() | text.is_null()
    if kind == "number":
        fits = fits | text.str.to_lowercase().is_in(["nan", "+nan", "-nan"])
    if strictly and kind in ("integer", "number"):
        fits = fits & ~text.str.contains(r"^[+-]?(0\d|\d{16,}$)").fill_null(False)
    return fits


def converted(name: str, kind: Kind) -> pl.Expr:
    """Read a text column as a kind; what can't be read is null, and so is a NaN."""
    import polars as pl

    text = pl.col(name)
    if kind == "text":
        return text
    if kind == "boolean":
        low = text.str.to_lowercase()
        return pl.when(low == "true").then(True).when(low == "false").then(False).alias(name)
    if kind == "date":
        return text.str.to_date("%Y-%m-%d", strict=False)
    if kind == "datetime":
        return _moment(text).alias(name)
    number = text.cast(polars_type(kind), strict=False)
    return number.fill_nan(None) if kind == "number" else number


def _moment(text: pl.Expr) -> pl.Expr:
    """Read ISO 8601 moments. One with an offset is turned into UTC; one without is taken as it stands."""
    import polars as pl

    iso = text.str.replace(" ", "T", literal=True)
    plain = [
        iso.str.to_datetime(form, time_unit="us", strict=False) for form in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
    ]
    zoned = iso.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False).dt.replace_time_zone(None)
    return pl.coalesce(*plain, zoned, text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")))


def infer(batches: Iterable[pl.DataFrame], columns: Sequence[str], declared: Mapping[str, Kind]) -> Inference:
    """Look at all batches of text columns."""
    inference = Inference(tuple(columns), dict(declared))
    for batch in batches:
        inference.add(batch)
    return inference
