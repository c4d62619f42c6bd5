"""scikit-learn estimators and LightGBM models."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any
from zipfile import ZipFile

import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, SplineTransformer, StandardScaler

from headrace.formats import Trusts
from headrace.formats.lightgbm_model import LightGBMFormat
from headrace.formats.skops_estimator import SkopsFormat
from headrace.testing.formats import FormatContract, digests_of, format_error, stored


def numbers() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    return pd.DataFrame({"a": rng.normal(size=120), "b": rng.normal(size=120)})


def mixed() -> pd.DataFrame:
    words = np.array(["u", "v", "w"])[np.random.default_rng(8).integers(0, 3, 120)]
    return numbers().assign(c=words)


def categories() -> pd.DataFrame:
    return mixed().astype({"c": "category"})


def labels() -> Any:
    noise = np.random.default_rng(9).normal(size=120)
    return np.where(numbers()["a"] + noise > 0, "yes", "no")


class Clipper(TransformerMixin, BaseEstimator):
    """A transformer of a project's own."""

    def __init__(self, low: float = -1.0) -> None:
        self.low = low
        self.seen: set[str] = {"alpha", "beta", "gamma", "delta"}

    def fit(self, X: Any, y: Any = None) -> Clipper:
        self.columns_ = list(X.columns)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> Any:
        return X.clip(lower=self.low)


def shout(X: Any) -> Any:
    return X


def columns() -> ColumnTransformer:
    return ColumnTransformer([("n", StandardScaler(), ["a", "b"]), ("c", OneHotEncoder(), ["c"])])


ESTIMATORS: dict[str, tuple[Callable[[], Any], Callable[[], pd.DataFrame]]] = {
    "columns": (lambda: make_pipeline(columns(), LogisticRegression()), mixed),
    "forest": (lambda: RandomForestClassifier(4, random_state=0), numbers),
    "histogram": (lambda: HistGradientBoostingClassifier(max_iter=4, random_state=0), numbers),
    "histogram on categories": (
        lambda: HistGradientBoostingClassifier(max_iter=4, random_state=0, categorical_features="from_dtype"),
        categories,
    ),
    "boosting": (lambda: GradientBoostingClassifier(n_estimators=3, random_state=0), numbers),
    "calibrated": (lambda: CalibratedClassifierCV(LogisticRegression()), numbers),
    "selected": (lambda: make_pipeline(SelectKBest(k=1), LogisticRegression()), numbers),
    "splines": (lambda: make_pipeline(SplineTransformer(), LogisticRegression()), numbers),
    "ufunc": (lambda: make_pipeline(FunctionTransformer(np.exp), LogisticRegression()), numbers),
    "vote": (
        lambda: VotingClassifier(
            [("a", LogisticRegression()), ("b", RandomForestClassifier(2, random_state=1))], voting="soft"
        ),
        numbers,
    ),
    "lightgbm inside": (
        lambda: make_pipeline(
            StandardScaler(), lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1)
        ).set_output(transform="pandas"),
        numbers,
    ),
    "own": (lambda: make_pipeline(Clipper(), LogisticRegression()), numbers),
}


def fitted(name: str) -> tuple[Any, pd.DataFrame]:
    make, data = ESTIMATORS[name]
    return make().fit(data(), labels()), data()


def declared_for(name: str) -> Any:
    made = type(ESTIMATORS[name][0]())
    return Annotated[made, Trusts(Clipper)] if name == "own" else made


class TestSkopsContract(FormatContract):
    format = SkopsFormat()
    wrong = (
        3,
        LogisticRegression,
        "A value of type 'sklearn.linear_model._logistic.LogisticRegression' is declared, but got a",
    )

    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        made: list[tuple[object, object]] = [(fitted(name)[0], declared_for(name)) for name in ESTIMATORS]
        return [*made, (LogisticRegression(C=0.5), BaseEstimator), (Clipper(), Clipper)]

    def equal(self, one: Any, other: Any) -> bool:
        if repr(one) != repr(other):
            return False
        if not hasattr(one, "predict_proba") or not hasattr(other, "classes_"):
            return bool(one.get_params(deep=False) == other.get_params(deep=False))
        with_words = categories() if isinstance(one, HistGradientBoostingClassifier) else mixed()
        data = numbers() if one.n_features_in_ == 2 else with_words
        return bool(np.array_equal(one.predict_proba(data), other.predict_proba(data)))


