"""Estimators for tables as they come: numbers and text side by side, values missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from headrace.core.errors import DataError, near_miss

if TYPE_CHECKING:
    from headrace.steps.model import Feature
    from headrace.steps.targets import Task

Recipe = Literal["boosting", "linear"]
"""A ready-made estimator by name.

``"boosting"``: scikit-learn's histogram gradient boosting, categories as such, in small trees and steps (15 leaves,
rate 0.05), stopped when 30 more trees bring nothing on the validation rows, at 1,000 at the latest.
``"linear"``: logistic regression on one-hot categories and standardised numbers, missing ones replaced by the median.
Where a number is predicted, the same boosting by squared error, and ridge regression.
"""

RECIPES = ("boosting", "linear")
MOST_CATEGORIES = 254
"""Histogram gradient boosting takes 255 categories in a column; beyond that the rarest are grouped."""

MOST_COLUMNS_OF_ONE = 100
"""One-hot columns that one text column becomes, at most: the rarest categories share one."""


def estimator_for(chosen: object, task: Task = "binary") -> Any:
    """Make the estimator of a recipe, or copy one that was given, unfitted.

    Raises DataError for an unknown recipe, and for what can't be fitted, gives no chances (``predict_proba``) where
    labels are predicted, or is a classifier where numbers are.
    """
    from sklearn.base import clone, is_classifier

    if isinstance(chosen, str):
        return _made(chosen, task)
    if isinstance(chosen, type) or not hasattr(chosen, "fit"):
        raise DataError(
            f"An estimator has a fit method, but got {chosen!r}", hint="give an instance, such as LogisticRegression()"
        )
    if task == "regression" and is_classifier(chosen):
        raise DataError(
            f"{type(chosen).__name__} predicts labels, but the task is 'regression'",
            hint="give a regressor, or another task",
        )
    if task != "regression" and not hasattr(type(chosen), "predict_proba") and not hasattr(chosen, "predict_proba"):
        raise DataError(
            f"{type(chosen).__name__} gives no chances (predict_proba), so it can have no threshold",
            hint="wrap it in sklearn.calibration.CalibratedClassifierCV",
        )
    return clone(chosen)


def _made(name: str, task: Task) -> Any:
    if name == "boosting":
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        boosting = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
        return boosting(learning_rate=0.05, max_iter=1000, max_leaf_nodes=15, early_stopping=True, n_iter_no_change=30)
    if name == "linear":
        from sklearn.linear_model import LogisticRegression, Ridge

        return Ridge() if task == "regression" else LogisticRegression(max_iter=2000)
    raise DataError(f"There is no recipe {name!r}", hint=near_miss(name, RECIPES) or "give one of them or an estimator")


def with_seed(estimator: Any, seed: int) -> Any:
    """Fix every ``random_state`` that was left open, so that equal data give equal models."""
    open_ones = {
        name: seed for name, value in estimator.get_params(deep=True).items() if _is_seed(name) and value is None
    }
    return estimator.set_params(**open_ones) if open_ones else estimator


def _is_seed(name: str) -> bool:
    return name == "random_state" or name.endswith("__random_state")


def takes_frames(estimator: Any) -> bool:
    """Say whether an estimator brings its own encoding: a Pipeline or ColumnTransformer comes first."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    first = estimator.steps[0][1] if isinstance(estimator, Pipeline) else estimator
    return isinstance(first, Pipeline | ColumnTransformer) or isinstance(estimator, Pipeline)


def encoder_for(estimator: Any, features: Sequence[Feature]) -> Any:
    """Make the transformer that turns features into what this kind of estimator is best fed with.

    Trees get categories as whole numbers and keep missing values; all others get one-hot columns and standardised
    numbers. An unseen category is as a missing one for trees, and as the rarest ones for the others.
    """
    from sklearn.compose import ColumnTransformer

    numbers = [feature.name for feature in features if feature.kind != "text"]
    texts = [feature.name for feature in features if feature.kind == "text"]
    if has_own_categories(estimator):
        from sklearn.preprocessing import OrdinalEncoder

        nan = float("nan")
        codes = OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=nan,
            encoded_missing_value=nan,
            max_categories=MOST_CATEGORIES,
        )
        parts = [("text", codes, texts), ("number", "passthrough", numbers)]
    else:
        parts = [("text", _one_hot(), texts), ("number", _scaled(), numbers)]
    return ColumnTransformer([part for part in parts if part[2]], verbose_feature_names_out=False)


def has_own_categories(estimator: Any) -> bool:
    """Say whether an estimator takes whole numbers as categories, and missing values as they are."""
    name = type(estimator).__name__
    return name.startswith(("HistGradientBoosting", "LGBM", "XGB", "CatBoost"))


def _one_hot() -> Any:
    from sklearn.preprocessing import OneHotEncoder

    return OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MOST_COLUMNS_OF_ONE, sparse_output=False)


def _scaled() -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    return Pipeline([("fill", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
