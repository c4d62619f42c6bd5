"""What a model is asked: which column, as what kind of answer, and how a table's answers are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from headrace.core.errors import DataError, near_miss
from headrace.steps.kinds import Kind, kind_of
from headrace.steps.tables import collect, need_columns, scan

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    Array = np.ndarray[Any, Any]

Task = Literal["binary", "multiclass", "regression"]
"""What a model says: one of two labels by a threshold, the likeliest of two or more labels, or a number."""

TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True, slots=True)
class Target:
    """The column that a model predicts, and the answers that there are."""

    column: str
    task: Task
    labels: tuple[str, ...] = ()
    """The negative and the positive label; all labels, sorted; none for a number."""

    @classmethod
    def learned(cls, table: object, column: str, task: Task, positive: str | None) -> tuple[Target, Array]:
        """Find the answers in training rows; give them with the rows'. Raises DataError as `answers` does."""
        if task not in TASKS:
            raise DataError(f"There is no task {task!r}", hint=near_miss(task, TASKS) or f"one of {', '.join(TASKS)}")
        if (positive is None) == (task == "binary"):
            wanted = "needs to know which label is positive" if positive is None else "has no positive label"
            raise DataError(
                f"A model for the task {task!r} {wanted}",
                hint="give positive=, or task='multiclass' or 'regression'" if positive is None else "leave it out",
            )
        if task == "binary":
            assert positive is not None
            answers, negative = labels_of(table, column, positive)
            return cls(column, task, (negative, positive)), answers
        if task == "regression":
            return cls(column, task), numbers_of(table, column)
        found = sorted(_label_column(table, column).unique().to_list())
        if len(found) < 2:
            raise _wrong_labels(column, found, [], "two labels or more")
        target = cls(column, task, tuple(found))
        return target, target.answers(table)

    def answers(self, table: object) -> Array:
        """Read a table's answers: 0 and 1, the label's number, or the number itself.

        Raises DataError where the column isn't there, an answer is missing, or there are others than in training.
        """
        import numpy as np
        import polars as pl

        if self.task == "regression":
            return numbers_of(table, self.column)
        if self.task == "binary":
            return labels_of(table, self.column, self.labels[1], self.labels[0])[0]
        labels = _label_column(table, self.column)
        if not labels.is_in(list(self.labels)).all():
            raise _wrong_labels(self.column, sorted(labels.unique().to_list()), self.labels)
        places = labels.replace_strict(list(self.labels), list(range(len(self.labels))), return_dtype=pl.Int64)
        return np.asarray(places.to_numpy())


def numbers_of(table: object, column: str) -> Array:
    """Read a table's numbers to predict. Raises DataError where some are missing, infinite, or no numbers."""
    import numpy as np

    values = _column(table, column)
    if kind_of_series(values) not in ("integer", "number"):
        raise DataError(
            f"Column {column!r} must have numbers to be predicted as such, but is {values.dtype}",
            hint=f"check it with IsKind({column!r}, 'number') in validate, or train with task='multiclass'",
        )
    numbers = np.asarray(values.cast(_float()).to_numpy(), dtype=np.float64)
    if n_missing := int(np.isnan(numbers).sum()):
        raise _unanswered(column, n_missing, len(numbers), "value")
    if n_infinite := int(np.isinf(numbers).sum()):
        raise DataError(
            f"{n_infinite} values of column {column!r} are infinite",
            hint=f"set them aside with InRange({column!r}, …) in validate",
        )
    return numbers


def labels_of(table: object, target: str, positive: str, negative: str | None = None) -> tuple[Array, str]:
    """Read a table's labels as 0 and 1, and give the name of the negative one.

    Raises
    ------
    DataError
        The column isn't there; labels are missing; there are other than two (or, with ``negative``, others than these
        two); ``positive`` isn't among them.
    """
    import numpy as np

    labels = _label_column(table, target)
    found = sorted(labels.unique().to_list())
    known = [positive] + ([negative] if negative is not None else [])
    if positive not in found and negative is None:
        raise DataError(f"No row of column {target!r} is {positive!r}", hint=near_miss(positive, found))
    others = [label for label in found if label not in known]
    if negative is None and len(others) == 1:
        return np.asarray((labels == positive).to_numpy(), dtype=np.int64), others[0]
    if others or negative is None:
        raise _wrong_labels(target, found, known)
    return np.asarray((labels == positive).to_numpy(), dtype=np.int64), negative


def as_labels(values: pl.Series) -> pl.Series:
    """Write labels as text: a boolean as true or false, a whole number without a point."""
    import polars as pl

    if values.dtype.is_float() and values.drop_nulls().drop_nans().round(0).equals(values.drop_nulls().drop_nans()):
        values = values.fill_nan(None).cast(pl.Int64)
    return values.cast(pl.String)


def kind_of_series(values: pl.Series) -> Kind | None:
    """Give the kind of a column in memory."""
    import narwhals as nw

    return kind_of(nw.from_native(values, series_only=True).dtype)


def _column(table: object, column: str) -> pl.Series:
    frame = scan(table, in_order=True)
    need_columns([column], frame.collect_schema(), what="The target is")
    return collect(frame.select(column)).to_series()


def _label_column(table: object, column: str) -> pl.Series:
    labels = as_labels(_column(table, column))
    if n_missing := labels.null_count():
        raise _unanswered(column, n_missing, len(labels), "label")
    return labels


def _unanswered(column: str, n_missing: int, n_rows: int, what: str) -> DataError:
    return DataError(
        f"{n_missing} of {n_rows} rows have no {what} in column {column!r}",
        hint=f"leave them out before: preprocess with DropMissing({column!r}), or set them aside with NotMissing",
    )


def _float() -> pl.DataType:
    import polars as pl

    return pl.Float64()


def _wrong_labels(target: str, found: list[str], known: list[str] | tuple[str, ...], needs: str = "") -> DataError:
    shown = _listed(found)
    if len(known) > 1:
        trained = f"{known[0]!r} and {known[1]!r}" if len(known) == 2 else _listed(list(known))
        return DataError(
            f"Column {target!r} has labels {shown}, but the model was trained with {trained}",
            hint="spell them alike in preprocess (Spell, StripEnd)",
        )
    return DataError(
        f"Column {target!r} must have {needs or 'two labels'}, but has {len(found)}: {shown}",
        hint="spell them alike in preprocess (Spell), or name the right column",
    )


def _listed(labels: list[str]) -> str:
    return ", ".join(repr(label) for label in labels[:8]) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")
