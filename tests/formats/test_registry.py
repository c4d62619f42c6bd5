from __future__ import annotations

import subprocess
import sys
import typing
from pathlib import Path
from typing import Annotated, Any, NewType, Optional

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from headrace.core.errors import FormatError
from headrace.formats import (
    Html,
    Pickle,
    StoredAs,
    Table,
    Text,
    find_format,
    format_named,
    loads_as,
    natural_type,
    save_artifact,
    type_named,
)
from headrace.formats.known import KNOWN_FORMATS
from headrace.formats.registry import is_table, name_for

Money = NewType("Money", float)


class Net:
    """A class without a format."""

    class Layer:
        pass


class Mine(BaseEstimator):
    """An estimator of a project's own."""


class Boosted(lightgbm.LGBMClassifier):
    """A subclass of one of LightGBM's classes."""


class Framed(pd.DataFrame):
    """A subclass of a table, which would come back as its base."""


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        (pl.DataFrame, "parquet"),
        (pl.LazyFrame, "parquet"),
        (pa.Table, "parquet"),
        (pd.DataFrame, "parquet"),
        (Table, "parquet"),
        (pl.DataFrame | None, "parquet"),
        (Optional[pl.DataFrame], "parquet"),  # noqa: UP045
        (Annotated[pl.DataFrame, "some words"], "parquet"),
        (int, "json"),
        (None, "json"),
        (list[dict[str, float | None]], "json"),
        (Money, "json"),
        (typing.Mapping[str, typing.Sequence[int]], "json"),
        (Annotated[str, "text"], "text"),
        (Annotated[pl.DataFrame, StoredAs("pickle")], "pickle"),
        (Annotated[Net, Pickle], "pickle"),
        (Annotated[Figure, "svg"], "svg"),
        (Text, "text"),
        (Html, "html"),
        (bytes, "bytes"),
        (Path, "path"),
        (np.ndarray, "numpy"),
        (NDArray[np.float64], "numpy"),
        (LogisticRegression, "skops"),
        (Pipeline, "skops"),
        (BaseEstimator, "skops"),
        (ClassifierMixin, "skops"),
        (Mine, "skops"),
        (LogisticRegression | lightgbm.LGBMClassifier, "skops"),
        (lightgbm.LGBMClassifier, "lightgbm"),
        (lightgbm.Booster, "lightgbm"),
        (Boosted, "skops"),
        (Figure, "figure"),
    ],
)
def test_a_type_leads_to_its_format(declared: object, name: str) -> None:
    assert find_format(declared).name == name
    assert name_for(declared) == name
    assert loads_as(name, declared)


def test_every_known_format_is_there_under_its_name() -> None:
    assert [format_named(known.name).name for known in KNOWN_FORMATS] == [known.name for known in KNOWN_FORMATS]
    assert len({known.name for known in KNOWN_FORMATS}) == len(KNOWN_FORMATS)


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        (Net, f"No format stores a value of type '{__name__}.Net': '{__name__}.Net' is no JSON value"),
        (
            dict[str, pl.DataFrame],
            "No format stores a value of type 'dict[str, polars.dataframe.frame.DataFrame]': "
            "'polars.dataframe.frame.DataFrame' is no JSON value in 'dict[str, polars.dataframe.frame.DataFrame]'",
        ),
        (pl.DataFrame | Net, f"No format stores a value of type '{__name__}.Net': '{__name__}.Net' is no JSON value"),
        (Framed, f"No format stores a value of type '{__name__}.Framed': '{__name__}.Framed' is no JSON value"),
        ("Net", "No format stores a value of type 'Net': the name 'Net' isn't resolved"),
        (Any, "The annotation 'Any' doesn't say how to store the value"),
        (object, "The annotation 'object' doesn't say how to store the value"),
    ],
)
def test_a_type_without_format_is_refused(declared: object, text: str) -> None:
    with pytest.raises(FormatError) as caught:
        find_format(declared)
    assert caught.value.message == text


def test_the_refusal_says_what_to_do() -> None:
    with pytest.raises(FormatError) as caught:
        find_format(Net)
    hint = str(caught.value.hint)
    assert hint.startswith("there are parquet (tables), json (")
    assert "the entry point group 'headrace.formats'; Annotated[Net, Pickle] stores it as a pickle" in hint


