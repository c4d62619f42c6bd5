"""Train: an estimator fitted on the training rows, its threshold chosen on the validation rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from headrace.core.errors import DataError
from headrace.core.step import step
from headrace.formats.table import TableLike
from headrace.steps.kinds import Kind, kind_of
from headrace.steps.metrics import best_threshold
from headrace.steps.model import Feature, LeftOut, Model, ModelCard, read_matrix, score_matrix
from headrace.steps.recipes import encoder_for, estimator_for, has_own_categories, takes_frames, with_seed
from headrace.steps.scoring import measured
from headrace.steps.tables import need_columns, scan
from headrace.steps.targets import Target, Task

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    Array = np.ndarray[Any, Any]

ThresholdBy = Literal["f1", "accuracy", "balanced_accuracy"]
"""What the threshold is best by."""

MOST_LISTED = 100
"""Categories that a card lists, at most."""

SEED = 0


@step(outputs={"output": "headrace.steps.model_format:ModelFormat"})
def train(
    train: TableLike,
    validation: TableLike,
    *,
    target: str,
    positive: str | None = None,
    task: Task = "binary",
    estimator: object = "boosting",
    exclude: Sequence[str] = (),
    threshold_by: ThresholdBy = "f1",
    n_threads: int = 1,
    trusts: Sequence[type] = (),
) -> Model:
    """Fit a model of two labels, several or a number; choose the threshold on rows that it wasn't fitted on.

    All that is learned (medians, scales, categories, trees) is learned on the training rows; the validation rows
    decide the threshold and, for boosting, when to stop. Missing values and categories unseen in training are fine
    with the recipes; infinite numbers are refused. Both tables are read into memory.

    These columns are left out, and the card says why: ``exclude``; columns with one value or none; text of which more
    than half of the values differ (names, keys); lists and other kinds that no estimator takes.

    Equal tables give equal models: seeds left open in the estimator are fixed.

    Parameters
    ----------
    train, validation
        The rows, with label. Tables of the same columns.
    target
        The column with the label: text, booleans or whole numbers. For a regression, numbers.
    positive
        Of two labels the one whose chance the score is, as text (``"true"`` for a boolean). Not for other tasks.
    task
        ``"binary"``: two labels, told apart by a threshold; ``"multiclass"``: two labels or more, of which the
        likeliest is said; ``"regression"``: a number.
    estimator
        ``"boosting"``, ``"linear"`` (see `headrace.steps.recipes.Recipe`), or an estimator of scikit-learn's kind with
        ``predict_proba`` (for numbers, a regressor). A ``Pipeline`` or ``ColumnTransformer`` is given the features as a
        Polars frame; another estimator gets them encoded: categories as whole numbers for gradient boosting, else
        one-hot and standardised.
    exclude
        Columns that aren't features: keys, dates of the split, what is known only afterwards.
    threshold_by
        What the threshold is best by on the validation rows.
    n_threads
        Threads for fitting, 1 or more. It is part of the plan and not taken from the machine, because sums of
        floats, and with them the last digits of a model, depend on it.
    trusts
        Classes of your own inside the estimator; see `Model`.

    Raises
    ------
    DataError
        The target isn't there (the nearest column is named), lacks labels, hasn't two or isn't numbers; ``positive``
        isn't one of the labels; the validation rows have others than the training rows; an excluded column isn't
        there; no feature is left; a number is infinite; the estimator can't be fitted.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"age": [20.0, 30.0, 60.0, 70.0] * 25, "left": ["no", "no", "yes", "yes"] * 25})
    >>> model = train(rows, rows, target="left", positive="yes", estimator="linear")
    >>> model.predict(pl.DataFrame({"age": [25.0, 65.0]})), 30 < 60 * model.card.threshold + 15 < 60
    (['no', 'yes'], True)
    """
    need_columns([target], scan(train).collect_schema(), what="The target is")
    asked, answers = Target.learned(train, target, task, positive)
    validation_answers = asked.answers(validation)
    features, left_out = choose_features(train, target, exclude)
    columns = [(feature.name, feature.kind) for feature in features]
    matrix = read_matrix(train, columns)
    validation_matrix = read_matrix(validation, columns)
    for frame in (matrix, validation_matrix):
        _refuse_infinite(frame)
    # Made before threads are limited: only libraries that are loaded by then keep to it.
    unfitted = with_seed(estimator_for(estimator, task), SEED)
    with _threads(n_threads):
        fitted = _fit(unfitted, features, (matrix, answers), (validation_matrix, validation_answers))
        scores = score_matrix(fitted, validation_matrix, task)
    is_binary = task == "binary"
    threshold = best_threshold(validation_answers, scores, threshold_by) if is_binary else None
    card = ModelCard(
        target=target,
        positive=positive,
        negative=asked.labels[0] if is_binary else None,
        features=features,
        left_out=left_out,
        threshold=threshold,
        threshold_by=threshold_by if is_binary else None,
        n_rows=len(answers),
        n_positive=int(answers.sum()) if is_binary else None,
        validation=measured(asked, validation_answers, scores, threshold),
        estimator=_described(fitted),
        task=task,
        labels=() if is_binary else asked.labels,
    )
    model = Model(fitted, card).trusting(*trusts)
    _ = model.archive  # what couldn't be stored is refused here, where the estimator is named
    return model


def choose_features(
    table: object, target: str, exclude: Sequence[str]
) -> tuple[tuple[Feature, ...], tuple[LeftOut, ...]]:
    """Say which columns a model takes, and why not the others. Raises DataError where none is left."""
    import polars as pl

    frame = scan(table)
    schema = frame.collect_schema()
    need_columns(exclude, schema, what="exclude= names")
    if target in exclude:
        raise DataError(f"The target {target!r} can't be excluded", hint="take it out of exclude=")
    kinds: dict[str, Kind] = {}
    left_out: list[LeftOut] = []
    for name, dtype in schema.items():
        kind = kind_of(dtype)
        if name == target:
            continue
        if name in exclude:
            left_out.append(LeftOut(name, "excluded"))
        elif kind is None:
            left_out.append(LeftOut(name, f"no estimator takes {dtype}"))
        else:
            kinds[name] = kind
    matrix = read_matrix(table, list(kinds.items())) if kinds else pl.DataFrame()
    features = []
    for name, kind in kinds.items():
        reason = _useless(matrix[name], kind)
        if reason:
            left_out.append(LeftOut(name, reason))
        else:
            features.append(_feature(matrix[name], kind))
    if not features:
        raise DataError(
            f"No column is left as a feature beside the target {target!r}: "
            + ", ".join(f"{item.name!r} ({item.reason})" for item in left_out[:8]),
            hint="exclude less, or add columns",
        )
    return tuple(features), tuple(left_out)


def _useless(values: pl.Series, kind: Kind) -> str | None:
    """Say why a column can't help, if so."""
    present = values.drop_nulls()
    n_unique = present.n_unique()
    if not n_unique:
        return "no value"
    if n_unique == 1 and len(present) == len(values):
        return f"one value, {present[0]!r}"
    if kind == "text" and len(present) >= 20 and n_unique > len(present) / 2:
        return f"{n_unique} different values in {len(present)} rows: a name or key"
    return None


