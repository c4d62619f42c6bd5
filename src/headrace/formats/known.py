"""The formats that come with Headrace, as data: a lookup by type imports neither a format nor a library."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.formats.declared import PATH_TYPES


@dataclass(frozen=True, slots=True)
class KnownFormat:
    """A built-in format: its class's import path, the types it is chosen for, and what to call them."""

    name: str
    path: str
    what: str
    types: frozenset[str] = frozenset()
    subclasses: bool = False


TABLE_TYPES = frozenset(
    {
        "headrace.formats.table.Table",
        "pyarrow.lib.Table",
        "pyarrow.Table",
        "polars.dataframe.frame.DataFrame",
        "polars.lazyframe.frame.LazyFrame",
        "pandas.DataFrame",
        "pandas.core.frame.DataFrame",
        "duckdb._relation.DuckDBPyRelation",
        "duckdb.duckdb.DuckDBPyRelation",
        "_duckdb.DuckDBPyRelation",
        "narwhals.dataframe.DataFrame",
        "narwhals.dataframe.LazyFrame",
    }
)
ESTIMATOR_TYPES = frozenset(
    f"sklearn.base.{name}"
    for name in (
        "BaseEstimator",
        "ClassifierMixin",
        "RegressorMixin",
        "TransformerMixin",
        "ClusterMixin",
        "OutlierMixin",
    )
)

KNOWN_FORMATS = (
    KnownFormat("parquet", "headrace.formats.parquet:ParquetFormat", "tables", TABLE_TYPES),
    KnownFormat("json", "headrace.formats.json_value:JsonFormat", "JSON values, dataclasses, pydantic models"),
    KnownFormat(
        "path",
        "headrace.formats.path:PathFormat",
        "files and folders",
        PATH_TYPES,
    ),
    KnownFormat("numpy", "headrace.formats.numpy_array:NumpyFormat", "arrays", frozenset({"numpy.ndarray"})),
    KnownFormat(
        "lightgbm",
        "headrace.formats.lightgbm_model:LightGBMFormat",
        "LightGBM models",
        frozenset(
            {
                "lightgbm.basic.Booster",
                "lightgbm.sklearn.LGBMModel",
                "lightgbm.sklearn.LGBMClassifier",
                "lightgbm.sklearn.LGBMRegressor",
                "lightgbm.sklearn.LGBMRanker",
            }
        ),
    ),
    KnownFormat(
        "skops", "headrace.formats.skops_estimator:SkopsFormat", "scikit-learn estimators", ESTIMATOR_TYPES, True
    ),
    KnownFormat(
        "figure", "headrace.formats.figure:FigureFormat", "figures as PNG", frozenset({"matplotlib.figure.Figure"})
    ),
    KnownFormat("svg", "headrace.formats.figure:SvgFormat", "figures as SVG, by name"),
    KnownFormat("text", "headrace.formats.text:TextFormat", "text", frozenset({"headrace.formats.text.Text"})),
    KnownFormat("html", "headrace.formats.text:HtmlFormat", "HTML pages", frozenset({"headrace.formats.text.Html"})),
    KnownFormat("bytes", "headrace.formats.text:BytesFormat", "bytes", frozenset({"builtins.bytes"})),
    KnownFormat("list", "headrace.formats.item_list:ListFormat", "lists of these"),
    KnownFormat("pickle", "headrace.formats.pickle_object:PickleFormat", "anything, by name only"),
)


def known_format(name: str) -> KnownFormat | None:
    """Give the built-in format of that name."""
    return next((known for known in KNOWN_FORMATS if known.name == name), None)
