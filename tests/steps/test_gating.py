"""Which model may go on, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.core.context import RunContext, entered
from headrace.core.errors import DataError
from headrace.core.external import external_id
from headrace.steps import (
    Champion,
    Fairness,
    Model,
    Registry,
    Threshold,
    Verdict,
    evaluate,
    gate,
    register,
    train,
)
from headrace.steps.registering import is_registered
from headrace.steps.registry import model_digest
from headrace.stores.open import open_store


@pytest.fixture(scope="module")
def weak(people: pl.DataFrame, others: pl.DataFrame) -> Model:
    """A model that knows the plan and not the age."""
    return train(people, others, target="left", positive="yes", estimator="linear", exclude=["age"])


def judge(model: Model, test: pl.DataFrame, **options: Any) -> Verdict:
    return gate(evaluate(model, test, n_bootstraps=0), model, test, **options)


@contextmanager
def run_with(store: Any, *pinned: Champion) -> Iterator[dict[str, Any]]:
    """A run whose pins were read now, as the engine reads them when a run begins."""
    pins = {external_id(champion): champion.pin(store) for champion in pinned}
    with entered(RunContext("r1", "gate", 1, 0, store, Path(), pins, lambda *_: None)):
        yield pins


def test_bounds(model: Model, others: pl.DataFrame) -> None:
    auc = evaluate(model, others, n_bootstraps=0).metrics["auc"]
    passed = judge(model, others, thresholds=[Threshold("auc", at_least=0.5), Threshold("log_loss", at_most=2.0)])
    assert passed.passed and [reason.rule for reason in passed.reasons] == ["auc >= 0.5", "log_loss <= 2"]
    assert passed.reasons[0].margin == pytest.approx(auc - 0.5)
    failed = judge(model, others, thresholds=[Threshold("auc", at_least=0.5, at_most=0.6)])
    assert not failed.passed and [reason.passed for reason in failed.reasons] == [True, False]
    assert failed.reasons[1].margin == pytest.approx(0.6 - auc)
    assert judge(model, others, thresholds=[Threshold("auc", at_least=auc)]).passed


def test_the_first_model_has_no_champion(model: Model, others: pl.DataFrame, in_folder: Path) -> None:
    verdict = judge(model, others, champion=Champion("churn"))
    assert (verdict.passed, verdict.compared_with) == (True, None)
    assert verdict.reasons[0].note == "there is no champion yet"


def test_a_worse_model_does_not_pass(model: Model, weak: Model, others: pl.DataFrame, in_folder: Path) -> None:
    Registry.here().add("churn", model)
    strong_auc, weak_auc = (evaluate(m, others, n_bootstraps=0).metrics["auc"] for m in (model, weak))
    verdict = judge(weak, others, champion=Champion("churn"))
    (reason,) = verdict.reasons
    assert not verdict.passed and verdict.compared_with == model_digest(model)
    assert (reason.value, reason.bound) == pytest.approx((weak_auc, strong_auc))
    assert reason.margin == pytest.approx(weak_auc - strong_auc)
    assert reason.note == f"version 1 has {strong_auc:.6g}"
    lenient = judge(weak, others, champion=Champion("churn", margin=strong_auc - weak_auc + 0.001))
    assert lenient.passed and lenient.reasons[0].margin == pytest.approx(0.001)


def test_of_a_loss_less_is_better(model: Model, weak: Model, others: pl.DataFrame, in_folder: Path) -> None:
    Registry.here().add("churn", weak)
    assert judge(model, others, champion=Champion("churn", metric="log_loss")).passed
    demanding = Champion("churn", metric="log_loss", margin=-10.0)
    verdict = judge(model, others, champion=demanding)
    assert not verdict.passed and verdict.reasons[0].rule == "log_loss no worse than the champion's + 10"


def test_the_champion_itself_gets_the_verdict_that_it_got(
    model: Model, weak: Model, others: pl.DataFrame, tmp_path: Path
) -> None:
    """The key is the same before and after the model became champion, so a second run is all hits."""
    store, champion = open_store(tmp_path), Champion("churn")
    strong, first = model_digest(model), model_digest(weak)

    def keys() -> tuple[Any, Any]:
        pin = champion.pin(store)
        return tuple(champion.key_part(pin, frozenset({digest, "table"})) for digest in (first, strong))  # type: ignore[return-value]

    assert keys() == (None, None)
    for candidate in (weak, model):
        before = keys()[candidate is model]
        with run_with(store, champion):
            verdict = judge(candidate, others, champion=champion)
            assert verdict.passed and verdict.compared_with == before
            register(candidate, evaluate(candidate, others), verdict, name="churn")
        assert keys()[candidate is model] == before
        with run_with(store, champion):
            again = judge(candidate, others, champion=champion)
        assert repr(again) == repr(verdict)
    assert keys() == (strong, first)


def test_a_champion_that_cannot_be_scored_fails_the_gate(
    model: Model, weak: Model, others: pl.DataFrame, in_folder: Path
) -> None:
    version = Registry.here().add("churn", model)
    verdict = judge(weak, others.drop("age"), champion=Champion("churn"))
    assert not verdict.passed and math.isnan(verdict.reasons[0].bound)
    assert verdict.reasons[0].note.startswith(
        "the champion can't be scored on these rows: The model takes column 'age'"
    )
    Registry.here().store.drop_object(version.artifact.files[0].digest)
    gone = judge(weak, others, champion=Champion("churn"))
    assert not gone.passed and "is absent" in gone.reasons[0].note


def test_selection_rates_of_groups(model: Model, others: pl.DataFrame) -> None:
    said = pl.Series(model.scores(others)) >= model.card.threshold
    rates = others.with_columns(said=said).drop_nulls("plan").group_by("plan").agg(pl.col("said").mean())
    difference = rates["said"].max() - rates["said"].min()  # type: ignore[operator]
    fair = judge(model, others, fairness=[Fairness("plan", difference + 1e-6)])
    unfair = judge(model, others, fairness=[Fairness("plan", difference - 1e-6)])
    assert (fair.passed, unfair.passed) == (True, False)
    assert unfair.reasons[0].value == pytest.approx(difference)
    assert unfair.reasons[0].note.startswith("c 0.")
    one = others.with_columns(city=pl.lit("north"))
    assert judge(model, one, fairness=[Fairness("city", 0.0)]).reasons[0].note == "there are not two groups"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda m, t: judge(m, t, thresholds=[Threshold("acu", 0.5)]),
            r"has no metric 'acu'.\nHint: did you mean 'auc'\?",
        ),
        (lambda m, t: Threshold("auc"), r"Threshold\('auc'\) has no bound"),
        (lambda m, t: Fairness("plan", 20), "0 <= max_difference <= 1 must hold, but got max_difference=20"),
        (
            lambda m, t: judge(m, t, fairness=[Fairness("plam", 0.1)]),
            r"Fairness looks at column 'plam', .*\nHint: did you mean 'plan'\?",
        ),
        (lambda m, t: Champion("a/b"), "A model's name must be letters, digits, '-', '_' and '.', but got 'a/b'"),
        (lambda m, t: Champion("churn", metric="acu"), r"No champion is chosen by 'acu'.\nHint: did you mean 'auc'\?"),
    ],
)
def test_what_is_refused(model: Model, others: pl.DataFrame, make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(model, others)


def test_what_did_not_pass_is_not_registered(model: Model, others: pl.DataFrame, in_folder: Path) -> None:
    verdict = judge(model, others, thresholds=[Threshold("auc", at_least=0.999)])
    with pytest.raises(
        DataError, match=r"The gate didn't pass this model, .* 'churn': auc >= 0.999: 0.[0-9]+.\nHint: in a"
    ):
        register(model, evaluate(model, others), verdict, name="churn")
    assert Registry.here().names() == []


def test_the_effect_is_in_place_while_the_version_serves_or_was_rolled_back(
    model: Model, weak: Model, others: pl.DataFrame, in_folder: Path
) -> None:
    registry = Registry.here()
    verdict = judge(model, others)
    version = register(model, evaluate(model, others), verdict, name="churn")
    assert (version.version, version.digest) == (1, model_digest(model))
    assert is_registered({"promote": True}, version)
    registry.add("churn", weak)
    assert not is_registered({"promote": True}, version)
    assert is_registered({"promote": False}, version)
    other = registry.get("churn", 2)
    registry.rollback("churn")
    assert is_registered({"promote": True}, version)
    assert is_registered({"promote": True}, type(version)("churn", 2, other.digest))
    assert not is_registered({"promote": True}, type(version)("churn", 3, "0" * 64))


def test_a_bound_that_must_surely_be_kept(model: Model, people: pl.DataFrame, others: pl.DataFrame) -> None:
    found = evaluate(model, others)
    low, high = found.intervals["auc"]
    for bound, passed in ((low - 0.001, True), (low + 0.001, False)):
        verdict = gate(found, model, others, thresholds=[Threshold("auc", at_least=bound, surely=True)])
        assert (verdict.passed, verdict.reasons[0].value) == (passed, low)
        assert verdict.reasons[0].rule == f"auc surely >= {bound:g}"
    at_most = gate(found, model, others, thresholds=[Threshold("auc", at_most=high - 0.001, surely=True)])
    assert (at_most.passed, at_most.reasons[0].value) == (False, high)
    with pytest.raises(DataError, match=r"no interval of 'auc', so nothing is sure\.\nHint: let evaluate draw"):
        gate(evaluate(model, others, n_bootstraps=0), model, others, thresholds=[Threshold("auc", 0.5, surely=True)])
    with pytest.raises(DataError, match="no interval of 'calibration_error'"):
        gate(found, model, others, thresholds=[Threshold("calibration_error", at_most=1, surely=True)])