def _feature(values: pl.Series, kind: Kind) -> Feature:
    if kind == "text":
        found = sorted(values.drop_nulls().unique().to_list())
        return Feature(values.name, kind, values.null_count(), tuple(found) if len(found) <= MOST_LISTED else ())
    low, high = values.min(), values.max()
    return Feature(values.name, kind, values.null_count(), (), _number(low), _number(high))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _refuse_infinite(matrix: pl.DataFrame) -> None:
    import polars as pl
    import polars.selectors as cs

    counts = matrix.select(cs.float().is_infinite().sum())
    for name, n in counts.row(0, named=True).items() if counts.width else ():
        if n:
            first = matrix.select(pl.col(name).is_infinite().arg_max()).item()
            raise DataError(
                f"{n} values of column {name!r} are infinite, the first in row {first + 1}",
                hint=f"set them aside with InRange({name!r}, …), or hold them with Limit in preprocess",
            )


def _threads(n_threads: int) -> Any:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if n_threads < 1:
        raise DataError(f"n_threads >= 1 must hold, but got n_threads={n_threads!r}")
    return threadpool_limits(limits=n_threads)


def _fit(
    estimator: Any,
    features: Sequence[Feature],
    train: tuple[pl.DataFrame, Array],
    validation: tuple[pl.DataFrame, Array],
) -> Any:
    """Fit an estimator; what comes back takes a frame of the features."""
    from sklearn.pipeline import Pipeline

    matrix, labels = train
    try:
        if takes_frames(estimator):
            return estimator.fit(matrix, labels)
        encoder = encoder_for(estimator, features)
        encoded = encoder.fit_transform(matrix)
        more: dict[str, Any] = {}
        if has_own_categories(estimator) and type(estimator).__name__.startswith("HistGradientBoosting"):
            n_texts = sum(feature.kind == "text" for feature in features)
            estimator = estimator.set_params(categorical_features=list(range(n_texts)))
            if estimator.early_stopping is True:
                more = {"X_val": encoder.transform(validation[0]), "y_val": validation[1]}
        estimator.fit(encoded, labels, **more)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{_described(estimator)} can't be fitted to {len(matrix)} rows with {len(features)} features: {error}",
            hint="the estimator's own message is above; the recipes 'boosting' and 'linear' take any table",
        ) from error
    return Pipeline([("encode", encoder), ("model", estimator)])


def _described(estimator: Any) -> str:
    """Name an estimator and the parameters that aren't its defaults, on one line."""
    from sklearn.pipeline import Pipeline

    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    return " ".join(repr(last).split())
