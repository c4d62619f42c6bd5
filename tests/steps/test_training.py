"""Models are fitted on training rows alone, and equal rows give equal models."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from headrace.core.errors import DataError, FormatError
from headrace.steps import Model, evaluate, train
from headrace.steps.model_format import ModelFormat
from headrace.steps.registry import model_digest


def fit(people: pl.DataFrame, others: pl.DataFrame, **options: Any) -> Model:
    return train(people, others, **{"target": "left", "positive": "yes", **options})


def labels(frame: pl.DataFrame) -> Any:
    return (frame["left"] == "yes").to_numpy()


@pytest.mark.parametrize(
    "estimator",
    [
        "boosting",
        "linear",
        LogisticRegression(C=0.5),
        HistGradientBoostingClassifier(max_iter=20),
        RandomForestClassifier(30, min_samples_leaf=5),
        LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1),
        CalibratedClassifierCV(LinearSVC(), cv=3),
        Pipeline(
            [
                ("pick", ColumnTransformer([("age", StandardScaler(), ["age"])])),
                ("model", HistGradientBoostingClassifier(max_iter=20)),
            ]
        ),
    ],
    ids=lambda estimator: estimator if isinstance(estimator, str) else type(estimator).__name__,
)
def test_estimators_learn_and_come_back_the_same(
    people: pl.DataFrame, others: pl.DataFrame, tmp_path: Path, estimator: Any
) -> None:
    model = fit(people, others, estimator=estimator)
    scores = model.scores(others)
    assert roc_auc_score(labels(others), scores) > 0.75
    ModelFormat().save(model, tmp_path, Model)
    stored = {path.name: path for path in tmp_path.iterdir()}
    again = ModelFormat().load(stored, Model)
    assert isinstance(again, Model) and again == model and again.card == model.card
    assert np.array_equal(again.scores(others), scores)
    assert model_digest(again) == model_digest(model)


def test_equal_rows_give_equal_bytes(people: pl.DataFrame, others: pl.DataFrame) -> None:
    for estimator in ("boosting", RandomForestClassifier(5)):
        first, second = (fit(people, others, estimator=estimator) for _ in range(2))
        assert (first.archive, first.card) == (second.archive, second.card)
    assert fit(people[:-1], others).archive != fit(people, others).archive


def test_the_card_says_what_the_model_takes(people: pl.DataFrame, others: pl.DataFrame) -> None:
    more = {"constant": pl.lit(1), "empty": pl.lit(None, pl.Float64), "list": pl.lit([1, 2])}
    card = fit(people.with_columns(**more), others.with_columns(**more), exclude=["city"]).card
    assert [(f.name, f.kind, f.categories) for f in card.features] == [
        ("age", "number", ()),
        ("plan", "text", ("a", "b", "c")),
        ("member", "boolean", ()),
    ]
    assert {item.name: item.reason for item in card.left_out} == {
        "city": "excluded",
        "id": "400 different values in 400 rows: a name or key",
        "constant": "one value, 1.0",
        "empty": "no value",
        "list": "no estimator takes List(Int64)",
    }
    age = card.features[0]
    assert (age.low, age.high, age.n_missing) == (people["age"].min(), people["age"].max(), people["age"].null_count())
    assert (card.n_rows, card.n_positive) == (400, int(labels(people).sum()))
    assert (card.target, card.positive, card.negative) == ("left", "yes", "no")


def test_the_threshold_is_the_best_on_the_validation_rows(people: pl.DataFrame, others: pl.DataFrame) -> None:
    model = fit(people, others)
    scores, y = model.scores(others), labels(others)
    best = max(f1_score(y, scores >= t) for t in np.unique(scores))
    assert f1_score(y, scores >= model.card.threshold) == pytest.approx(best)
    assert model.card.validation["f1"] == pytest.approx(best)
    assert model.card.validation["auc"] == pytest.approx(roc_auc_score(y, scores))
    assert fit(people, others, threshold_by="balanced_accuracy").card.threshold != model.card.threshold


def test_nothing_of_the_validation_rows_gets_into_encoders(people: pl.DataFrame, others: pl.DataFrame) -> None:
    shifted = others.with_columns(age=pl.col("age") + 1000, plan=pl.lit("new"))
    plain, leaky = (fit(people, rows, estimator="linear").estimator for rows in (others, shifted))
    for one, other in ((plain, leaky), (leaky, plain)):
        scale, theirs = (p[0].named_transformers_["number"][-1] for p in (one, other))
        assert np.array_equal(scale.mean_, theirs.mean_)
    assert [list(c) for c in leaky[0].named_transformers_["text"].categories_] == [
        ["a", "b", "c", None],
        ["north", "south"],
    ]


def test_boosting_stops_on_the_validation_rows(people: pl.DataFrame, others: pl.DataFrame) -> None:
    shuffled = others.with_columns(left=pl.col("left").shuffle(seed=1))
    assert fit(people, shuffled).estimator[-1].n_iter_ < fit(people, people).estimator[-1].n_iter_


@pytest.mark.parametrize("estimator", ["boosting", "linear"])
def test_unseen_and_missing_values_are_scored(people: pl.DataFrame, others: pl.DataFrame, estimator: str) -> None:
    model = fit(people, others, estimator=estimator)
    odd = pl.DataFrame(
        {
            "age": [None, 1e9, float("nan")],
            "plan": ["new", None, ""],
            "city": [None] * 3,
            "member": [None, True, False],
        },
        schema_overrides={"city": pl.String},
    )
    scores = model.scores(odd)
    assert np.isfinite(scores).all() and ((scores >= 0) & (scores <= 1)).all()
    assert model.scores(odd.clear()).tolist() == []


def test_labels_of_other_types(people: pl.DataFrame, others: pl.DataFrame) -> None:
    expected = fit(people, others).archive
    for cast, positive in ((pl.Int64, "1"), (pl.Float64, "1"), (pl.Boolean, "true")):
        recode = (pl.col("left") == "yes").cast(cast)
        model = fit(people.with_columns(left=recode), others.with_columns(left=recode), positive=positive)
        assert model.archive == expected


def test_times_are_days(people: pl.DataFrame, others: pl.DataFrame) -> None:
    frame = pl.DataFrame({"d": [date(1970, 1, 3), None], "t": [datetime(1970, 1, 1, 12), datetime(1969, 12, 31)]})
    rows = frame.select(pl.all().repeat_by(20).explode()).with_columns(left=pl.Series(["yes", "no"] * 20).sort())
    matrix = fit(rows, rows, estimator="linear").matrix(frame)
    assert matrix.to_dict(as_series=False) == {"d": [2.0, None], "t": [0.5, -1.0]}


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (None, {"target": "lft"}, r"The target is column 'lft', which .*\nHint: did you mean 'left'\?"),
        (None, {"positive": "Yes"}, r"No row of column 'left' is 'Yes'.\nHint: did you mean 'yes'\?"),
        (None, {"target": "plan", "positive": "a"}, "rows have no label in column 'plan'.\nHint: leave them out"),
        ({"left": pl.col("plan").fill_null("x")}, {"positive": "a"},
         r"Column 'left' must have two labels, but has 4: 'a', 'b', 'c', 'x'.\nHint: spell them alike"),
        ({"left": pl.lit("yes")}, {}, "Column 'left' must have two labels, but has 1: 'yes'"),
        (None, {"exclude": ["ages"]}, r"exclude= names column 'ages', .*\nHint: did you mean 'age'\?"),
        (None, {"exclude": ["left"]}, "The target 'left' can't be excluded"),
        (None, {"exclude": ["age", "plan", "city", "member"]}, "No column is left as a feature beside the"),
        ({"age": pl.when(pl.col("city") == "north").then(float("inf")).otherwise("age")}, {},
         "values of column 'age' are infinite, the first in row [0-9]+"),
        (None, {"estimator": "bosting"}, r"There is no recipe 'bosting'.\nHint: did you mean 'boosting'\?"),
        (None, {"estimator": LogisticRegression}, r"An estimator has a fit method, but got .*\nHint: give an instance"),
        (None, {"estimator": LinearSVC()}, r"LinearSVC gives no chances \(predict_proba\)"),
        (None, {"estimator": LogisticRegression(C=-1)}, r"LogisticRegression\(C=-1, random_state=0\) can't be fitted"),
        (None, {"n_threads": 0}, "n_threads >= 1 must hold, but got n_threads=0"),
        (None, {"estimator": Pipeline([("f", FunctionTransformer(lambda x: x)), ("m", LogisticRegression())])},
         "(can't be stored|may not be loaded|can't be fitted)"),
    ],
)  # fmt: skip
def test_what_is_refused(
    people: pl.DataFrame, others: pl.DataFrame, change: Any, options: dict[str, Any], message: str
) -> None:
    rows = people.with_columns(**change) if change else people
    with pytest.raises((DataError, FormatError), match=message):
        fit(rows, others, **options)


def test_validation_labels_must_be_the_same(people: pl.DataFrame, others: pl.DataFrame) -> None:
    dotted = others.with_columns(left=pl.col("left") + ".")
    with pytest.raises(DataError, match=r"has labels 'no.', 'yes.', but the model was trained with 'yes' and 'no'"):
        fit(people, dotted)


def test_tables_that_do_not_fit_a_model(model: Model, people: pl.DataFrame) -> None:
    with pytest.raises(DataError, match=r"The model takes column 'age', which the table doesn't have"):
        model.scores(people.drop("age"))
    with pytest.raises(
        DataError, match=r"The model takes column 'age' as number, but it is String.\nHint: give it the kind"
    ):
        model.scores(people.with_columns(age=pl.col("age").cast(pl.String)))
    whole = people.with_columns(age=pl.col("age").round().cast(pl.Int32))
    assert len(model.scores(whole)) == len(people)


def test_the_same_model_on_one_thread_and_on_two(people: pl.DataFrame, others: pl.DataFrame) -> None:
    """The plan's number of threads decides, not what the machine offers."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        one = fit(people, others).archive
    with threadpool_limits(2):
        assert fit(people, others).archive == one