def classifier(**options: Any) -> Any:
    return lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, **options)


def early_stopped() -> Any:
    model = lightgbm.LGBMClassifier(n_estimators=50, verbose=-1, n_jobs=1)
    data, target = categories(), (labels() == "yes").astype(int)
    stop = lightgbm.early_stopping(2, verbose=False)
    return model.fit(data[:80], target[:80], eval_X=data[80:], eval_y=target[80:], callbacks=[stop])


class TestLightGBMContract(FormatContract):
    format = LightGBMFormat()
    wrong = (3, lightgbm.Booster, "A value of type 'lightgbm.basic.Booster' is declared, but got a builtins.int")

    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        model = classifier().fit(categories(), labels())
        return [
            (model, lightgbm.LGBMClassifier),
            (model.booster_, lightgbm.Booster),
            (lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(numbers(), numbers()["a"]), lightgbm.LGBMRegressor),
            (lightgbm.LGBMClassifier(num_leaves=3), lightgbm.LGBMClassifier),
            (early_stopped(), lightgbm.LGBMClassifier),
        ]

    def equal(self, one: Any, other: Any) -> bool:
        if isinstance(one, lightgbm.Booster):
            data = categories() if one.num_feature() == 3 else numbers()
            return (
                bool(np.array_equal(one.predict(data), other.predict(data)))
                and one.best_iteration == other.best_iteration
            )
        if one.get_params() != other.get_params() or not hasattr(one, "fitted_"):
            return bool(one.get_params() == other.get_params())
        data = categories() if one.n_features_in_ == 3 else numbers()
        return bool(
            np.array_equal(one.predict(data), other.predict(data))
            and one.best_iteration_ == other.best_iteration_
            and one.evals_result_ == other.evals_result_
            and list(one.feature_name_) == list(other.feature_name_)
            and np.array_equal(getattr(one, "classes_", []), getattr(other, "classes_", []))
        )


@pytest.mark.parametrize("name", ESTIMATORS)
def test_predictions_are_equal_to_the_last_bit(name: str) -> None:
    model, data = fitted(name)
    with stored(SkopsFormat(), model, declared_for(name)) as files:
        loaded: Any = SkopsFormat().load(files, declared_for(name))
    assert np.array_equal(loaded.predict_proba(data), model.predict_proba(data))


def test_two_fits_have_equal_bytes() -> None:
    for name in ("forest", "columns", "own"):
        one, other = fitted(name)[0], fitted(name)[0]
        assert digests_of(SkopsFormat(), one, declared_for(name)) == digests_of(
            SkopsFormat(), other, declared_for(name)
        )


def test_other_parameters_have_other_bytes() -> None:
    one, other = LogisticRegression(C=1.0), LogisticRegression(C=2.0)
    assert digests_of(SkopsFormat(), one, LogisticRegression) != digests_of(SkopsFormat(), other, LogisticRegression)


def test_the_order_in_which_attributes_were_set_leaves_no_trace() -> None:
    one, other = Clipper(), Clipper()
    one.first, one.second = 1, 2  # type: ignore[attr-defined]
    other.second, other.first = 2, 1  # type: ignore[attr-defined]
    assert digests_of(SkopsFormat(), one, Clipper) == digests_of(SkopsFormat(), other, Clipper)


