"""A trained model: a scikit-learn estimator, and the card that says what it takes and how it decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.core.errors import DataError, FormatError
from headrace.steps.kinds import Kind, kind_of
from headrace.steps.parsing import as_kind
from headrace.steps.tables import collect, need_columns, scan
from headrace.steps.targets import Target, Task

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    import polars as pl

    from headrace.formats.table import TableLike


DAY_MILLISECONDS = 86_400_000


@dataclass(frozen=True, slots=True)
class Feature:
    """A column that a model takes, as it was in the training rows."""

    name: str
    kind: Kind
    n_missing: int
    """Training rows without a value."""
    categories: tuple[str, ...] = ()
    """The values of text, sorted; none where there were more than a hundred."""
    low: float | None = None
    high: float | None = None
    """The smallest and largest number; None for text, and where there was no value."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that wasn't given to the model, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model takes, what it says, and how it came about."""

    target: str
    positive: str | None
    negative: str | None
    """The two labels; None where there are more, or none."""
    features: tuple[Feature, ...]
    left_out: tuple[LeftOut, ...]
    threshold: float | None
    """A row is said to be positive where its score is at least this."""
    threshold_by: str | None
    n_rows: int
    n_positive: int | None
    validation: dict[str, float]
    """Metrics on the validation rows, at the threshold."""
    estimator: str
    """The estimator's class and parameters, for a reader."""
    task: Task = "binary"
    labels: tuple[str, ...] = ()
    """All labels of a model of several, sorted."""

    @property
    def asked(self) -> Target:
        """What the model is asked."""
        two = (self.negative, self.positive) if self.task == "binary" else ()
        return Target(self.target, self.task, tuple(label for label in two if label is not None) or self.labels)


class Model:
    """A fitted estimator and its card; one artifact.

    The estimator is a scikit-learn ``Pipeline`` that takes a Polars frame of the card's features: numbers (also days
    and moments, as days since 1970; booleans, as 0 and 1) as 64-bit floats with missing ones as null, text as text.
    It is loaded when it is first used. Only classes of scikit-learn and LightGBM are loaded, and those that `trusting`
    names, never what the file itself says.

    Two models are equal when their cards and archives are.
    """

    __headrace_one_value__: ClassVar[bool] = True
    __slots__ = ("_archive", "_estimator", "_trusts", "card")

    def __init__(
        self,
        estimator: Any = None,
        card: ModelCard | None = None,
        *,
        archive: bytes | None = None,
        trusts: Sequence[type] = (),
    ) -> None:
        if card is None or (estimator is None) == (archive is None):
            raise FormatError("A model is a card and either an estimator or its archive")
        self.card = card
        self._estimator = estimator
        self._archive = archive
        self._trusts = tuple(trusts)

    def trusting(self, *classes: type) -> Model:
        """Give this model with classes of your own that may be loaded in it."""
        return (
            Model(self._estimator, self.card, archive=self._archive, trusts=(*self._trusts, *classes))
            if classes
            else self
        )

    @property
    def estimator(self) -> Any:
        """The estimator, loaded when it is first asked for. Raises FormatError where it holds a class not trusted."""
        if self._estimator is None:
            from headrace.formats.skops_estimator import load

            assert self._archive is not None
            with _own_hint():
                self._estimator = load(self._archive, self._declared())
        return self._estimator

    @property
    def archive(self) -> bytes:
        """The estimator's skops archive: equal bytes for equal estimators."""
        if self._archive is None:
            from headrace.formats.skops_estimator import dump

            with _own_hint():
                self._archive = dump(self._estimator, self._declared())
        return self._archive

    def _declared(self) -> object:
        from typing import Annotated

        from sklearn.base import BaseEstimator

        from headrace.formats.protocol import Trusts

        # A dtype is what SimpleImputer keeps of its columns; making one runs nothing.
        return Annotated[BaseEstimator, Trusts(*self._trusts)]

    def scores(self, table: TableLike) -> np.ndarray[Any, Any]:
        """Give each row's score, in the rows' order: the chance of the positive class, from 0 to 1.

        A model of several labels gives each label's chance (one column a label, in the card's order), and one of
        numbers gives the number itself.

        Missing values and unseen categories are the estimator's business (the ready-made ones take both). Raises
        DataError for a missing column, one of another kind, and infinite numbers where the estimator takes none.
        """
        return score_matrix(self.estimator, self.matrix(table), self.card.task)

    def predict(self, table: TableLike) -> list[str] | list[float]:
        """Give each row's answer, in the rows' order.

        That is the positive label where the score reaches the threshold, of several labels the likeliest (of equals
        the first), or the number.
        """
        scores = self.scores(table)
        if self.card.task == "regression":
            return [float(number) for number in scores]
        labels = self.card.asked.labels
        if self.card.task == "multiclass":
            return [labels[place] for place in scores.argmax(axis=1).tolist()] if len(scores) else []
        return [labels[score >= self.card.threshold] for score in scores.tolist()]

    def matrix(self, table: TableLike) -> pl.DataFrame:
        """Give the features of a table as the estimator takes them; see the class."""
        return read_matrix(table, [(feature.name, feature.kind) for feature in self.card.features])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and (self.card, self.archive) == (other.card, other.archive)

    def __hash__(self) -> int:
        return hash((self.card.target, self.archive))

    def __repr__(self) -> str:
        return f"Model({self.card.estimator}, {len(self.card.features)} features, target {self.card.target!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"card": self.card, "_archive": self.archive, "_estimator": None, "_trusts": self._trusts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