@pytest.fixture
def clipper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A transformer of the user's own, in a module of the user's own."""
    (tmp_path / "users_own.py").write_text(
        "import polars as pl\n"
        "from sklearn.base import BaseEstimator, TransformerMixin\n"
        "class Clipper(TransformerMixin, BaseEstimator):\n"
        "    def __init__(self, most=60.0):\n"
        "        self.most = most\n"
        "    def fit(self, X, y=None):\n"
        "        self.fitted_ = True\n"
        "        return self\n"
        "    def transform(self, X):\n"
        "        return X.select(pl.col('age').clip(upper_bound=self.most).fill_null(45.0)).to_numpy()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import users_own  # type: ignore[import-not-found]

    yield users_own.Clipper
    del sys.modules["users_own"]


def test_classes_of_ones_own_are_named(
    people: pl.DataFrame, others: pl.DataFrame, clipper: Any, tmp_path: Path
) -> None:
    estimator = Pipeline([("clip", clipper(70.0)), ("model", LogisticRegression())])
    hint = r"holds .users_own.Clipper., which may not be loaded.\nHint: name your own classes: trusts=\(Clipper,\)"
    with pytest.raises(FormatError, match=hint):
        fit(people, others, estimator=estimator)
    model = fit(people, others, estimator=estimator, trusts=(clipper,))
    (tmp_path / "stored").mkdir()
    ModelFormat().save(model, tmp_path / "stored", Model)
    again = ModelFormat().load({path.name: path for path in (tmp_path / "stored").iterdir()}, Model)
    assert isinstance(again, Model)
    with pytest.raises(FormatError, match=hint):
        evaluate(again, others)
    assert evaluate(again, others, trusts=(clipper,)).metrics["auc"] > 0.75
