"""Let Great Expectations itself run an expectation that has no counterpart here. The one room that imports it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError
from headrace.formats.table import Table

if TYPE_CHECKING:
    from headrace.steps.great_expectations.wholes import ByGreatExpectations

INSTALL = 'pip install "headrace[gx]"'


def need_great_expectations() -> Any:
    """Import Great Expectations. Raises DataError, with the line that installs it, where it isn't there."""
    try:
        return import_module("great_expectations")
    except ModuleNotFoundError as error:
        if error.name != "great_expectations":
            raise
        raise DataError(
            "unmapped='great_expectations' needs Great Expectations, which isn't installed", hint=INSTALL
        ) from None


def run_all(table: object, checks: Sequence[ByGreatExpectations]) -> list[Mapping[str, Any]]:
    """Run expectations on the table, which is read whole into a pandas table, and give GX's results as JSON."""
    gx = need_great_expectations()
    configurations = import_module("great_expectations.expectations.expectation_configuration")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("headrace").add_dataframe_asset("table")
    whole = asset.add_batch_definition_whole_dataframe("whole")
    batch = whole.get_batch(batch_parameters={"dataframe": Table.of(table).pandas()})
    results: list[Mapping[str, Any]] = []
    for check in checks:
        written = configurations.ExpectationConfiguration(type=check.expectation, kwargs=json.loads(check.arguments))
        try:
            expectation = written.to_domain_obj()
        except Exception as error:
            raise DataError(f"Great Expectations can't take {check.expectation} ({error})") from error
        results.append(batch.validate(expectation, result_format={"result_format": "COMPLETE"}).to_json_dict())
    return results
