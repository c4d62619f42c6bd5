"""Read a suite of Great Expectations: JSON of 1.x (``type``, ``kwargs``) and the older form (``expectation_type``)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from headrace.core.errors import DataError, near_miss
from headrace.steps.checks.base import Check
from headrace.steps.great_expectations.conditions import Condition, ConditionError, read_condition, where_text
from headrace.steps.great_expectations.mapping import MAPPED, REFUSED, Entry
from headrace.steps.great_expectations.running import need_great_expectations
from headrace.steps.great_expectations.wholes import ByGreatExpectations
from headrace.steps.kinds import Kind

Form = Literal["1.x", "older"]
Unmapped = Literal["refuse", "great_expectations"]

BESIDE = frozenset(
    {"result_format", "catch_exceptions", "include_config", "meta", "id", "notes", "description", "severity"}
)
BESIDE |= {"rendered_content", "batch_id", "row_condition", "condition_parser", "mostly", "column_index_", "windows"}
BESIDE |= {
    "parse_strings_as_datetimes",
    "output_strftime_format",
    "allow_cross_type_comparisons",
    "auto",
    "profiler_config",
}
"""Arguments that many expectations take and that say nothing of what is expected, or are read apart."""

SEVERITIES: dict[str, Literal["error", "warn"]] = {"critical": "error", "warning": "warn", "info": "warn"}


@dataclass(frozen=True)
class Expectation:
    """One expectation: what was written, and the check that it became."""

    type: str
    kwargs: Mapping[str, Any]
    check: Check
    meta: Mapping[str, Any] = field(default_factory=dict)
    severity: str = "critical"
    form: Form = "1.x"
    condition: Condition | None = None
    """Its row condition, which needs the columns' kinds to be said exactly: see `bound`."""

    @property
    def entry(self) -> Entry | None:
        """How it is mapped; None where Great Expectations itself runs it."""
        return None if isinstance(self.check, ByGreatExpectations) else MAPPED[self.type]

    def bound(self, kinds: Mapping[str, Kind | None]) -> Check:
        """Give the check for a table whose columns are of these kinds: dates in its condition are read as such."""
        if self.condition is None:
            return self.check
        from dataclasses import replace

        return replace(self.check, where=where_text(self.condition, kinds))

    @property
    def config(self) -> dict[str, Any]:
        """What was written, in the form it was written in."""
        written: dict[str, Any] = {"kwargs": dict(self.kwargs), "meta": dict(self.meta)}
        if self.form == "older":
            return {"expectation_type": self.type, **written}
        return {"type": self.type, **written, "severity": self.severity}


