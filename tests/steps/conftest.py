"""Small tables and models that several tests look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from headrace.steps import Model, train


def make_people(n: int = 400, seed: int = 0) -> pl.DataFrame:
    """People who leave the likelier the older they are, and likelier on plan c; some values missing."""
    random = np.random.default_rng(seed)
    age = random.normal(45, 15, n).round(1)
    plan = random.choice(["a", "b", "c"], n)
    city = random.choice(["north", "south"], n)
    chance = 1 / (1 + np.exp(-((age - 50) / 8 + 2 * (plan == "c"))))
    left = np.where(random.random(n) < chance, "yes", "no")
    frame = pl.DataFrame({"id": [f"P{i:05d}" for i in range(n)], "age": age, "plan": plan, "city": city, "left": left})
    holes = pl.Series(random.random(n) < 0.1)
    return frame.with_columns(
        age=pl.when(holes).then(None).otherwise(pl.col("age")),
        plan=pl.when(pl.Series(random.random(n) < 0.1)).then(None).otherwise(pl.col("plan")),
        member=pl.Series(random.random(n) < 0.5),
    )


@pytest.fixture(scope="session")
def people() -> pl.DataFrame:
    return make_people()


@pytest.fixture(scope="session")
def others() -> pl.DataFrame:
    """More people of the same kind."""
    return make_people(seed=1)


@pytest.fixture(scope="session")
def model(people: pl.DataFrame, others: pl.DataFrame) -> Model:
    return train(people, others, target="left", positive="yes", estimator="linear")


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Work in an empty folder, so that the plain registry is its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