def test_one_object_in_two_places_stays_one() -> None:
    shared = StandardScaler()
    pipeline = Pipeline([("a", shared), ("b", shared)])
    apart = Pipeline([("a", StandardScaler()), ("b", StandardScaler())])
    with stored(SkopsFormat(), pipeline, Pipeline) as files:
        loaded: Any = SkopsFormat().load(files, Pipeline)
        assert loaded.steps[0][1] is loaded.steps[1][1]
        assert digests_of(SkopsFormat(), apart, Pipeline) != digests_of(SkopsFormat(), pipeline, Pipeline)
    with stored(SkopsFormat(), apart, Pipeline) as files:
        loaded = SkopsFormat().load(files, Pipeline)
        assert loaded.steps[0][1] is not loaded.steps[1][1]


def test_sparse_matrices_inside_have_no_time() -> None:
    one, other = Clipper(), Clipper()
    one.matrix = sparse.csr_matrix(np.eye(3))  # type: ignore[attr-defined]
    other.matrix = sparse.csr_matrix(np.eye(3))  # type: ignore[attr-defined]
    first = digests_of(SkopsFormat(), one, Clipper)
    with stored(SkopsFormat(), other, Clipper) as files:
        with ZipFile(files["estimator.skops"]) as archive:
            inner = ZipFile(BytesIO(archive.read("0.npz")))
            assert {entry.date_time for entry in inner.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        loaded: Any = SkopsFormat().load(files, Clipper)
    assert (loaded.matrix.toarray() == np.eye(3)).all()
    assert digests_of(SkopsFormat(), other, Clipper) == first


def test_an_estimator_of_the_projects_own_inside_another_must_be_named(tmp_path: Path) -> None:
    model, _ = fitted("own")
    error = format_error(lambda: SkopsFormat().save(model, tmp_path, Pipeline))
    assert (
        error.message
        == f"A value declared 'sklearn.pipeline.Pipeline' holds '{__name__}.Clipper', which may not be loaded"
    )
    assert str(error.hint).startswith("name it in the annotation, such as Annotated[Pipeline, Trusts(Clipper)]")
    by_path = Annotated[Pipeline, Trusts(f"{__name__}:Clipper")]
    with stored(SkopsFormat(), model, by_path) as files:
        assert isinstance(SkopsFormat().load(files, by_path), Pipeline)
        error = format_error(lambda: SkopsFormat().load(files, Pipeline))
        assert f"'{__name__}.Clipper', which may not be loaded" in error.message


def archive_of(value: Any, folder: Path) -> dict[str, Path]:
    path = folder / "estimator.skops"
    skops.io.dump(value, path)
    return {"estimator.skops": path}


def rewrite(path: Path, old: str, new: str) -> None:
    with ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    text = members["schema.json"].decode()
    assert old in text
    members["schema.json"] = text.replace(old, new).encode()
    with ZipFile(path, "w") as target:
        for name, data in members.items():
            target.writestr(name, data)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "system"),
        (eval, "builtins.eval"),
        (shout, "shout"),
        (np.load, "numpy.load"),
        (json.loads, "json.loads"),
    ],
)
def test_a_file_cannot_bring_functions(function: Any, name: str, tmp_path: Path) -> None:
    files = archive_of(FunctionTransformer(function), tmp_path)
    error = format_error(lambda: SkopsFormat().load(files, FunctionTransformer))
    assert f"{name}', which may not be loaded" in error.message


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("sklearn.datasets._base", "load_files"),
        ("sklearn.utils._bunch", "nothing"),
        ("sklearn.utils.fixes", "sp_version"),
        ("sklearn.utils", "metadata"),
        ("subprocess", "Popen"),
        ("sklearn.externals.array_api_extra", "at"),
    ],
)
def test_a_file_cannot_name_other_classes(module: str, name: str, tmp_path: Path) -> None:
    files = archive_of(make_pipeline(StandardScaler()), tmp_path)
    rewrite(files["estimator.skops"], '"StandardScaler",', f'"{name}",')
    rewrite(files["estimator.skops"], "sklearn.preprocessing._data", module)
    error = format_error(lambda: SkopsFormat().load(files, Pipeline))
    assert f"'{module}.{name}', which may not be loaded" in error.message