@dataclass(frozen=True)
class ExpectationSuite:
    """A suite's expectations in their order."""

    name: str
    expectations: tuple[Expectation, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
    form: Form = "1.x"

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks, for `headrace.steps.validate`."""
        return tuple(expectation.check for expectation in self.expectations)


def is_suite(plain: object) -> bool:
    """Say whether a JSON document is a suite of Great Expectations."""
    if not isinstance(plain, Mapping):
        return False
    listed = plain.get("expectations")
    if not isinstance(listed, list):
        return False
    if listed:
        return all(
            isinstance(each, Mapping) and ("expectation_type" in each or {"type", "kwargs"} <= {*each})
            for each in listed
        )
    return "expectation_suite_name" in plain or "suite_parameters" in plain


def read_suite(
    source: str | Path | Mapping[str, Any],
    *,
    parameters: Mapping[str, Any] | None = None,
    unmapped: Unmapped = "refuse",
) -> ExpectationSuite:
    """Read a suite from its JSON file, or from what stands in one.

    Parameters
    ----------
    parameters
        Values for ``{"$PARAMETER": "name"}``, over those that the suite has itself.
    unmapped
        What becomes of an expectation without a counterpart: "refuse", or "great_expectations", which has it run by
        Great Expectations itself (the extra ``gx``), with the whole table in memory.

    Raises
    ------
    DataError
        It is no suite; or expectations of it have no counterpart here. All of those are named, and what to do: none
        is passed over.

    Examples
    --------
    >>> suite = read_suite({
    ...     "name": "people",
    ...     "expectations": [
    ...         {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 0}},
    ...     ],
    ... })
    >>> suite.checks[0].rule
    'age within 0..'
    """
    plain = source if isinstance(source, Mapping) else _read_file(Path(source))
    if not is_suite(plain):
        raise DataError(
            f"{_shown(source)} is no suite of Great Expectations",
            hint='such a file is {"name": ..., "expectations": [{"type": "expect_...", "kwargs": {...}}, ...]}',
        )
    if unmapped not in ("refuse", "great_expectations"):
        raise DataError(f"unmapped is 'refuse' or 'great_expectations', but got {unmapped!r}")
    if unmapped == "great_expectations":
        need_great_expectations()
    known = {**(plain.get("suite_parameters") or plain.get("evaluation_parameters") or {}), **(parameters or {})}
    made: list[Expectation] = []
    refused: list[str] = []
    for number, written in enumerate(plain["expectations"], 1):
        try:
            made.append(_read_any(written, known, unmapped))
        except DataError as error:
            refused.append(f"\n  {number}. {error.message}{f': {error.hint}' if error.hint else ''}")
    if refused:
        raise DataError(
            f"{len(refused)} of {len(plain['expectations'])} expectations of {_shown(source)} can't be mapped:"
            + "".join(refused),
            hint="take them out, say them otherwise, or let Great Expectations itself run them: "
            "unmapped='great_expectations' (--unmapped great_expectations)",
        )
    name = str(plain.get("name") or plain.get("expectation_suite_name") or "default")
    form: Form = "older" if any("expectation_type" in each for each in plain["expectations"]) else "1.x"
    return ExpectationSuite(name, tuple(made), plain.get("meta") or {}, form)


def _read_any(written: Mapping[str, Any], parameters: Mapping[str, Any], unmapped: Unmapped) -> Expectation:
    try:
        return read_expectation(written, parameters=parameters)
    except DataError:
        if unmapped == "refuse":
            raise
    name, kwargs = str(written.get("expectation_type") or written.get("type")), dict(written.get("kwargs") or {})
    severity = str(written.get("severity") or "critical")
    arguments = json.dumps(_filled(kwargs, parameters), ensure_ascii=False, sort_keys=True)
    check = ByGreatExpectations(name, arguments, severity=SEVERITIES.get(severity, "error"))
    form: Form = "older" if "expectation_type" in written else "1.x"
    return Expectation(name, kwargs, check, written.get("meta") or {}, severity, form)


def _shown(source: object) -> str:
    return repr(str(source)) if isinstance(source, str | Path) else "the document"


def _read_file(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{str(path)!r} can't be read: {error.strerror or error}") from None
    except ValueError as error:
        raise DataError(f"{str(path)!r} is no JSON: {error}") from None


def read_expectation(written: Mapping[str, Any], *, parameters: Mapping[str, Any] | None = None) -> Expectation:
    """Read one expectation. Raises DataError, with its name, where it has no counterpart."""
    form: Form = "older" if "expectation_type" in written else "1.x"
    name = str(written.get("expectation_type") or written.get("type"))
    name = _A_TO_B.get(name, name)
    kwargs = dict(written.get("kwargs") or {})
    if name not in MAPPED:
        raise not_mapped(name)
    entry = MAPPED[name]
    try:
        given = _given(kwargs, entry, parameters or {})
        severity = str(written.get("severity") or kwargs.get("severity") or "critical")
        if severity not in SEVERITIES:
            raise DataError(f"severity={severity!r} isn't known: one of {', '.join(SEVERITIES)}")
        condition = _condition(given)
        common: dict[str, Any] = {"severity": SEVERITIES[severity]}
        if condition is not None:
            common["where"] = where_text(condition)
        mostly = given.get("mostly")
        if mostly is not None and entry.is_map:
            common["mostly"] = mostly
        check = entry.make(given, common)
    except DataError as error:
        raise DataError(f"{name}: {error.message}", hint=error.hint) from None
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{name}: its arguments {kwargs!r} can't be read ({error})") from None
    return Expectation(name, kwargs, check, written.get("meta") or {}, severity, form, condition)


def not_mapped(name: str) -> DataError:
    """Say that an expectation has no counterpart, and what to do."""
    near = near_miss(name, MAPPED) or ""
    hint = REFUSED.get(name) or (near if near.startswith("did you mean") else "it is no core expectation")
    return DataError(f"{name} isn't mapped", hint=hint)


_A_TO_B = {"expect_column_pair_values_A_to_be_greater_than_B": "expect_column_pair_values_a_to_be_greater_than_b"}


def _given(kwargs: Mapping[str, Any], entry: Entry, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with parameters put in. Raises DataError for one that isn't known or has no meaning here."""
    given = {name: _filled(value, parameters) for name, value in kwargs.items()}
    for name in entry.needs:
        if name not in given:
            raise DataError(f"{name!r} is missing")
    known = {*entry.needs, *entry.takes, *BESIDE}
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None:
        raise DataError(f"{unknown!r} isn't known", hint=near_miss(unknown, known))
    if given.get("windows"):
        raise DataError("windows aren't known: they look at earlier runs", hint="give the bounds as numbers")
    if given.get("auto"):
        raise DataError("auto=True lets a profiler choose the bounds", hint="give the bounds as numbers")
    if given.get("parse_strings_as_datetimes"):
        raise DataError(
            "parse_strings_as_datetimes reads text as dates row by row",
            hint="let ingest read the column as a date or datetime, and leave it out",
        )
    return given


def _filled(value: Any, parameters: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        if "$PARAMETER" in value:
            name = value["$PARAMETER"]
            if name not in parameters:
                raise DataError(f"the parameter {name!r} isn't given", hint=f"give parameters={{{name!r}: ...}}")
            return parameters[name]
        return {key: _filled(inner, parameters) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, parameters) for inner in value]
    return value


def _condition(given: Mapping[str, Any]) -> Condition | None:
    try:
        return read_condition(given.get("row_condition"), given.get("condition_parser"))
    except ConditionError as error:
        raise DataError(f"row_condition {error}") from None


def mapped_names() -> Iterator[str]:
    """The names of all expectations that become checks, in order."""
    yield from sorted(MAPPED)


def table_rows() -> Sequence[tuple[str, str, str]]:
    """Give the table of the page: each mapped expectation, of what it is, and the check."""
    return [(name, MAPPED[name].kind, MAPPED[name].check) for name in mapped_names()]
