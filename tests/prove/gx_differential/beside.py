"""Run by Great Expectations' own Python: cases on standard input, its results on standard output, line by line.

Nothing of Headrace is imported here. A line in is a table and expectations about it, as JSON:
``{"columns": {name: {"kind": ..., "values": [...]}}, "expectations": [{"type": ..., "kwargs": ...}, ...]}``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import warnings

os.environ["GX_ANALYTICS_ENABLED"] = "false"
os.environ["TQDM_DISABLE"] = "1"
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import great_expectations as gx  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import sqlalchemy as sa  # noqa: E402
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration  # noqa: E402

ODD = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def frame_of(columns):
    """A table as pandas.read_csv and a database driver would give it."""
    made = {}
    for name, column in columns.items():
        values, kind = column["values"], column["kind"]
        if kind == "integer":
            has_all = all(value is not None for value in values)
            made[name] = pd.Series(values, dtype="int64" if has_all else "float64")
        elif kind == "number":
            plain = [np.nan if value is None else ODD.get(value, value) for value in values]
            made[name] = pd.Series(plain, dtype="float64")
        elif kind == "boolean":
            has_all = all(value is not None for value in values)
            made[name] = pd.Series(values, dtype="bool" if has_all else "object")
        elif kind == "datetime":
            made[name] = pd.Series(pd.to_datetime(pd.Series(values, dtype="object")), dtype="datetime64[ns]")
        else:
            made[name] = pd.Series(values, dtype="object")
    return pd.DataFrame(made)


def plain(value):
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (pd.Timestamp,)):
        return value.isoformat()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def tell_cases_apart(connection, _):
    connection.execute("PRAGMA case_sensitive_like = ON")


class Tables:
    """The table of a case, for pandas and, as pandas has no LIKE, for SQLite."""

    def __init__(self):
        self.context = gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = {"globally": False}
        asset = self.context.data_sources.add_pandas("p").add_dataframe_asset("a")
        self.whole = asset.add_batch_definition_whole_dataframe("b")
        self.folder = tempfile.TemporaryDirectory()
        self.number = 0
        # LIKE tells upper from lower case everywhere but in SQLite, unless it is told to.
        sa.event.listen(sa.engine.Engine, "connect", tell_cases_apart)

    def on_pandas(self, frame):
        return self.whole.get_batch(batch_parameters={"dataframe": frame})

    def on_sqlite(self, frame):
        self.number += 1
        url = f"sqlite:///{self.folder.name}/{self.number}.db"
        frame[["s", "t", "day"]].reset_index(names="row").to_sql("t", sa.create_engine(url), index=False)
        asset = self.context.data_sources.add_sqlite(f"s{self.number}", connection_string=url).add_table_asset(
            "t", table_name="t"
        )
        return asset.add_batch_definition_whole_table("b").get_batch()


def judged(batch, written, result_format):
    try:
        expectation = ExpectationConfiguration(type=written["type"], kwargs=written["kwargs"]).to_domain_obj()
    except Exception as error:  # noqa: BLE001
        return {"refused": f"{type(error).__name__}: {error}"[:300]}
    try:
        found = batch.validate(expectation, result_format=result_format)
    except Exception as error:  # noqa: BLE001
        return {"raised": f"{type(error).__name__}: {error}"[:300]}
    info = found.exception_info or {}
    infos = [info] if "raised_exception" in info else list(info.values())
    raised = next((each["exception_message"] for each in infos if each.get("raised_exception")), None)
    if raised is not None:
        return {"raised": str(raised)[:300]}
    result = plain(found.result)
    if "unexpected_index_column_names" in result_format and "unexpected_index_list" in result:
        result["unexpected_index_list"] = [row["row"] for row in result["unexpected_index_list"]]
    return {"success": bool(found.success), "result": result}


def main():
    out = os.fdopen(os.dup(1), "w")
    sys.stdout = sys.stderr
    tables = Tables()
    print(json.dumps({"great_expectations": gx.__version__, "pandas": pd.__version__}), file=out, flush=True)
    for line in sys.stdin:
        case = json.loads(line)
        frame = frame_of(case["columns"])
        batch, like_batch = tables.on_pandas(frame), None
        found = []
        for written in case["expectations"]:
            if "like_pattern" in written["type"]:
                like_batch = like_batch or tables.on_sqlite(frame)
                how = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}
                how["partial_unexpected_count"] = 1000  # of SQL no more are listed than these
                found.append(judged(like_batch, written, how))
            else:
                found.append(judged(batch, written, {"result_format": "COMPLETE"}))
        print(json.dumps(found), file=out, flush=True)


main()