def test_a_file_cannot_have_a_function_called(tmp_path: Path) -> None:
    files = archive_of(make_pipeline(FunctionTransformer(np.exp)), tmp_path)
    call = {
        "__class__": "scale",
        "__module__": "sklearn.preprocessing._data",
        "__loader__": "ConstructorFromReduceNode",
    }
    empty = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": []}
    with ZipFile(files["estimator.skops"]) as source:
        schema = json.loads(source.read("schema.json"))
    schema["content"]["content"]["verbose"] = {**call, "content": empty}
    with ZipFile(files["estimator.skops"], "w") as target:
        target.writestr("schema.json", json.dumps(schema))
    error = format_error(lambda: SkopsFormat().load(files, Pipeline))
    assert "'sklearn.preprocessing._data.scale', which may not be loaded" in error.message


def test_another_estimator_than_declared_is_refused(tmp_path: Path) -> None:
    with stored(SkopsFormat(), StandardScaler(), StandardScaler) as files:
        error = format_error(lambda: SkopsFormat().load(files, LogisticRegression | Pipeline))
    assert error.message == (
        "A value of type 'sklearn.linear_model._logistic.LogisticRegression | sklearn.pipeline.Pipeline' is declared, "
        "but got a sklearn.preprocessing._data.StandardScaler"
    )


def test_what_skops_cannot_store_is_refused(tmp_path: Path) -> None:
    error = format_error(lambda: SkopsFormat().save(Birch(), tmp_path, Birch))
    assert error.message == (
        "The estimator 'sklearn.cluster._birch.Birch' can't be stored: Objects of type Birch are not supported yet."
    )
    assert str(error.hint).startswith("keep only parameters, arrays and estimators in its attributes")


def test_threads_of_the_fit_leave_no_trace() -> None:
    one, other = classifier(n_jobs=1).fit(numbers(), labels()), classifier(n_jobs=2).fit(numbers(), labels())
    kind = lightgbm.Booster
    assert digests_of(LightGBMFormat(), one.booster_, kind) == digests_of(LightGBMFormat(), other.booster_, kind)
    with stored(LightGBMFormat(), other, lightgbm.LGBMClassifier) as files:
        loaded: Any = LightGBMFormat().load(files, ClassifierMixin)
        assert loaded.n_jobs == 2
        assert "[num_threads: 0]" in files["model.txt"].read_text()


def test_a_lightgbm_model_goes_on_where_it_was() -> None:
    model = early_stopped()
    assert 0 < model.best_iteration_ < 50
    with stored(LightGBMFormat(), model, lightgbm.LGBMClassifier) as files:
        loaded: Any = LightGBMFormat().load(files, BaseEstimator)
        assert loaded.best_iteration_ == model.best_iteration_
        assert loaded.best_score_ == model.best_score_
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            more = clone(loaded).set_params(n_estimators=2).fit(categories(), labels() == "yes", init_model=loaded)
        assert more.booster_.num_trees() == loaded.booster_.num_trees() + 2
        text = files["model.txt"].read_text()
    assert lightgbm.Booster(model_str=text).num_trees() == loaded.booster_.num_trees()


class Boosted(lightgbm.LGBMClassifier):
    """A subclass."""


def test_a_subclass_of_lightgbms_is_refused(tmp_path: Path) -> None:
    error = format_error(lambda: LightGBMFormat().save(Boosted(), tmp_path, lightgbm.LGBMClassifier))
    assert error.message == f"A {__name__}.Boosted is no model class of LightGBM's own"


def loss(y: Any, prediction: Any) -> Any:
    return prediction - y, np.ones_like(y)


def test_an_objective_of_ones_own_is_refused(tmp_path: Path) -> None:
    model = lightgbm.LGBMRegressor(objective=loss)
    error = format_error(lambda: LightGBMFormat().save(model, tmp_path, lightgbm.LGBMRegressor))
    assert f"holds '{__name__}.loss', which may not be loaded" in error.message