def test_an_unknown_name_gets_its_near_miss() -> None:
    with pytest.raises(FormatError, match="There is no format named 'pickel'") as caught:
        find_format(Annotated[Net, StoredAs("pickel")])
    assert caught.value.hint == "did you mean 'pickle'?"


@pytest.mark.parametrize("name", ["no_such_package.formats:Net", "headrace.formats.known:NoSuch"])
def test_a_format_that_is_not_installed_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match=f"The format {name!r} can't be imported"):
        format_named(name)


@pytest.mark.parametrize(
    ("name", "declared", "fits"),
    [
        ("parquet", pa.Table, True),
        ("parquet", Table, True),
        ("parquet", Path, True),
        ("parquet", pl.DataFrame | None, True),
        ("parquet", Any, True),
        ("parquet", dict, False),
        ("json", pl.DataFrame, False),
        ("json", list[int], True),
        ("pickle", Net, False),
        ("pickle", Annotated[Net, Pickle], True),
        ("parquet", Annotated[Net, Pickle], False),
        ("text", str, True),
        ("html", str, True),
        ("json", str, True),
        ("skops", BaseEstimator, True),
        ("lightgbm", BaseEstimator, True),
        ("lightgbm", LogisticRegression, False),
        ("svg", Path, True),
        ("svg", Figure, False),
    ],
)
def test_which_types_fit(name: str, declared: object, fits: bool) -> None:
    assert loads_as(name, declared) is fits


def test_which_types_are_tables() -> None:
    assert is_table(Table)
    assert is_table(pl.LazyFrame | None)
    assert not is_table(Path)
    assert not is_table(list[int])


@pytest.mark.parametrize(
    ("value", "declared", "name"),
    [
        (pl.DataFrame({"a": [1]}), pl.DataFrame | None, "parquet"),
        (None, pl.DataFrame | None, "json"),
        (3, Any, "json"),
        (lightgbm.LGBMClassifier(), BaseEstimator, "lightgbm"),
        (LogisticRegression(), BaseEstimator, "skops"),
        (lightgbm.LGBMClassifier(), LogisticRegression | lightgbm.LGBMClassifier, "lightgbm"),
        (Table.of(pl.DataFrame({"a": [1]})), pl.DataFrame, "parquet"),
        (pa.table({"a": [1]}), Table, "parquet"),
    ],
)
def test_the_value_decides_where_the_annotation_is_open(
    value: object, declared: object, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "artifact"
    folder.mkdir()
    assert save_artifact(value, declared, folder).name == name
    files = {path.name: path for path in folder.iterdir()}
    loaded = format_named(name).load(files, declared if declared is not Any else int)
    assert type(loaded) is type(value) or isinstance(loaded, pl.DataFrame | Table)


def test_a_format_given_by_name_goes_before_the_annotation(tmp_path: Path) -> None:
    assert save_artifact("a", str, tmp_path, "text").name == "text"
    assert (tmp_path / "text.txt").read_text() == "a"


@pytest.mark.parametrize("value", [1, pl.DataFrame(), Net(), Net.Layer(), LogisticRegression()])
def test_a_natural_type_is_found_again(value: object) -> None:
    assert type_named(natural_type(value)) is type(value)


@pytest.mark.parametrize("name", ["no_such_package.Net", "polars.NoSuch", "nodots"])
def test_a_natural_type_that_is_gone_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match=f"{name!r}"):
        type_named(name)


def test_a_lookup_imports_no_library() -> None:
    code = """
import sys, typing, dataclasses, pathlib
from headrace.formats import Html, Table, find_format, loads_as
class DataFrame: ...
class Base: ...
class Model(Base): ...
DataFrame.__module__ = "polars.dataframe.frame"
Base.__module__, Base.__qualname__ = "sklearn.base", "BaseEstimator"
@dataclasses.dataclass
class Metrics:
    auc: float
types = (Table, DataFrame, Model, Metrics, list[int], pathlib.Path, Html, DataFrame | None)
names = [find_format(t).name for t in types]
assert names == ["parquet", "parquet", "skops", "json", "json", "path", "html", "parquet"], names
assert loads_as("lightgbm", Base) and loads_as("parquet", Table)
heavy = {"numpy", "polars", "pyarrow", "pandas", "sklearn", "skops", "lightgbm", "matplotlib", "duckdb", "narwhals"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert "importlib.metadata" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
