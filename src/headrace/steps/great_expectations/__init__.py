"""Suites of Great Expectations, run by Headrace: read, evaluated in one scan, told in GX's own shape.

``read_suite`` reads the JSON of 1.x and the older form into checks that `headrace.steps.validate` takes;
``validate_suite`` gives the result as GX does; ``from_pandas`` takes the old fluent calls. Great Expectations itself
isn't needed.
"""

from __future__ import annotations

from headrace.steps.great_expectations.fluent import Dataset, from_pandas, read_csv, read_parquet
from headrace.steps.great_expectations.mapping import MAPPED, REFUSED
from headrace.steps.great_expectations.results import validate_suite
from headrace.steps.great_expectations.suite import Expectation, ExpectationSuite, is_suite, read_suite

__all__ = [
    "MAPPED",
    "REFUSED",
    "Dataset",
    "Expectation",
    "ExpectationSuite",
    "from_pandas",
    "is_suite",
    "read_csv",
    "read_parquet",
    "read_suite",
    "validate_suite",
]