@contextmanager
def _own_hint() -> Iterator[None]:
    """Say of a class that isn't trusted how it is named to these steps."""
    try:
        yield
    except FormatError as error:
        if "may not be loaded" not in error.message:
            raise
        hint = "name your own classes: trusts=(Clipper,), in train and in each step that takes the model"
        raise FormatError(error.message, hint=hint) from error


def read_matrix(table: object, columns: Sequence[tuple[str, Kind]]) -> pl.DataFrame:
    """Read columns as a model takes them. Raises DataError where one isn't there, or is of another kind."""
    import narwhals as nw

    frame = scan(table, in_order=True)
    schema = frame.collect_schema()
    need_columns((name for name, _ in columns), schema, what="The model takes")
    for name, kind in columns:
        _check_kind(name, schema[name], kind)
    selected = [_as_input(name, schema[name], kind).alias(name) for name, kind in columns]
    matrix = collect(frame.select(*selected)) if selected else collect(frame.select(nw.len()))
    return matrix.rechunk()


def _check_kind(name: str, dtype: nw.dtypes.DType, kind: Kind) -> None:
    found = kind_of(dtype)
    numbers = ("integer", "number", "boolean")
    times = ("date", "datetime")
    if found != kind and not any(found in group and kind in group for group in (numbers, times)):
        raise DataError(
            f"The model takes column {name!r} as {kind}, but it is {dtype}",
            hint="give it the kind that it had in training: validate's IsKind does",
        )


def _as_input(name: str, dtype: nw.dtypes.DType, kind: Kind) -> nw.Expr:
    import narwhals as nw

    if kind == "text":
        return nw.col(name).cast(nw.String)
    if kind in ("date", "datetime"):
        # Whole days since 1970, exact, and the time of day by a product: not all divide by a constant alike.
        milliseconds = nw.col(name).cast(nw.Datetime("us")).dt.timestamp("ms")
        days = (milliseconds // DAY_MILLISECONDS).cast(nw.Float64)
        return days + (milliseconds % DAY_MILLISECONDS).cast(nw.Float64) * (1 / DAY_MILLISECONDS)
    return as_kind(name, dtype, "number")


def score_matrix(estimator: Any, matrix: pl.DataFrame, task: Task = "binary") -> np.ndarray[Any, Any]:
    """Give each row's score, as `Model.scores` does: two labels are encoded as 0 and 1, more as their numbers."""
    import numpy as np
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if len(matrix) == 0:
        return np.empty((0, len(estimator.classes_)) if task == "multiclass" else 0)
    # Linear algebra on several threads adds in another order; trees on several threads don't add across rows.
    with threadpool_limits(limits=1, user_api="blas"):
        found = estimator.predict(matrix) if task == "regression" else estimator.predict_proba(matrix)
    scores = np.asarray(found, dtype=np.float64)
    return scores[:, 1] if task == "binary" else scores
